"""One connection to RabbitMQ and its channels. Whatever ends it, everyone who waits learns it as `BrokerAway`.

A channel is for one job: to publish with confirms, to publish without, or to consume one queue. Nothing here costs a task
or a future for each message: a batch is written at once and waits for the confirm of its last message.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pamqp.frame
from pamqp import commands
from pamqp.base import Frame as Method

from services.amqp import frames
from services.amqp.frames import FRAME_BYTES, Malformed, Outgoing
from services.telemetry import logger

PORTS = {"amqp": 5672, "amqps": 5671}
CHANNELS = 2047  # unless the broker allows fewer
HEARTBEAT = 15  # seconds; a peer that fell silent is noticed after two of them
CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}


class BrokerAway(ConnectionError):
    """RabbitMQ cannot be reached. What was being published may or may not have arrived.

    Attributes:
        code: why the broker itself ended a channel, as AMQP numbers it (404: there is no such queue), else 0.
    """

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.code = code


class Unroutable(Exception):
    """No queue is bound where this should go: the topology is incomplete."""


async def connect(url: str, name: str) -> "Connection":
    """Open a connection: `amqp://user:password@host:port/vhost`, or `amqps` with `?cafile=&certfile=&keyfile=`.

    Raises:
        BrokerAway: there is no broker, or it refuses us.
    """
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    connection = Connection(HEARTBEAT)
    try:
        await loop.create_connection(
            lambda: connection,
            parts.hostname or "127.0.0.1",
            parts.port or PORTS[parts.scheme],
            ssl=_ssl(parts.query) if parts.scheme == "amqps" else None,
        )
    except OSError as error:
        raise BrokerAway(str(error) or type(error).__name__) from error
    try:
        user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
        await connection.open(user, password, unquote(parts.path[1:]) or "/", name)
    except BaseException:
        connection.abort("it was not opened")
        raise
    return connection


def _ssl(query: str) -> ssl.SSLContext:
    files = {name: values[0] for name, values in parse_qs(query).items()}
    context = ssl.create_default_context(cafile=files.get("cafile"))
    if "certfile" in files:
        context.load_cert_chain(files["certfile"], files.get("keyfile"))
    return context


class Connection(asyncio.Protocol):
    """One connection, from `connect`.

    Attributes:
        ended: resolves when it is over, with the reason. Never fails.
        blocked: why the broker takes no messages now (a memory or disk alarm), else None.
    """

    def __init__(self, heartbeat: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.blocked: str | None = None
        self._heartbeat = heartbeat
        self._splitter = frames.Splitter()
        self._transport: asyncio.Transport | None = None
        self._channels: dict[int, Channel] = {}
        self._free: list[int] = []
        self._answer: asyncio.Future[Method] | None = None
        self._frame_max = FRAME_BYTES
        self._most_channels = CHANNELS
        self._heard = self._loop.time()
        self._beat: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self.ended.done()

    async def open(self, user: str, password: str, vhost: str, name: str) -> None:
        """Introduce ourselves. Raises BrokerAway when we are refused."""
        await self._ask(frames.PROTOCOL, commands.Connection.Start)
        properties: dict[str, Any] = {"product": "Palabre", "connection_name": name, "capabilities": CAPABILITIES}
        tune = await self._ask(
            commands.Connection.StartOk(properties, "PLAIN", f"\0{user}\0{password}"), commands.Connection.Tune
        )
        self._frame_max = min(FRAME_BYTES, tune.frame_max or FRAME_BYTES)
        self._most_channels = min(CHANNELS, tune.channel_max or CHANNELS)
        self._write_method(0, commands.Connection.TuneOk(self._most_channels, self._frame_max, self._heartbeat))
        await self._ask(commands.Connection.Open(vhost), commands.Connection.OpenOk)
        self._watch()

    async def channel(self, *, confirms: bool = False) -> "Channel":
        """A new channel, with publisher confirms or without. Raises BrokerAway."""
        if not self.is_open:
            raise BrokerAway(self.ended.result())
        if not self._free and len(self._channels) >= self._most_channels:
            raise BrokerAway("this connection has all the channels that it may have")
        number = self._free.pop() if self._free else len(self._channels) + 1
        channel = self._channels[number] = Channel(self, number)
        await channel.call(commands.Channel.Open())
        if confirms:
            await channel.call(commands.Confirm.Select())
        return channel

    async def close(self) -> None:
        """Part on good terms; what is not acknowledged goes back to its queue."""
        if self.is_open:
            try:
                await self._ask(
                    commands.Connection.Close(200, "bye", class_id=0, method_id=0), commands.Connection.CloseOk
                )
            except BrokerAway:
                pass
            finally:
                self.abort("closed")

    def abort(self, reason: str) -> None:
        """End it at once."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------------------------------ for channels

    @property
    def frame_max(self) -> int:
        """Bytes of the largest frame."""
        return self._frame_max

    @property
    def congested(self) -> bool:
        """Whether what we wrote waits to leave."""
        return not self._writable.is_set()

    async def writable(self) -> None:
        """Returns when what we wrote has mostly left. Raises BrokerAway."""
        await self._writable.wait()
        if not self.is_open:
            raise BrokerAway(self.ended.result())

    def write(self, data: bytes) -> None:
        """Write frames."""
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def release(self, number: int) -> None:
        """This channel is closed on both sides; its number may be used again."""
        if self._channels.pop(number, None) is not None:
            self._free.append(number)

    # ----------------------------------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's does not derive from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._end(str(exc) if exc else "the connection was lost")

    def pause_writing(self) -> None:
        """Too much waits to be written."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has mostly left."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self._heard = self._loop.time()
        try:
            for frame in self._splitter.feed(data):
                if frame.channel:
                    channel = self._channels.get(frame.channel)
                    if channel is not None:
                        channel.receive(frame)
                elif frame.kind == frames.METHOD:
                    self._receive(_method(frame))
        except Exception as error:
            # Whatever it is: a connection whose state is not known is of no use to anybody.
            logger().error("AMQP not understood", reason=str(error), exc_info=not isinstance(error, Malformed))
            self.abort(f"not understood: {error}")

    def _receive(self, method: Method) -> None:
        match method:
            case commands.Connection.Close():
                self._write_method(0, commands.Connection.CloseOk())
                self._end(f"{method.reply_code} {method.reply_text}")
                if self._transport is not None:
                    self._transport.close()
            case commands.Connection.Blocked():
                self.blocked = str(method.reason)
            case commands.Connection.Unblocked():
                self.blocked = None
            case _ if self._answer is not None and not self._answer.done():
                self._answer.set_result(method)

    async def _ask(self, request: bytes | Method, wanted: type[Method]) -> Any:
        if not self.is_open:
            raise BrokerAway(self.ended.result())
        self._answer = self._loop.create_future()
        if isinstance(request, bytes):
            self.write(request)
        else:
            self._write_method(0, request)
        answer = await self._answer
        if not isinstance(answer, wanted):
            raise BrokerAway(f"the broker answered {answer.name}")
        return answer

    def _write_method(self, channel: int, method: Method) -> None:
        self.write(pamqp.frame.marshal(method, channel))

    def _watch(self) -> None:
        """Say that we are there, and see whether the broker is (https://www.rabbitmq.com/docs/heartbeats)."""
        if not self.is_open or not self._heartbeat:
            return
        if self._loop.time() - self._heard > 2 * self._heartbeat:
            self.abort("the broker fell silent")
            return
        self.write(frames.heartbeat())
        self._beat = self._loop.call_later(self._heartbeat / 2, self._watch)

    def _end(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        if self._beat is not None:
            self._beat.cancel()
        self._writable.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokerAway(reason))
        for channel in list(self._channels.values()):
            channel.end(reason)


def _method(frame: frames.Frame) -> Method:
    _, _, method = pamqp.frame.unmarshal(b"\x01\x00\x00%b%b\xce" % (len(frame.payload).to_bytes(4), frame.payload))
    if not isinstance(method, Method):
        raise Malformed(f"{method!r} is no method")
    return method


class Channel:
    """One channel, from `Connection.channel`.

    Attributes:
        on_lost: called with the reason when the channel is of no use any more, and its connection still is.
        on_delivery: called with tag, whether it was delivered before, routing key and body of each delivery, in order.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self.number = number
        self.on_lost: Callable[[str], None] = lambda reason: None
        self.on_delivery: Callable[[int, bool, str, bytes], None] = lambda tag, again, key, body: None
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._why: str | None = None  # why it has ended
        self._calling = asyncio.Lock()
        self._answer: asyncio.Future[Method] | None = None
        # Publishing: tags count from 1; all up to `_confirmed` are confirmed, and some above it.
        self._published = 0
        self._confirmed = 0
        self._early: set[int] = set()
        self._waiting: deque[tuple[int, asyncio.Future[None], bool]] = deque()  # last tag of a batch; is one mandatory
        # Consuming: the delivery whose header or body is expected.
        self._delivery: tuple[int, bool, str] | None = None
        self._missing = 0
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._why is None

    async def call(self, method: Method) -> Method:
        """One request and its answer. Cancelled while it waits, the channel is of no more use.

        Raises:
            BrokerAway: the channel or the connection is gone, maybe because of this very request; it says why.
        """
        async with self._calling:
            self._check()
            self._answer = self._loop.create_future()
            try:
                self._connection.write(pamqp.frame.marshal(method, self.number))
                return await self._answer
            finally:
                self._answer = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Write these in order, and wait until the broker has taken responsibility for all of them.

        For channels with confirms (https://www.rabbitmq.com/docs/confirms#publisher-confirms).

        Raises:
            BrokerAway: the channel or the connection is gone, or the broker refused one.
            Unroutable: there are mandatory ones among these, and one of those that were under way had no queue. Which
                one is not told: all of them are to be published again.
        """
        self._check()
        if self._connection.congested:
            await self._connection.writable()
            self._check()
        self.write(messages)
        self._published += len(messages)
        confirmed = self._loop.create_future()
        self._waiting.append((self._published, confirmed, any(message.mandatory for message in messages)))
        await confirmed

    def write(self, messages: Sequence[Outgoing]) -> None:
        """Write these in order, without waiting for anything."""
        frame_max = self._connection.frame_max
        self._connection.write(b"".join([frames.publish(self.number, message, frame_max) for message in messages]))

    @property
    def congested(self) -> bool:
        """Whether what was written waits to leave."""
        return self._connection.congested

    def ack(self, tag: int, *, multiple: bool = True) -> None:
        """Acknowledge everything up to this delivery, or this one alone."""
        if self.is_open:
            self._connection.write(frames.ack(self.number, tag, multiple=multiple))

    async def close(self) -> None:
        """End it; what is not acknowledged goes back to its place in the queue.

        Raises:
            BrokerAway: the connection is gone, and did the same.
        """
        self.on_delivery = lambda tag, again, key, body: None
        await self.call(commands.Channel.Close(200, "bye", class_id=0, method_id=0))
        self.end("closed")
        self._connection.release(self.number)

    def end(self, reason: str, code: int = 0) -> None:
        """It is over: everyone who waits is told."""
        if self._why is not None:
            return
        self._why = reason
        self._fail(BrokerAway(reason, code))
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokerAway(reason, code))

    def receive(self, frame: frames.Frame) -> None:
        """One frame for this channel."""
        if frame.kind == frames.METHOD:
            ids = frame.ids
            if ids == frames.DELIVER:
                self._delivery = frames.read_delivery(frame.payload)
            elif ids == frames.ACK:
                self._confirm(*frames.read_confirm(frame.payload))
            elif ids == frames.NACK:
                self._fail(BrokerAway("the broker did not take a message"))
                self._confirm(*frames.read_confirm(frame.payload))
            elif ids == frames.RETURN:
                # Its content follows, and is of no interest. The channel ends with it, so that whoever opens the
                # next one declares what is missing.
                self._delivery = None
                for _, confirmed, is_mandatory in self._waiting:
                    if is_mandatory and not confirmed.done():
                        confirmed.set_exception(Unroutable("a message has no queue to go to"))
                self._lose("a message had no queue to go to")  # which is all that it is to the others
            elif ids in (frames.CANCEL, frames.CLOSE_CHANNEL):
                self._ended_by_broker(_method(frame))
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(_method(frame))
        elif frame.kind == frames.HEADER:
            self._missing, self._parts = frame.body_size, []
            if not self._missing:
                self._deliver()
        elif frame.kind == frames.BODY:
            self._parts.append(frame.payload)
            self._missing -= len(frame.payload)
            if self._missing <= 0:
                self._deliver()

    def _deliver(self) -> None:
        if self._delivery is not None:
            self.on_delivery(*self._delivery, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))

    def _ended_by_broker(self, method: Method) -> None:
        if isinstance(method, commands.Channel.Close):
            self._connection.write(pamqp.frame.marshal(commands.Channel.CloseOk(), self.number))
            self._connection.release(self.number)
            self._lose(f"{method.reply_code} {method.reply_text}", method.reply_code or 0)
        else:  # the queue was deleted, or its node went away
            self._lose("the consumer was cancelled by the broker")

    def _lose(self, reason: str, code: int = 0) -> None:
        self.end(reason, code)
        self.on_lost(reason)

    def _confirm(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._confirmed = max(self._confirmed, tag)
            self._early = {early for early in self._early if early > self._confirmed}
        else:
            self._early.add(tag)
        while self._confirmed + 1 in self._early:
            self._confirmed += 1
            self._early.discard(self._confirmed)
        while self._waiting and self._waiting[0][0] <= self._confirmed:
            _, confirmed, _ = self._waiting.popleft()
            if not confirmed.done():
                confirmed.set_result(None)

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            _, confirmed, _ = self._waiting.popleft()
            if not confirmed.done():
                confirmed.set_exception(error)

    def _check(self) -> None:
        if self._why is not None:
            raise BrokerAway(self._why)

"""The socket itself: uvicorn's sans-I/O WebSocket protocol, with what ASGI has no words for.

That is: frames that are prepared once and written to many sockets, the bytes that wait for a slow client, our own
heartbeat (a ping each interval, close 4000 after two that were not answered), and closing at once in a callback.
A handshake for `PATH` is answered here, and its socket handed to the application's door, which attaches a receiver; frames
then come to the receiver directly. So neither opening a socket nor an open one needs a task, and the ASGI stack, of which
nothing would be used, is not walked through. Every other path takes uvicorn's way into the application.
uvicorn is told to use this class by its import path (`ws="services.gateway.wire:Wire"`); the door comes to it in the
lifespan's state.

A peer may send anything. What it sends is kept only up to the bounds of one message, and whatever it does, or leaves
undone, its connection ends within `CLOSE_TIMEOUT` of our wish to end it.
"""

import asyncio
import codecs
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from services.gateway.strangers import STRANGERS, Strangers

CLOSE_TIMEOUT = 5.0  # seconds for the peer to take a close frame before the connection is cut
PATH = "/ws/chat"
DOOR = "palabre.door"  # in the lifespan's state: a `Door`
CONTROLS = 1000  # pings and pongs of a peer in one interval of the heartbeat
FRAGMENTS = 1024  # of one message: its bytes are bounded, but pieces of none are not
PONG_BYTES = 64 * 1024  # that may wait when a ping is answered


def prepare(payload: bytes) -> bytes:
    """A whole unmasked text frame around a payload (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + struct.pack("!H", size) + payload
    return b"\x81\x7f" + struct.pack("!Q", size) + payload


class Receiver(Protocol):
    """Who reads a socket."""

    def received(self, data: str | bytes) -> None:
        """A message came, text or binary."""

    def ended(self, code: int) -> None:
        """The socket is of no more use; said once or more often."""


class _Events:
    """What uvicorn takes for the application's queue: after the handshake there are only ends to be told."""

    __slots__ = ("_receiver",)

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def put_nowait(self, event: Any) -> None:
        if event["type"] == "websocket.disconnect":
            self._receiver.ended(event.get("code", 0))


Door = Callable[["Wire", Headers], None]  # takes an open socket in (`attach`) or closes it; headers of its handshake


class Wire(WebSocketsSansIOProtocol):
    """One socket."""

    _beat: asyncio.TimerHandle | None = None
    _unanswered = 0
    _controls = 0  # of the peer, since our last ping
    _flood_code = 1008
    _receiver: Receiver | None = None
    _message: bytearray | None = None  # what has come of a message in pieces
    _pieces = 0
    _decoder: codecs.IncrementalDecoder | None = None
    _strangers: Strangers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A handshake has come."""
        super().connection_made(transport)
        self._strangers = self.app_state[STRANGERS]
        self._strangers.came(self, self.client, self.transport.abort)

    def known(self) -> None:
        """It is known who this is."""
        self._strangers.left(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.close_sent:
            # The handshake cannot be read, or is too long; uvicorn would leave it at that.
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
            self._cut_in_time()

    def handle_connect(self, event: Request) -> None:
        """Answer the handshake."""
        door: Door | None = self.app_state.get(DOOR)
        if door is None or self.root_path or event.path.partition("?")[0] != PATH:
            super().handle_connect(event)
            return
        response = self.conn.accept(event)
        opened = response.status_code == 101
        if opened:
            del response.headers["Date"]  # uvicorn's own is made once a second
            response.headers.update((name.decode(), value.decode()) for name, value in self.default_headers)
        self.handshake_complete = True
        self.conn.send_response(response)
        self.transport.write(b"".join(self.conn.data_to_send()))
        if not opened:
            self.close_sent = True
            self.transport.close()
            return
        try:
            door(self, event.headers)
        except Exception:
            self.logger.exception("socket not taken in")
            self.transport.abort()

    def attach(self, receiver: Receiver) -> None:
        """From now on this one reads the socket."""
        self._receiver = receiver
        self.queue = cast(Any, _Events(receiver))

    def handle_text(self, event: Frame) -> None:
        """A text message, or its first piece."""
        if event.fin or self._receiver is None:
            super().handle_text(event)
            return
        self.curr_msg_data_type = "text"
        self._begin(event)

    def handle_bytes(self, event: Frame) -> None:
        """A binary message, or its first piece."""
        if event.fin or self._receiver is None:
            super().handle_bytes(event)
            return
        self.curr_msg_data_type = "bytes"
        self._begin(event)

    def _begin(self, event: Frame) -> None:
        self._message, self._pieces = bytearray(), 0
        text = self.curr_msg_data_type == "text"
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        self.handle_cont(event)

    def handle_cont(self, event: Frame) -> None:
        """A piece of a message. A text that is none is refused at the first piece that shows it."""
        if self._receiver is None:
            super().handle_cont(event)
            return
        if self._message is None:
            return  # of one that was refused
        self._pieces += 1
        if self._pieces > FRAGMENTS:
            self._refuse(1009, "too many fragments")
            return
        try:
            if self._decoder is not None:
                self._decoder.decode(event.data, final=event.fin)
        except UnicodeDecodeError:
            self._refuse(1007, "not UTF-8")
            return
        self._message += event.data
        if event.fin:
            self.frames, self._message = [bytes(self._message)], None
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """A whole message came. A receiver takes it at once; uvicorn would stop reading after each."""
        if self._receiver is None:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self._receiver.received(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._refuse(1007, "not UTF-8")
            return
        self._receiver.received(text)

    def _refuse(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7), unless it ends already."""
        self._message = None
        if self.close_sent:
            return
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """The peer does not keep to the protocol: it is told why, and read no more.

        What it has sent meanwhile is thrown away, not left unread: then TCP would throw away what we have told.
        """
        if self.close_sent:
            return
        closing = self.conn.close_sent
        assert closing is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._cut_in_time()

    def handle_close(self, event: Frame) -> None:
        """The peer closes, or answers our close."""
        super().handle_close(event)
        self.close_sent = True  # nothing may follow
        self._cut_in_time()

    def _cut_in_time(self) -> None:
        # A closing transport waits until everything is written: for ever, for a peer that reads nothing.
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def pause(self) -> None:
        """Read no more until `resume`: the receiver has enough to do."""
        if not self.read_paused and not self.close_sent:
            self.read_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    @property
    def waiting(self) -> int:
        """Bytes that the peer has not taken yet."""
        return int(self.transport.get_write_buffer_size())

    @property
    def is_open(self) -> bool:
        """Whether frames can be written."""
        # Its state, too: the end may have come with what is handled just now.
        return not self.close_sent and self.conn.state is State.OPEN and not self.transport.is_closing()

    def write(self, frames: Sequence[bytes]) -> None:
        """Write prepared frames."""
        if not self.is_open:
            return
        if self.conn.extensions:
            for frame in frames:
                self.conn.send_text(frame[_header_size(frame) :])
            frames = self.conn.data_to_send()
        self.transport.write(b"".join(frames))

    async def taken(self) -> None:
        """Returns when the peer has taken most of what waited, or is gone."""
        await asyncio.sleep(0)  # what was written in this turn is counted in the next
        await self.writable.wait()

    def close(self, code: int, reason: str = "") -> None:
        """Close at once: tell the peer, end the endpoint, cut the connection if the peer does not react."""
        if not self.is_open:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._cut_in_time()

    def start_heartbeat(self, interval: float, lost_code: int, flood_code: int) -> None:
        """Ping each `interval` seconds; close with `lost_code` when two pings in a row were not answered.

        A peer that itself sends more than `CONTROLS` pings and pongs in an interval is closed with `flood_code`.
        """
        self._flood_code = flood_code
        self._beat = self.loop.call_later(interval, self._next_beat, interval, lost_code)

    def _next_beat(self, interval: float, lost_code: int) -> None:
        if not self.is_open:
            return
        self._controls = 0
        if self._unanswered >= 2:
            self.close(lost_code, "no heartbeat")
            return
        self._unanswered += 1
        self.conn.send_ping(b"")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._beat = self.loop.call_later(interval, self._next_beat, interval, lost_code)

    def handle_ping(self) -> None:
        """Answer, but not a flood: whoever reads no pongs needs none, and nobody needs a thousand."""
        if not self.close_sent and not self.is_open:
            return  # the pong goes with the answer to the close that came behind
        pongs = b"".join(self.conn.data_to_send())
        if self.close_sent:
            return
        if not self._flooded() and self.waiting <= PONG_BYTES:
            self.transport.write(pongs)

    def handle_pong(self, event: Frame) -> None:
        """Any pong shows that the peer is there."""
        self._unanswered = 0
        self._flooded()

    def _flooded(self) -> bool:
        self._controls += 1
        if self._controls <= CONTROLS:
            return False
        self.close(self._flood_code, "too many pings")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._strangers.left(self)
        if self._beat is not None:
            self._beat.cancel()
        super().connection_lost(exc)
        if self._receiver is not None:
            self._let_go()

    def _let_go(self) -> None:
        """Each of these refers back to us or to itself. The garbage collector, which looks seldom among what has lived
        long, need not be waited for."""
        self.close_sent = True  # so nothing of it is asked for any more
        self.conn.parser.close()
        self.conn.parser_exc = None
        del self._receiver, self.queue, self.conn


def _header_size(frame: bytes) -> int:
    length = frame[1]
    return 2 if length < 126 else 4 if length == 126 else 10

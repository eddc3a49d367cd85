"""RabbitMQ: connections that come back, confirmed publishing, and the only acknowledgements in the repository.

A process has one `Broker` with two connections, one to publish and one to consume, because a memory alarm blocks those
that publish (https://www.rabbitmq.com/docs/connections#publishers-and-consumers). Reconnecting is ours and not the
library's: every reconnect is one known moment, at which services heal what they may have missed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic
from tenacity import retry_if_exception_type, retry_if_result, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts.topology import Binding, Exchange, Queue, Topology
from services.telemetry import logger

CONNECT_TIMEOUT = 10.0
PUBLISH_TIMEOUT = 10.0
PROBE_INTERVAL = 5.0
PROBE_AGE = 3 * PROBE_INTERVAL
HEARTBEAT = 15  # seconds; a peer that went silent is noticed after two of them


class BrokerAway(ConnectionError):
    """RabbitMQ cannot be reached. What was being published may or may not have arrived."""


class Unroutable(Exception):
    """No queue is bound where this should go: the topology is incomplete."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, Any] = field(default_factory=dict)
    message_id: str | None = None
    persistent: bool = True
    mandatory: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived and is not acknowledged yet."""

    subscription: "Subscription"
    tag: int
    body: bytes
    routing_key: str


class Link:
    """One connection that comes back. `opened` is called each time with the new connection."""

    def __init__(self, url: str, name: str, opened: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        self._url = url
        self._name = name
        self._opened = opened
        self.up = asyncio.Event()
        self.down_since: float | None = None
        self._connection: AbstractConnection | None = None
        self._again = asyncio.Event()

    def reopen(self) -> None:
        """Give this connection up and make a new one: something on it is lost that only a new start brings back."""
        self._again.set()

    async def run(self) -> None:
        """Connect, wait until the connection ends, connect again; until cancelled."""
        log = logger()
        self.down_since = asyncio.get_running_loop().time()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Exception) | retry_if_result(lambda _: True),
            wait=wait_random_exponential(0.2, max=3),
        ):
            with attempt:
                try:
                    await self._once()
                except (
                    OSError,
                    aiormq.AMQPError,
                    aio_pika.exceptions.AMQPError,
                    TimeoutError,
                    RuntimeError,
                ) as error:
                    log.warning("broker away", connection=self._name, reason=str(error) or type(error).__name__)
                finally:
                    if self.up.is_set():
                        self.up.clear()
                        self.down_since = asyncio.get_running_loop().time()
                        attempt.retry_state.attempt_number = 0  # it worked for a while: back off from the start

    async def _once(self) -> None:
        self._again.clear()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connection = await aio_pika.connect(
                self._url, client_properties={"connection_name": self._name}, heartbeat=HEARTBEAT
            )
        ended = asyncio.Event()
        connection.close_callbacks.add(lambda *_: ended.set())
        self._connection = connection
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._opened(connection)
            self.down_since = None
            self.up.set()
            logger().info("broker connected", connection=self._name)
            waits = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(self._again.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            logger().warning("broker connection lost", connection=self._name)
        finally:
            self._connection = None
            with suppress(Exception):  # it is given up, in whatever state it is
                async with asyncio.timeout(1):
                    await connection.close()


class Subscription:
    """One consumer of one queue on a channel of its own; what arrives goes into an `Inbox`, in order.

    Acknowledging "up to here" is safe since the channel has no other consumer.
    """

    def __init__(self, queue: Queue, inbox: "Inbox", prefetch: int, bindings: Iterable[Binding] = ()) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self._inbox = inbox
        self._bindings = list(bindings)
        self._channel: aiormq.abc.AbstractChannel | None = None
        self.lost: Callable[[], None] = lambda: None

    @property
    def live(self) -> bool:
        """Whether the broker knows this consumer."""
        return self._channel is not None and not self._channel.is_closed

    async def open(self, connection: AbstractConnection) -> None:
        """Start to consume at the end of the queue's line of consumers."""
        channel = await _channel(connection)
        if self.queue.exclusive:
            await declare_queue(channel, self.queue)
        for binding in self._bindings:
            await channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
        await channel.basic_qos(prefetch_count=self.prefetch)
        self._channel = channel
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

        async def arrived(message: aiormq.abc.DeliveredMessage) -> None:
            # Deliveries start their tasks in the order of arrival, and this one never waits.
            self._inbox.put(
                Delivery(
                    self,
                    message.delivery.delivery_tag or 0,  # type: ignore[union-attr]
                    message.body,
                    message.delivery.routing_key or "",  # type: ignore[union-attr]
                )
            )

        await channel.basic_consume(self.queue.name, arrived, no_ack=False)

    def _cancelled(self, *_: Any) -> None:
        # The queue was deleted under us: a new connection declares it again.
        logger().warning("consumer cancelled by the broker", queue=self.queue.name)
        self._channel = None
        self.lost()

    async def close(self) -> None:
        """Stop consuming; what is not acknowledged goes back to its place in the queue, for the next in line.

        Closing the channel, unlike cancelling the consumer, gives both up in one moment, so the order is kept.
        """
        channel, self._channel = self._channel, None
        self._inbox.forget(self)
        if channel is not None and not channel.is_closed:
            with suppress(aiormq.AMQPError, RuntimeError, OSError):
                await channel.close()

    async def ack(self, tag: int) -> None:
        """Acknowledge everything up to this tag; on a lost channel there is nothing left to acknowledge."""
        if self._channel is not None and not self._channel.is_closed:
            with suppress(aiormq.AMQPError, RuntimeError, OSError):
                await self._channel.basic_ack(tag, multiple=True, wait=False)


class Inbox:
    """Deliveries of some subscriptions, in order of arrival, taken and acknowledged in batches. Prefetch bounds it."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, delivery: Delivery) -> None:
        """Called by a subscription."""
        self._waiting.append(delivery)
        self._some.set()

    def forget(self, subscription: Subscription) -> None:
        """Drop what came from a subscription that has ended: it will be delivered again, to whoever is next."""
        self._waiting = deque(d for d in self._waiting if d.subscription is not subscription)
        if not self._waiting:
            self._some.clear()

    async def take(self, most: int) -> list[Delivery]:
        """At least one delivery, at most `most`, without waiting for more than there are."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    @staticmethod
    async def ack(batch: Iterable[Delivery]) -> None:
        """Acknowledge a batch that was taken; batches must be acknowledged in the order taken."""
        last: dict[Subscription, int] = {}
        for delivery in batch:
            last[delivery.subscription] = delivery.tag
        for subscription, tag in last.items():
            await subscription.ack(tag)


class Broker:
    """The two connections of one process."""

    def __init__(self, url: str, name: str, topology: Topology) -> None:
        self.topology = topology
        self.subscriptions: list[Subscription] = []
        self.consuming: AbstractConnection | None = None
        self._publishing: aiormq.abc.AbstractChannel | None = None
        self._unconfirmed: aiormq.abc.AbstractChannel | None = None
        self.publisher = Link(url, f"{name} publishes", self._open_publisher)
        self.consumer = Link(url, f"{name} consumes", self._open_consumer)
        self.reconnected: Callable[[], None] = lambda: None
        self._probes = Inbox()
        self._probe = Subscription(
            Queue(topology.name(f"probe.{name}"), durable=False, exclusive=True, auto_delete=True),
            self._probes,
            10,
        )
        self._probed: float | None = None

    def subscribe(self, queue: Queue, inbox: Inbox, *, prefetch: int, bindings: Iterable[Binding] = ()) -> Subscription:
        """A consumer that is there whenever the connection is. To be called before `run`."""
        subscription = Subscription(queue, inbox, prefetch, bindings)
        subscription.lost = self.consumer.reopen
        self.subscriptions.append(subscription)
        return subscription

    async def run(self) -> None:
        """Keep both connections, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.run())
            group.create_task(self.consumer.run())
            group.create_task(self._send_probes())
            group.create_task(self._read_probes())

    async def _open_publisher(self, connection: AbstractConnection) -> None:
        channel = await _channel(connection)
        await declare(channel, self.topology)
        self._publishing = channel
        self._unconfirmed = await _channel(connection, confirms=False)

    async def _open_consumer(self, connection: AbstractConnection) -> None:
        for subscription in [*self.subscriptions, self._probe]:
            await subscription.close()
        channel = await _channel(connection)
        await declare(channel, self.topology)
        await channel.close()
        for subscription in [*self.subscriptions, self._probe]:
            await subscription.open(connection)
        self.consuming = connection
        self.reconnected()

    async def publish(self, message: Outgoing, timeout: float = PUBLISH_TIMEOUT) -> None:
        """Publish and wait until the broker has taken responsibility (https://www.rabbitmq.com/docs/confirms).

        Raises:
            BrokerAway: there is no connection, or no confirm in time; it may have arrived all the same.
            Unroutable: it is mandatory and no queue took it.
        """
        channel = self._publishing
        if channel is None or channel.is_closed or not self.publisher.up.is_set():
            raise BrokerAway("there is no connection to the broker")
        try:
            confirm = await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                mandatory=message.mandatory,
                properties=Basic.Properties(
                    content_type=message.content_type,
                    headers=message.headers,
                    message_id=message.message_id,
                    delivery_mode=2 if message.persistent else 1,
                ),
                timeout=timeout,
                wait=False,  # type: ignore[call-arg]  # the library's abstract class lags behind
            )
        except aiormq.exceptions.PublishError as error:
            raise Unroutable(f"{message.exchange} has no queue for {message.routing_key}") from error
        except (aiormq.AMQPError, OSError, RuntimeError, TimeoutError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise BrokerAway(str(error) or type(error).__name__) from error
        if not isinstance(confirm, Basic.Ack):
            raise BrokerAway("the broker did not take the message")

    async def publish_all(self, messages: Iterable[Outgoing]) -> None:
        """Publish in order, all in flight at once, and wait for every confirm.

        Raises:
            BrokerAway, Unroutable: as `publish`, of the first that failed.
        """
        # gather starts its coroutines in order, and the channel's lock is fair: so they are sent in order.
        await asyncio.gather(*(self.publish(message) for message in messages))

    async def tell(self, message: Outgoing) -> None:
        """Publish without a confirm what may be lost: typing, presence. Silently nothing while the broker is away."""
        channel = self._unconfirmed
        if channel is None or channel.is_closed or not self.publisher.up.is_set():
            return
        with suppress(aiormq.AMQPError, OSError, RuntimeError):
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=Basic.Properties(content_type=message.content_type, delivery_mode=1),
                wait=False,  # type: ignore[call-arg]  # as above
            )

    async def check(self) -> None:
        """Returns when a probe has lately travelled through both connections and every consumer is there.

        Raises:
            ConnectionError: what is missing.
        """
        if not self.publisher.up.is_set() or not self.consumer.up.is_set():
            raise ConnectionError("RabbitMQ is not connected")
        missing = [s.queue.name for s in self.subscriptions if not s.live]
        if missing:
            raise ConnectionError(f"no consumer on {', '.join(missing)}")
        age = None if self._probed is None else asyncio.get_running_loop().time() - self._probed
        if age is None or age > PROBE_AGE:
            raise ConnectionError("RabbitMQ accepts but does not deliver")

    async def _send_probes(self) -> None:
        while True:
            await self.publisher.up.wait()
            await self.consumer.up.wait()
            with suppress(BrokerAway):
                await self.publish(
                    Outgoing("", self._probe.queue.name, b"{}", persistent=False), timeout=PROBE_INTERVAL
                )
            await asyncio.sleep(PROBE_INTERVAL)

    async def _read_probes(self) -> None:
        while True:
            batch = await self._probes.take(10)
            self._probed = asyncio.get_running_loop().time()
            await self._probes.ack(batch)


async def declare(channel: aiormq.abc.AbstractChannel, topology: Topology) -> None:
    """Declare every lasting exchange, queue and binding. Repeating it changes nothing.

    Raises:
        aiormq.ChannelPreconditionFailed: one of them exists with other arguments.
    """
    for exchange in topology.exchanges:
        await declare_exchange(channel, exchange)
    for queue in topology.queues:
        await declare_queue(channel, queue)
    for binding in topology.bindings:
        await channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)


async def declare_exchange(channel: aiormq.abc.AbstractChannel, exchange: Exchange) -> None:
    """Declare one exchange."""
    await channel.exchange_declare(exchange.name, exchange_type=exchange.kind, durable=True)


async def declare_queue(channel: aiormq.abc.AbstractChannel, queue: Queue) -> None:
    """Declare one queue."""
    await channel.queue_declare(
        queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=queue.arguments,
    )


async def _channel(connection: AbstractConnection, confirms: bool = True) -> aiormq.abc.AbstractChannel:
    # The library's own channel objects cost more per message than all of ours; the layer below is as convenient here.
    channel = await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    return await channel.get_underlay_channel()

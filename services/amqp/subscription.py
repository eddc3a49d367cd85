"""One consumer of one queue, and what it brought: taken in batches, in order, and acknowledged in batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from pamqp import commands

from contracts.topology import Binding, Queue
from services.amqp.connection import BrokerAway, Channel, Connection
from services.amqp.declarations import queue_binding, queue_declaration
from services.telemetry import logger


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived and is not acknowledged yet. It belongs to its channel: no other can acknowledge it.

    `redelivered`: somebody had it before, and did not acknowledge it.
    """

    channel: Channel
    tag: int
    body: bytes
    routing_key: str
    redelivered: bool = False

    @property
    def live(self) -> bool:
        """Whether it is still ours; on a channel that has ended it is somebody else's by now."""
        return self.channel.is_open


class Subscription:
    """One consumer of one queue on a channel of its own; what arrives goes into an `Inbox`, in order.

    Acknowledging "up to here" is safe since the channel has no other consumer. `lost` is called when the broker ends
    the consumer but not the connection: the queue was deleted, an acknowledgement took too long.
    """

    def __init__(self, queue: Queue, inbox: "Inbox", prefetch: int, bindings: Iterable[Binding] = ()) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self.lost: Callable[[], None] = lambda: None
        self._inbox = inbox
        self._bindings = list(bindings)
        self._channel: Channel | None = None

    @property
    def live(self) -> bool:
        """Whether the broker knows this consumer."""
        return self._channel is not None and self._channel.is_open

    async def open(self, connection: Connection) -> None:
        """Start to consume at the end of the queue's line of consumers.

        Raises:
            BrokerAway: the connection is gone, or the broker refuses; it says why.
        """
        channel = await connection.channel()
        if self.queue.exclusive:
            await channel.call(queue_declaration(self.queue))
        await self.bind(channel)
        await channel.call(commands.Basic.Qos(prefetch_count=self.prefetch))
        channel.on_delivery = lambda tag, again, key, body: self._inbox.put(Delivery(channel, tag, body, key, again))
        channel.on_lost = self._ended
        self._channel = channel
        await channel.call(commands.Basic.Consume(queue=self.queue.name, consumer_tag="c"))

    async def bind(self, channel: Channel) -> None:
        """Make the queue's bindings."""
        for binding in self._bindings:
            await channel.call(queue_binding(binding))

    def _ended(self, reason: str) -> None:
        logger().warning("consumer ended", queue=self.queue.name, reason=reason)
        self.lost()

    async def close(self) -> None:
        """Stop consuming; what is not acknowledged goes back to its place in the queue, for the next in line.

        Closing the channel, unlike cancelling the consumer, gives both up in one moment, so the order is kept.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            self._inbox.forget(channel)
            with suppress(BrokerAway):
                await channel.close()


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

    def forget(self, channel: Channel) -> None:
        """Drop what came over a channel that ends: it will be delivered again, to whoever is next."""
        self._waiting = deque(delivery for delivery in self._waiting if delivery.channel is not channel)
        if not self._waiting:
            self._some.clear()

    async def take(self, most: int, linger: float = 0.0) -> list[Delivery]:
        """At least one delivery, at most `most`; fewer only when no more come within `linger` seconds."""
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            if not linger or len(self._waiting) >= most:
                break
            await asyncio.sleep(linger)
            linger = 0.0
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    @staticmethod
    def ack(batch: Iterable[Delivery]) -> None:
        """Acknowledge a batch that was taken, and with it all that came before it over the same channels."""
        last = {delivery.channel: delivery.tag for delivery in batch}
        for channel, tag in last.items():
            channel.ack(tag)  # on one that has ended there is nothing left to acknowledge

    @staticmethod
    def ack_one(delivery: Delivery) -> None:
        """Acknowledge one that was taken, whatever became of those before it: where each takes its own time."""
        delivery.channel.ack(delivery.tag, multiple=False)

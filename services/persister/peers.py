"""Who else persists, so that the partitions are spread over all persisters.

Every persister stands in line at every partition's queue; the broker serves the first in line (single active consumer),
and the next one at once when that ends. So fail-over needs nothing of ours. Spreading does: for each partition all
persisters agree who should have it (rendezvous hashing), and whoever should not steps back to the end of the line when
the set of persisters changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from hashlib import blake2b

from pydantic import ValidationError

from contracts.shape import Id, Shape
from contracts.topology import Binding
from services.amqp import Broker, BrokerAway, Inbox, Outgoing
from services.telemetry import logger

INTERVAL = 1.0  # seconds between greetings
AGE = 4 * INTERVAL  # without a greeting somebody counts as gone


class Hello(Shape):
    """A persister is there, or (with `bye`) is leaving."""

    persister_id: Id
    bye: bool = False


def preferred(partition: int, persisters: Iterable[str]) -> str:
    """Who should handle a partition. Adding or removing a persister moves only its own share."""
    return max(persisters, key=lambda persister: blake2b(f"{partition}/{persister}".encode()).digest())


class Peers:
    """Greets the others, and calls `step_back` with the partitions that somebody else should have."""

    def __init__(
        self,
        broker: Broker,
        persister_id: str,
        partitions: int,
        step_back: Callable[[list[int]], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._id = persister_id
        self._partitions = partitions
        self._step_back = step_back
        self._seen: dict[str, float] = {}
        self._inbox = Inbox()
        queue = broker.topology.peer_queue(persister_id)
        broker.subscribe(queue, self._inbox, prefetch=100, bindings=[Binding(broker.topology.peers.name, queue.name)])

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._greet())
            group.create_task(self._listen())

    async def leave(self) -> None:
        """Tell the others at once that this one goes."""
        with suppress(BrokerAway):
            await self._say(Hello(persister_id=self._id, bye=True))

    async def _greet(self) -> None:
        known: set[str] = {self._id}
        while True:
            with suppress(BrokerAway):
                await self._say(Hello(persister_id=self._id))
            await asyncio.sleep(INTERVAL)
            oldest = asyncio.get_running_loop().time() - AGE
            present = {self._id} | {peer for peer, seen in self._seen.items() if seen > oldest}
            if present - known:
                # Somebody came, and stands behind us in every line: let them pass where it is their turn.
                others = [p for p in range(self._partitions) if preferred(p, present) != self._id]
                logger().info("partitions spread", persisters=len(present), mine=self._partitions - len(others))
                await self._step_back(others)
            known = present

    async def _say(self, hello: Hello) -> None:
        await self._broker.publish(
            Outgoing(self._broker.topology.peers.name, "", hello.encode(), persistent=False), timeout=INTERVAL
        )

    async def _listen(self) -> None:
        while True:
            batch = await self._inbox.take(100)
            for delivery in batch:
                with suppress(ValidationError):  # from another version; its next greeting may be understood
                    hello = Hello.decode(delivery.body)
                    if hello.bye:
                        self._seen.pop(hello.persister_id, None)
                    else:
                        self._seen[hello.persister_id] = asyncio.get_running_loop().time()
            self._inbox.ack(batch)

"""Who else persists, so that the partitions are spread over all persisters.

Every persister stands in line at every partition's queue; the broker serves the first in line (single active consumer),
and the next one at once when that ends. So fail-over needs nothing of ours. Spreading does: for each partition all
persisters agree who should have it (rendezvous hashing, up to an even share), and whoever should not steps back to the end
of the line when somebody comes, comes back or leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from pydantic import ValidationError

from contracts.shape import Id, Shape
from contracts.topology import Binding
from services.amqp import Broker, BrokerAway, Inbox, Outgoing
from services.persister import metrics
from services.telemetry import logger

INTERVAL = 1.0  # seconds between greetings
AGE = 4 * INTERVAL  # without a greeting somebody counts as gone


class Hello(Shape):
    """A persister is there, or (with `bye`) is leaving. `lines` tells how often it has begun at the end of every line."""

    persister_id: Id
    lines: int = 0
    bye: bool = False


def shares(partitions: int, persisters: Collection[str]) -> list[str]:
    """Who should handle each partition. Nobody has more than an even share, rounded up; adding or removing a persister
    moves little more than its own share."""
    most = -(-partitions // len(persisters))
    room = dict.fromkeys(persisters, most)
    chosen = []
    for partition in range(partitions):
        with_room = (persister for persister, left in room.items() if left)
        best = max(with_room, key=lambda persister: blake2b(f"{partition}/{persister}".encode()).digest())
        room[best] -= 1
        chosen.append(best)
    return chosen


class Seen(NamedTuple):
    """A persister's last greeting."""

    at: float
    lines: int


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
        self._seen: dict[str, Seen] = {}
        self._lines = 0
        broker.reconnected = self._lined_up
        self._inbox = Inbox()
        queue = broker.topology.peer_queue(persister_id)
        broker.subscribe(queue, self._inbox, prefetch=100, bindings=[Binding(broker.topology.peers.name, queue.name)])

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._greet())
            group.create_task(self._keep_spread())
            group.create_task(self._listen())

    async def leave(self) -> None:
        """Tell the others at once that this one goes."""
        with suppress(BrokerAway):
            await self._say(Hello(persister_id=self._id, bye=True))

    def _lined_up(self) -> None:
        self._lines += 1

    async def _greet(self) -> None:
        while True:
            await self._broker.consumer.up.wait()
            with suppress(BrokerAway):
                await self._say(Hello(persister_id=self._id, lines=self._lines))
            await asyncio.sleep(INTERVAL)

    async def _keep_spread(self) -> None:
        known: dict[str, int] = {}
        while True:
            await asyncio.sleep(INTERVAL)
            await self._broker.consumer.up.wait()
            oldest = asyncio.get_running_loop().time() - AGE
            self._seen = {peer: seen for peer, seen in self._seen.items() if seen.at > oldest}
            present = {peer: seen.lines for peer, seen in self._seen.items()} | {self._id: self._lines}
            if present != known:
                known = present
                await self._spread(known)

    async def _spread(self, present: Collection[str]) -> None:
        """Somebody came, came back or left: where it is not our turn, let pass who may stand behind us in the line."""
        others = [p for p, persister in enumerate(shares(self._partitions, present)) if persister != self._id]
        mine = self._partitions - len(others)
        metrics.PARTITIONS.set(mine)
        logger().info("partitions spread", persisters=len(present), mine=mine)
        if others:
            await self._step_back(others)

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
                        self._seen[hello.persister_id] = Seen(asyncio.get_running_loop().time(), hello.lines)
            self._inbox.ack(batch)

"""Several persisters at the queues of one system: each has its share, whoever comes, comes back or leaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from contracts.topology import Topology
from services.amqp import Broker, Inbox, Outgoing
from services.persister import peers
from services.persister.settings import Settings
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration
PARTITIONS = 6


class Member:
    """A persister that stands in every line, and handles nothing."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.inbox = Inbox()
        self.broker = Broker(settings.amqp_url, name, settings.topology)
        lines = [
            self.broker.subscribe(settings.topology.persister_queue(number), self.inbox, prefetch=10)
            for number in range(PARTITIONS)
        ]

        async def step_back(numbers: list[int]) -> None:
            await self.broker.step_back([lines[number] for number in numbers])

        self.peers = peers.Peers(self.broker, name, PARTITIONS, step_back)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Member"]:
        """Until it leaves, and says so."""
        tasks = [asyncio.create_task(self.broker.run()), asyncio.create_task(self.peers.run())]
        try:
            yield self
            await self.peers.leave()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def heard(self) -> set[bytes]:
        """What was delivered to it and is handled now."""
        batch = await self.inbox.take(100) if len(self.inbox) else []
        self.inbox.ack(batch)
        return {delivery.body for delivery in batch}


async def cut(*members: Member) -> None:
    """Lose what they consume by, until each has a new connection."""
    links = [member.broker.consumer for member in members]
    lost = [link.connection for link in links]
    for link in links:
        link.reopen("cut by the test")
    await eventually(
        lambda: all(link.up.is_set() and link.connection is not old for link, old in zip(links, lost, strict=True))
    )


async def each_has_its_share(topology: Topology, members: Sequence[Member]) -> None:
    """Ask every queue who is served, until all are who should be."""
    shares = peers.shares(PARTITIONS, [member.name for member in members])
    rounds = iter(range(1000))

    async def asked() -> None:
        number = next(rounds)
        questions = [f"{number}/{partition}".encode() for partition in range(PARTITIONS)]
        await members[0].broker.publish_all(
            [
                Outgoing("", topology.persister_queue(partition).name, question, mandatory=True)
                for partition, question in enumerate(questions)
            ]
        )
        served: dict[bytes, str] = {}

        async def answered() -> None:
            for member in members:
                served.update(dict.fromkeys(await member.heard(), member.name))
            assert served.keys() >= set(questions)

        await eventually(answered)
        assert [served[question] for question in questions] == shares

    await eventually(asked)


@pytest.mark.parametrize("partitions", [PARTITIONS])
async def test_each_persister_has_its_share(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "INTERVAL", 0.1)
    monkeypatch.setattr(peers, "AGE", 2.0)
    topology = settings.topology
    first, second, third = (Member(settings, name) for name in ("first", "second", "third"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first.running())
        await first.broker.publisher.up.wait()
        await each_has_its_share(topology, [first])
        shown = "palabre_persister_preferred_partitions"
        await eventually(lambda: REGISTRY.get_sample_value(shown) == PARTITIONS)
        await stack.enter_async_context(second.running())
        await each_has_its_share(topology, [first, second])
        async with third.running():
            await each_has_its_share(topology, [first, second, third])
            # One is away for less than it takes to be missed.
            await cut(second)
            await each_has_its_share(topology, [first, second, third])
            # All are, as when the broker was begun anew: who is back first has everything.
            await cut(first, second, third)
            await each_has_its_share(topology, [first, second, third])
        await each_has_its_share(topology, [first, second])

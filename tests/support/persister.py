"""A persister inside the test's own process, wired as `services/persister/__main__.py` wires it."""

import asyncio
from collections.abc import Iterable
from typing import Self

from contracts import fanout
from services.amqp import Broker, Delivery, Inbox
from services.mongo import Database
from services.persister.activity import Page
from services.persister.consumer import Consumer
from services.persister.messages import send_all
from services.persister.outcome import Outcome
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_message, new_id, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault, Instead, WatchedBroker, watched
from tests.support.tap import Tap


async def note(database: Database, outcomes: Iterable[Outcome]) -> None:
    """Note the activity of these outcomes, as a persister does behind their messages."""
    items = (item for outcome in outcomes for item, _ in outcome.items)
    page = Page()
    page.add(item for item in items if isinstance(item, fanout.MessageCreated))
    await page.write(database)


async def talk(database: Database, count: int) -> str:
    """A conversation in which Alice and Bob took turns, each message with a tempId."""
    conversation_id = await store_conversation(database, {"alice": "admin", "bob": "member"})
    commands = [
        make_message(conversation_id, f"m{n}", actor="alice" if n % 2 else "bob", temp_id=f"t{n}")
        for n in range(1, count + 1)
    ]
    outcomes = await send_all(database, Rooms(), commands)
    await note(database, outcomes.values())
    return conversation_id


class CountingInbox(Inbox):
    """Knows how many deliveries were acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.acked = 0

    def ack(self, batch: Iterable[Delivery]) -> None:  # type: ignore[override]
        """As its parent does."""
        done = list(batch)
        super().ack(done)
        self.acked += sum(delivery.live for delivery in done)

    def ack_one(self, delivery: Delivery) -> None:  # type: ignore[override]
        """As its parent does."""
        super().ack_one(delivery)
        self.acked += delivery.live


class Persister:
    """Works inside its block; at the end of it, or where its fault says so, it is killed, whatever it has in hand."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        fault: Fault | None = None,
        instead: dict[str, Instead] | None = None,
    ) -> None:
        self.settings = settings
        self.inbox = CountingInbox()
        self.fault = fault or Fault()
        name = f"persister {new_id()}"
        self.broker = (
            WatchedBroker(settings.amqp_url, name, settings.topology, fault)
            if fault is not None
            else Broker(settings.amqp_url, name, settings.topology)
        )
        self.consumer = Consumer(settings, self.broker, watched(database, self.fault, instead), self.inbox)
        self.partitions = [
            self.broker.subscribe(settings.topology.persister_queue(number), self.inbox, prefetch=settings.prefetch)
            for number in range(settings.partitions)
        ]
        self._connecting: asyncio.Task[None] | None = None
        self._working: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Stand in every line, without handling anything yet."""
        self._connecting = asyncio.create_task(self.broker.run())
        await self.broker.publisher.up.wait()
        await self.broker.consumer.up.wait()

    def work(self) -> None:
        """Handle what arrives."""
        self._working = asyncio.create_task(self.consumer.run())

    async def step_back(self) -> None:
        """Let the next in line have the partitions, between two batches."""
        async with self.consumer.at_rest():
            await self.broker.step_back(self.partitions)

    async def acknowledged(self, count: int) -> None:
        """Until this many deliveries were handled."""
        await eventually(lambda: self.inbox.acked >= count, poll=0.005)

    async def acknowledged_or_faulty(self, count: int = 1) -> bool:
        """Until this many deliveries were handled, or the fault has happened; whether it has."""
        await eventually(lambda: self.inbox.acked >= count or self.fault.happened, poll=0.002)
        return self.fault.happened

    async def all_done(self, tap: Tap, parts: int = 2) -> None:
        """Until it has handled all that was published before, chores too; each part of these asks for the next."""
        for _ in range(parts):
            await tap.all_handled()
            async with self.consumer.at_rest():
                pass

    async def heard(self) -> None:
        """Until the broker has read everything that was acknowledged."""
        connection = self.broker.consumer.connection
        assert connection is not None
        await (await connection.channel()).close()

    def drop(self) -> None:
        """Lose both connections."""
        for link in (self.broker.publisher, self.broker.consumer):
            link.reopen("cut by the test")

    async def kill(self) -> None:
        """Stop where it stands."""
        tasks = [task for task in (self._connecting, self._working) if task is not None]
        self._connecting = self._working = None
        for task in tasks:
            task.cancel()
        self.drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(20):
            await self.connect()
        self.work()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

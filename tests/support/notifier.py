"""A notifier inside the test's own process, wired as `services/notifier/__main__.py` wires it."""

import asyncio
from typing import Self

from services.mongo import Database
from services.notifier.consumer import consume
from services.notifier.settings import Settings
from tests.support.builders import new_id
from tests.support.eventually import eventually
from tests.support.faults import Fault, WatchedBroker, watched
from tests.support.persister import CountingInbox


class Notifier:
    """Works inside its block; at the end of it, or where its fault says so, it is killed."""

    def __init__(self, settings: Settings, database: Database, fault: Fault | None = None) -> None:
        self.inbox = CountingInbox()
        self.fault = fault or Fault()
        self.broker = WatchedBroker(settings.amqp_url, f"notifier {new_id()}", settings.topology, self.fault)
        self.broker.subscribe(settings.topology.notifier_queue, self.inbox, prefetch=settings.prefetch)
        self._work = consume(settings, self.broker, watched(database, self.fault), self.inbox)

    async def acknowledged(self, count: int, timeout: float = 10) -> None:
        """Until this many events were handled."""
        await eventually(lambda: self.inbox.acked >= count, timeout=timeout, poll=0.005)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self.broker.run())]
        async with asyncio.timeout(20):
            await self.broker.publisher.up.wait()
            await self.broker.consumer.up.wait()
        self._tasks.append(asyncio.create_task(self._work))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for link in (self.broker.publisher, self.broker.consumer):
            link.reopen("cut by the test")
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

"""A notifier inside the test's own process, wired as `services/notifier/__main__.py` wires it."""

import asyncio
from collections.abc import Mapping
from typing import Self

from contracts.topology import LOOK, Queue
from services.mongo import Database
from services.notifier.reach import Reach
from services.notifier.settings import Settings
from services.notifier.work import work
from tests.support.builders import new_id
from tests.support.eventually import eventually
from tests.support.faults import Fault, WatchedBroker, watched
from tests.support.persister import CountingInbox


class Notifier:
    """Works inside its block; at the end of it, or where its fault says so, it is killed."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        fault: Fault | None = None,
        channels: Mapping[str, Reach] | None = None,
    ) -> None:
        self.fault = fault or Fault()
        notifier_id = new_id()
        self.broker = WatchedBroker(settings.amqp_url, f"notifier {notifier_id}", settings.topology, self.fault)
        self._work = work(
            settings,
            self.broker,
            watched(database, self.fault),
            notifier_id,
            channels=channels,
            inbox=CountingInbox,
        )
        self.inbox = self._inbox(settings.topology.notifier_queue)
        self.due = self._inbox(settings.topology.channel_queue(LOOK))
        self.heard = self._inbox(settings.topology.notifier_ear(notifier_id))
        self.asked = self._inbox(settings.topology.notifier_commands)

    def _inbox(self, queue: Queue) -> CountingInbox:
        (found,) = [s._inbox for s in self.broker.subscriptions if s.queue.name == queue.name]
        assert isinstance(found, CountingInbox)
        return found

    async def acknowledged(self, count: int, timeout: float = 10) -> None:
        """Until this many events were handled."""
        await eventually(lambda: self.inbox.acked >= count, timeout=timeout, poll=0.005)

    async def __aenter__(self) -> Self:
        self._tasks: list[asyncio.Future[None]] = [asyncio.create_task(self.broker.run())]
        async with asyncio.timeout(20):
            await self.broker.publisher.up.wait()
            await self.broker.consumer.up.wait()
        self._tasks += [asyncio.ensure_future(part) for part in self._work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for link in (self.broker.publisher, self.broker.consumer):
            link.reopen("cut by the test")
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

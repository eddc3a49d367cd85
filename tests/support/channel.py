"""One channel of a notifier: inside its block it runs, at the block's end it is killed, or where its fault says so."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, Self

from contracts.notifying import Delivery
from services.amqp import Broker
from services.notifier import waiting
from services.notifier.settings import Settings
from tests.support.builders import new_id
from tests.support.eventually import eventually
from tests.support.faults import Fault, WatchedBroker
from tests.support.persister import CountingInbox


class Runs(Protocol):
    """A channel of the product."""

    def run(self) -> Awaitable[None]:
        """Until cancelled."""


class RunningChannel:
    """With a broker of its own; who derives from it says which `channel` it is."""

    channel: Runs

    def __init__(self, settings: Settings, name: str, prefetch: int, fault: Fault | None = None) -> None:
        self.name = name
        self.inbox = CountingInbox()
        self.fault = fault or Fault()
        self.broker: Broker = WatchedBroker(settings.amqp_url, f"notifier {new_id()}", settings.topology, self.fault)
        self.broker.subscribe(settings.topology.channel_queue(name), self.inbox, prefetch=prefetch)

    async def deliver(self, *deliveries: Delivery) -> None:
        """Hand these to the channel."""
        names = self.broker.topology
        await self.broker.publish_all([waiting.at_once(names, self.name, one.encode()) for one in deliveries])

    async def handled(self, count: int) -> None:
        """Until this many were acknowledged, also of those that came again."""
        await eventually(lambda: self.inbox.acked >= count, poll=0.005)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(self.broker.run())]
        async with asyncio.timeout(20):
            await self.broker.publisher.up.wait()
            await self.broker.consumer.up.wait()
        self._tasks.append(asyncio.ensure_future(self.channel.run()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for link in (self.broker.publisher, self.broker.consumer):
            link.reopen("cut by the test")
        await asyncio.gather(*self._tasks, return_exceptions=True)

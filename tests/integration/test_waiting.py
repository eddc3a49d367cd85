"""What a channel is to do later waits in RabbitMQ and comes back to this channel alone, when nothing of ours runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from contracts import topology
from services.amqp import Broker, Inbox
from services.notifier import waiting
from services.persister.settings import Settings
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration


@asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[None]:
    """Connected."""
    task = asyncio.create_task(broker.run())
    async with asyncio.timeout(20):
        await broker.publisher.up.wait()
        await broker.consumer.up.wait()
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_comes_back_to_its_channel_after_its_wait(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "WAITS", (1, 2))
    inboxes = {channel: Inbox() for channel in topology.CHANNELS}
    names = settings.topology
    broker = Broker(settings.amqp_url, "test", names)
    for channel, inbox in inboxes.items():
        broker.subscribe(names.channel_queue(channel), inbox, prefetch=10)
    async with running(broker):
        await broker.publish_all(
            [
                waiting.later(names, "push", b"second", 2),
                waiting.later(names, "push", b"first", 1.5),
                waiting.at_once(names, "push", b"now"),
                waiting.later(names, "email", b"other", 0),
            ]
        )
        await eventually(lambda: len(inboxes["push"]) == 3 and len(inboxes["email"]) == 1)
        deliveries = await inboxes["push"].take(3)
        assert [delivery.body for delivery in deliveries] == [b"now", b"first", b"second"]
        assert not len(inboxes["webhook"])

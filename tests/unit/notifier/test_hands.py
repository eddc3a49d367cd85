"""What is kept in hand for a webhook goes with the last of its jobs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from contracts.shape import now
from contracts.topology import Topology
from contracts.webhooks import PING, Job
from services.amqp import Broker, Delivery, Inbox, Outgoing
from services.mongo import Database
from services.notifier.endpoints import Endpoints
from services.notifier.settings import Settings
from services.notifier.webhook.delivering import Deliverer


class FakeBroker:
    """Remembers what it was given."""

    topology = Topology()

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    async def publish_all(self, messages: Sequence[Outgoing]) -> None:
        self.published += messages


async def test_nothing_is_kept_for_what_only_waits() -> None:
    broker, inbox = FakeBroker(), Inbox()
    ours = Deliverer(Settings(), cast(Broker, broker), cast(Database, None), inbox, cast(Endpoints, None))
    later = now() + timedelta(hours=1)
    job = Job(id="d", webhook_id="w", event_id="e", event_type=PING, created_at=now(), not_before=later)
    channel: Any = type("Channel", (), {"is_open": True, "ack": lambda *_, **__: None})()
    async with asyncio.TaskGroup() as group:
        await ours._take([Delivery(channel, 1, job.pack(b"{}"), "webhook.0")], group)
    assert [message.exchange for message in broker.published] == [broker.topology.waiting.name]
    assert not ours._hands

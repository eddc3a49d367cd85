"""The way to another RabbitMQ, as docs/operations.md tells it: beside the old one, while people talk.

`RABBITMQ_IMAGES` names two versions; without them, or without a Docker engine, both are what this machine has.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.topology import CHANNELS, LOOK
from deploy.local.servers import Server, rabbitmq
from tests.faults import replica_set
from tests.faults.history import Event
from tests.faults.replica_set import ReplicaSet
from tests.faults.stage import SETTINGS, Stage
from tests.faults.verdict import events, verdict
from tests.support import containers
from tests.support.command import palabre
from tests.support.eventually import eventually
from tests.support.receiver import Receiver
from tests.support.system import Process

pytestmark = pytest.mark.e2e
IMAGES = os.environ.get("RABBITMQ_IMAGES", "rabbitmq:3.13 rabbitmq:4").split()
TALK = 100  # messages before, and after


@asynccontextmanager
async def from_image(image: str) -> AsyncIterator[Server]:
    server = containers.rabbitmq_container(image)
    try:
        await server.start()
        yield server
    finally:
        await server.remove()


@pytest.fixture(params=["versions", "machine"])
async def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """The old one and the new one."""
    if request.param == "versions":
        if len(IMAGES) < 2:
            pytest.skip(f"RABBITMQ_IMAGES names no second version beside {' '.join(IMAGES)}")
        if reason := containers.missing(*IMAGES):
            pytest.skip(reason)
        async with from_image(IMAGES[0]) as old, from_image(IMAGES[-1]) as new:
            yield old, new
    elif "AMQP_URL" in os.environ:
        pytest.skip("AMQP_URL names one RabbitMQ, and this needs two")
    else:
        async with rabbitmq(tmp_path / "old") as old, rabbitmq(tmp_path / "new") as new:
            yield old, new


async def waiting(stage: Stage, queues: list[str]) -> int:
    """Messages in these, without those that somebody has in hand: those come back when that is stopped."""
    async with stage.channel() as channel:
        found = [await channel.declare_queue(queue, passive=True) for queue in queues]
    return sum(queue.declaration_result.message_count or 0 for queue in found)


async def finished(stage: Stage, services: list[Process], queues: list[str]) -> None:
    """Services are stopped, and their queues are empty."""

    async def nothing_waits() -> bool:
        return await waiting(stage, queues) == 0

    async with asyncio.timeout(90):
        while True:
            await eventually(nothing_waits, timeout=60)
            for service in services:
                assert await service.stop() == 0
            if await nothing_waits():
                return
            for service in services:
                await service.start()
                await service.ready()


@pytest.mark.timeout(300)
async def test_people_talk_on_over_another_rabbitmq(brokers: tuple[Server, Server], tmp_path: Path) -> None:
    program = replica_set.available()
    if program is None:
        pytest.skip("the replica set needs a mongod on this machine")
    old, new = brokers
    async with (
        ReplicaSet(program, tmp_path / "mongodb") as database,
        Stage(old, database, tmp_path, rooms=4) as stage,
        Receiver() as receiver,
    ):
        await hear_by_webhook(stage, receiver)
        stage.crowd.talk()
        await said(stage)
        topology = stage.topology
        # People notice that they cannot send, and go on trying.
        for gateway in stage.gateways:
            assert await gateway.stop() == 0
        commands = [topology.persister_queue(number).name for number in range(topology.partitions)]
        events_of_ours = [
            topology.notifier_commands.name,
            topology.notifier_queue.name,
            topology.webhook_events.name,
            topology.channel_queue(LOOK).name,
            topology.waiting_queue(5).name,
            *(topology.channel_queue(channel).name for channel in CHANNELS),
        ]
        for queues, services in ((commands, stage.persisters), (events_of_ours, stage.notifiers)):
            await finished(stage, services, queues)
        told = await events(stage)
        environment = {**SETTINGS, "PREFIX": topology.prefix, "MONGODB_DATABASE": stage.system.database}
        await palabre({**environment, "AMQP_URL": new.url, "MONGODB_URL": database.url}, "prepare")
        stage.broker = new
        for proxy in stage.proxies.values():
            proxy.lead_to(new.url)
        # Notifiers first: what is told before they have bound their queue never reaches a webhook.
        for processes in (stage.notifiers, [*stage.persisters, *stage.gateways]):
            for process in processes:
                await process.start()
            async with asyncio.timeout(60):
                for process in processes:
                    await process.ready()
        await stage.recovery()
        await said(stage)
        assert await verdict(stage, told) == []
        await everything_was_heard(receiver, [*told, *await events(stage)])
        assert stage.notes == []
        assert not [refused for person in stage.crowd.everybody for refused in person.refused]


async def said(stage: Stage) -> None:
    """That many more."""
    wanted = stage.crowd.acked + TALK
    await eventually(lambda: stage.crowd.acked >= wanted, timeout=60)


async def hear_by_webhook(stage: Stage, receiver: Receiver) -> None:
    """A program of somebody's hears what is said in every room from now on."""
    assert stage.crowd.owner is not None
    for room in stage.crowd.rooms:
        hook = {"conversationId": room, "url": receiver.url, "events": []}
        await stage.crowd.owner.call("POST", "/api/webhooks", json=hook)


async def everything_was_heard(receiver: Receiver, told: list[Event]) -> None:
    """By the webhooks, of both times."""
    spoken = {event.id for event in told if event.kind in ("created", "updated")}

    def nothing_is_missing() -> None:
        assert spoken - {json.loads(call.body)["id"] for call in receiver.calls} == set()

    await eventually(nothing_is_missing, timeout=60, poll=0.5)

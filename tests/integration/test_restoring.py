"""`palabre restored` on real servers."""

from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from contracts import collections
from deploy.local.process import free_port
from services import mongo
from services.persister.settings import Settings
from tests.support.command import palabre

pytestmark = pytest.mark.integration


async def restored(settings: Settings, *options: str, code: int = 0, **changed: str) -> str:
    """What it prints."""
    environment = {
        "AMQP_URL": settings.amqp_url,
        "MONGODB_URL": settings.mongodb_url,
        "MONGODB_DATABASE": settings.mongodb_database,
        "PREFIX": settings.prefix,
        "PARTITIONS": str(settings.partitions),
    }
    return await palabre(environment | changed, "restored", *options, code=code)


async def name_of(settings: Settings) -> Any:
    client, database = mongo.connect(settings, "test")
    try:
        document = await database[collections.HISTORY.name].find_one({"_id": collections.HISTORY_ID})
        return document and document["name"]
    finally:
        client.close()


async def test_a_history_begins_with_an_empty_rabbitmq(settings: Settings) -> None:
    assert await name_of(settings) is None
    assert "This history is" in await restored(settings, "--yes")  # also where there was nothing
    first = await name_of(settings)
    topology = settings.topology
    command, events = topology.persister_queue(0).name, topology.notifier_queue.name
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        for queue in (command, events, topology.waiting_queue(3600).name, topology.dead_letters.name):
            await channel.default_exchange.publish(aio_pika.Message(b"of another time"), queue)
        exchange = await channel.get_exchange(topology.events.name)
        await exchange.publish(aio_pika.Message(b"of another time"), "message.created.c1")

        asked = await restored(settings, code=1)  # nobody answers
        assert f"{command} holds 1" in asked
        assert await name_of(settings) == first
        said = await restored(settings, "--yes")
        second = await name_of(settings)
        assert second != first
        assert f"This history is {second}" in said

        await exchange.publish(aio_pika.Message(b"of this time"), "message.created.c1")
        # What could not be handled is for somebody to look at, whenever it was.
        for declared in topology.queues:
            if declared != topology.log:
                found = await channel.declare_queue(declared.name, passive=True)
                assert found.declaration_result.message_count == (declared == topology.dead_letters)
        log = await channel.get_queue(topology.log.name)
        await channel.set_qos(prefetch_count=10)
        async with log.iterator(arguments={"x-stream-offset": "first"}, timeout=10) as read:
            async for message in read:
                assert message.body == b"of this time"
                break


async def test_it_is_refused_while_somebody_works(settings: Settings) -> None:
    await restored(settings, "--yes")
    name = await name_of(settings)
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(settings.topology.persister_queue(0).name)

        async def forget(_: AbstractIncomingMessage) -> None:
            """It is there: that is enough."""

        await queue.consume(forget)
        refused = await restored(settings, "--yes", code=1)
        assert f"{queue.name} has a consumer" in refused
    assert await name_of(settings) == name


async def test_a_server_that_is_away_is_named(settings: Settings) -> None:
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    assert "It is away" in await restored(settings, "--yes", code=1, AMQP_URL=nowhere)

"""`palabre prepare` on real servers: once, again, and where something does not fit."""

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pymongo import IndexModel

from contracts.collections import COLLECTIONS
from deploy.local.process import free_port
from services import mongo
from services.persister.settings import Settings
from tests.support.command import palabre

pytestmark = pytest.mark.integration


async def prepare(settings: Settings, *options: str, code: int = 0, **changed: str) -> str:
    """What it prints."""
    environment = {
        "AMQP_URL": settings.amqp_url,
        "MONGODB_URL": settings.mongodb_url,
        "MONGODB_DATABASE": settings.mongodb_database,
        "PREFIX": settings.prefix,
        "PARTITIONS": str(settings.partitions),
    }
    return await palabre(environment | changed, "prepare", *options, code=code)


async def test_everything_is_there_afterwards_and_again(settings: Settings) -> None:
    for _ in range(2):
        assert "MongoDB is ready" in await prepare(settings)
    client, database = mongo.connect(settings, "test")
    for collection in COLLECTIONS:
        if collection.indexes:
            there = set(await database[collection.name].index_information())
            assert {index.name for index in collection.indexes} <= there
    await client.drop_database(database.name)
    client.close()
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        for queue in settings.topology.queues:
            await channel.get_queue(queue.name, ensure=True)


async def test_another_number_of_partitions_is_refused_unless_it_is_meant(settings: Settings) -> None:
    await prepare(settings, PARTITIONS="2")
    refused = await prepare(settings, PARTITIONS="3", code=1)
    assert "RabbitMQ has 2 partitions and PARTITIONS is 3" in refused
    queue = settings.topology.persister_queue(1).name
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel(on_return_raises=True)

        async def forget(_: AbstractIncomingMessage) -> None:
            """It is there: that is enough."""

        consumer = await (await channel.get_queue(queue)).consume(forget)
        assert f"{queue} has a consumer" in await prepare(settings, "--change-partitions", PARTITIONS="3", code=1)
        await (await channel.get_queue(queue)).cancel(consumer)
        await channel.default_exchange.publish(aio_pika.Message(b"not stored yet"), queue)
        assert f"{queue} holds 1 messages" in await prepare(settings, "--change-partitions", PARTITIONS="1", code=1)
        await (await channel.get_queue(queue)).purge()
    for partitions in ("3", "1"):
        assert f"with {partitions} partitions" in await prepare(settings, "--change-partitions", PARTITIONS=partitions)
        # As is now, it fits without being asked for.
        assert f"with {partitions} partitions" in await prepare(settings, PARTITIONS=partitions)


async def test_partitions_are_not_changed_while_a_gateway_runs_alone(settings: Settings) -> None:
    """It would go on to send to queues that are left over, or that nobody attends to yet."""
    await prepare(settings, PARTITIONS="2")
    topology = settings.topology
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        own = await channel.declare_queue(topology.gateway_queue("g1").name, exclusive=True)
        for binding in topology.gateway_bindings("g1"):
            await own.bind(binding.exchange, binding.routing_key)
        refused = await prepare(settings, "--change-partitions", PARTITIONS="1", code=1)
        assert f"a gateway listens to {topology.fanout.name}" in refused
        await channel.get_queue(topology.persister_queue(1).name, ensure=True)
        # Where nothing changes, services may run: this is done before every upgrade.
        await prepare(settings, PARTITIONS="2")
    await prepare(settings, "--change-partitions", PARTITIONS="1")


async def test_a_queue_that_was_made_otherwise_is_refused(settings: Settings) -> None:
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(settings.topology.notifier_queue.name, durable=True)
    refused = await prepare(settings, code=1)
    assert "It does not fit: RabbitMQ says" in refused
    assert settings.topology.notifier_queue.name in refused


async def test_an_index_that_was_made_otherwise_is_refused(settings: Settings) -> None:
    client, database = mongo.connect(settings, "test")
    await database["messages"].create_indexes([IndexModel([("seq", 1)], name="conversation_seq")])
    assert "It does not fit: MongoDB says" in await prepare(settings, code=1)
    await client.drop_database(database.name)
    client.close()


async def test_servers_that_are_away_are_named_with_why_and_not_at_every_try(settings: Settings) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    said = await prepare(settings, "--wait=2.5", code=1, AMQP_URL=f"amqp://guest:secret@{nobody}/")
    # At once, and in the end; not at each of the three tries.
    assert said.count("RabbitMQ is away: ") == 2
    assert said.count("Connect") + said.count("refused") >= 2
    assert "secret" not in said
    said = await prepare(settings, code=1, MONGODB_URL=f"mongodb://palabre:secret@{nobody}/")
    assert "RabbitMQ is ready" in said
    assert said.count(f"MongoDB is away: {nobody}: [Errno 111]") == 1
    assert "secret" not in said

"""`palabre restored` on real servers."""

from datetime import timedelta
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError

from contracts import collections, fanout
from contracts.shape import now
from deploy.local.process import free_port
from services import mongo
from services.cli.rabbitmq import PROBE
from services.gateway import metrics
from services.mongo import Database
from services.persister.peers import Hello
from services.persister.settings import Settings
from tests.support.command import palabre
from tests.support.gateway import InProcessGateway, gateway_beside

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


async def test_no_look_for_a_mail_is_waited_for_that_is_gone(settings: Settings, database: Database) -> None:
    await database.emails.insert_one({"_id": "bob", "digest": True, "dueAt": now() + timedelta(minutes=15)})
    await restored(settings, "--yes")
    assert await database.emails.find_one() == {"_id": "bob", "digest": True}


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


async def test_it_is_refused_while_a_gateway_runs_alone_who_does_not_notice(settings: Settings) -> None:
    await restored(settings, "--yes")
    name = await name_of(settings)
    async with InProcessGateway(gateway_beside(settings, auth_dev=True)) as gateway:
        failed = metrics.FAILED._value.get()
        refused = await restored(settings, "--yes", code=1)
        assert f"a gateway listens to {settings.topology.fanout.name}" in refused
        await gateway.parts.broker.check()
        assert metrics.FAILED._value.get() == failed
    assert await name_of(settings) == name
    await restored(settings, "--yes")


@pytest.mark.parametrize("who", ["gateway", "persister", "notifier"])
async def test_it_is_refused_while_anybody_listens(settings: Settings, who: str) -> None:
    """Also while the lasting queues have no consumer: whoever has just come consumes its own queue first."""
    await restored(settings, "--yes")
    topology = settings.topology
    exchange = {"gateway": topology.fanout, "persister": topology.peers, "notifier": topology.renewed}[who]
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        own = await channel.declare_queue(exclusive=True)
        await own.bind(exchange.name)
        assert f"listens to {exchange.name}" in await restored(settings, "--yes", code=1)


def test_what_looks_for_listeners_is_nothing_to_them() -> None:
    assert list(fanout.unpack(PROBE)) == []
    with pytest.raises(ValidationError):  # which a persister lets pass
        Hello.decode(PROBE)


@pytest.mark.parametrize("partitions", [2])
async def test_it_is_refused_where_rabbitmq_has_other_partitions(settings: Settings) -> None:
    """Whoever calls it from a shell may have another number there, or none."""
    await restored(settings, "--yes")
    name = await name_of(settings)
    queue = settings.topology.persister_queue(1).name
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"of another time"), queue)
        for other in ("1", "3"):
            refused = await restored(settings, "--yes", code=1, PARTITIONS=other)
            assert f"RabbitMQ has 2 partitions and PARTITIONS is {other}" in refused
        assert (await channel.declare_queue(queue, passive=True)).declaration_result.message_count == 1
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue(settings.topology.persister_queue(2).name, passive=True)
    assert await name_of(settings) == name


async def test_a_server_that_is_away_is_named(settings: Settings) -> None:
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    assert "It is away" in await restored(settings, "--yes", code=1, AMQP_URL=nowhere)

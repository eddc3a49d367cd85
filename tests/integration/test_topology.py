"""`palabre topology` on a real RabbitMQ, from a shell that may know less than the services."""

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity

from services.persister.settings import Settings
from tests.support.command import palabre

pytestmark = pytest.mark.integration


async def topology(settings: Settings, *options: str, code: int = 0, partitions: int) -> str:
    """What it prints."""
    environment = {"AMQP_URL": settings.amqp_url, "PREFIX": settings.prefix, "PARTITIONS": str(partitions)}
    return await palabre(environment, "topology", *options, code=code)


async def has(settings: Settings, queue: str) -> bool:
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
    return True


async def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    assert settings.topology.persister_queue(0).name in await topology(settings, partitions=2)
    await topology(settings, partitions=2)
    for other in (1, 3):
        refused = await topology(settings, partitions=other, code=1)
        assert f"RabbitMQ has 2 partitions and PARTITIONS is {other}" in refused
    assert not await has(settings, settings.topology.persister_queue(2).name)


async def test_for_a_reader_nothing_is_declared_that_readers_do_not_read(settings: Settings) -> None:
    names = settings.topology
    for _ in range(2):
        await topology(settings, "--reader", "analytics", partitions=16)
        assert await has(settings, names.log.name)
        assert not await has(settings, names.persister_queue(0).name)
    async with await aio_pika.connect(settings.amqp_url) as connection:
        channel = await connection.channel(on_return_raises=True)
        events = await channel.get_exchange(names.events.name)
        await events.publish(aio_pika.Message(b"{}"), "message.created.c1", mandatory=True)
    # Nor afterwards, and what is there is no obstacle to whoever brings the rest.
    await topology(settings, partitions=2)
    await topology(settings, "--reader", "analytics", partitions=16)
    assert not await has(settings, names.persister_queue(2).name)

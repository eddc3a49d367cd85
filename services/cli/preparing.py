"""`palabre prepare`: give RabbitMQ and MongoDB what is needed, or say what does not fit; before a service starts."""

import asyncio
import sys
from typing import Annotated

import aio_pika
import typer
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPConnectionError, ChannelNotFoundEntity
from pymongo.errors import OperationFailure, PyMongoError
from tenacity import retry_if_exception_type, stop_after_delay, wait_fixed
from tenacity.asyncio import AsyncRetrying

from contracts.collections import OWNERS
from contracts.topology import Topology
from services import amqp, mongo
from services.settings import ServiceSettings, load

MOST_PARTITIONS = 100
AWAY = (OSError, AMQPConnectionError, PyMongoError)
# https://www.mongodb.com/docs/manual/reference/error-codes/: an index of this name, or of these keys, is another one.
INDEX_CONFLICTS = (85, 86)


class Misfit(Exception):
    """What is there was made otherwise, and this version cannot work with it."""


def prepare(
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for servers that are away")] = 0,
    change_partitions: Annotated[
        bool, typer.Option("--change-partitions", help="let PARTITIONS be another number than before")
    ] = False,
) -> None:
    """Create what is missing in RabbitMQ and MongoDB, or refuse what does not fit; repeating it changes nothing."""
    settings = load(ServiceSettings)
    try:
        asyncio.run(_prepare(settings, wait, change_partitions))
    except Misfit as misfit:
        sys.exit(f"It does not fit: {misfit}")
    except AWAY as error:
        sys.exit(f"It is away: {str(error) or type(error).__name__}")


async def _prepare(settings: ServiceSettings, wait: float, change_partitions: bool) -> None:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(AWAY), wait=wait_fixed(1), stop=stop_after_delay(wait), reraise=True
    ):
        with attempt:
            await _prepare_rabbitmq(settings, change_partitions)
    print(f"RabbitMQ is ready, with {settings.partitions} partitions.")
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(AWAY), wait=wait_fixed(1), stop=stop_after_delay(wait), reraise=True
    ):
        with attempt:
            await prepare_mongodb(settings)
    print(f"MongoDB is ready, in the database {settings.mongodb_database}.")


async def _prepare_rabbitmq(settings: ServiceSettings, change_partitions: bool) -> None:
    topology = settings.topology
    async with await aio_pika.connect(settings.amqp_url) as connection:
        before = await _partitions(connection, topology)
        if before not in (0, settings.partitions):
            if not change_partitions:
                raise Misfit(
                    f"RabbitMQ has {before} partitions and PARTITIONS is {settings.partitions}; "
                    "--change-partitions changes that, while no service runs"
                )
            await _check_at_rest(connection, topology, before)
        await declare(settings)
        if change_partitions:
            for number in range(settings.partitions, before):
                channel = await connection.channel()
                await channel.queue_delete(topology.persister_queue(number).name)
                await channel.close()


async def declare(settings: ServiceSettings) -> None:
    """Everything in RabbitMQ. Raises Misfit."""
    connection = await amqp.connect(settings.amqp_url, "palabre prepare")
    try:
        await amqp.declare(connection, settings.topology)
    except amqp.BrokerAway as error:
        if "PRECONDITION_FAILED" in str(error):
            raise Misfit(f"RabbitMQ says {error}") from error
        raise
    finally:
        await connection.close()


async def _partitions(connection: AbstractConnection, topology: Topology) -> int:
    """How many there are; 0 where nothing was ever declared to its end, which is where the dead letters are."""
    if await held_by(connection, topology.dead_letters.name) is None:
        return 0
    number = 0
    while number < MOST_PARTITIONS and await held_by(connection, topology.persister_queue(number).name) is not None:
        number += 1
    return number


async def _check_at_rest(connection: AbstractConnection, topology: Topology, partitions: int) -> None:
    """A conversation moves to another queue: nothing of it may be left in the old one, nor anybody who is at it.

    Raises:
        Misfit: something is.
    """
    for number in range(partitions):
        queue = topology.persister_queue(number).name
        waiting, consumers = await held_by(connection, queue) or (0, 0)
        if consumers:
            raise Misfit(f"{queue} has a consumer: stop the gateways, then the persisters, and try again")
        if waiting:
            raise Misfit(f"{queue} holds {waiting} messages: start the persisters, without gateways, until it is empty")


async def held_by(connection: AbstractConnection, queue: str) -> tuple[int, int] | None:
    """The messages and the consumers of a queue; None when there is no such queue."""
    channel = await connection.channel()
    try:
        found = (await channel.declare_queue(queue, passive=True)).declaration_result
    except ChannelNotFoundEntity:
        return None
    await channel.close()
    return found.message_count or 0, found.consumer_count or 0


async def prepare_mongodb(settings: ServiceSettings) -> None:
    """Every collection with its indexes. Raises Misfit."""
    client, database = mongo.connect(settings, "palabre prepare")
    try:
        await mongo.ping(database)
        for owner in OWNERS:
            await mongo.create_collections(database, owner)
    except OperationFailure as error:
        if error.code in INDEX_CONFLICTS:
            raise Misfit(f"MongoDB says {error.details and error.details.get('errmsg')}") from error
        raise
    finally:
        client.close()

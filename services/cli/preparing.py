"""`palabre prepare`: give RabbitMQ and MongoDB what is needed, or say what does not fit; before a service starts."""

import asyncio
import sys
from asyncio import sleep
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Annotated

import typer
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPConnectionError
from pymongo.errors import OperationFailure, PyMongoError
from tenacity import RetryCallState, retry_if_exception_type, wait_fixed
from tenacity.asyncio import AsyncRetrying

from contracts.collections import OWNERS
from contracts.topology import Topology
from services import amqp, mongo
from services.cli import rabbitmq
from services.cli.rabbitmq import Misfit
from services.settings import ServiceSettings, load

AWAY = (OSError, AMQPConnectionError, PyMongoError)
PAUSE = 1.0  # seconds between two tries
SAY_AGAIN = 5.0  # seconds until it is said again why
LAST_TRY = 30.0  # seconds that a try may take beyond the time to wait: a server may take connections and say no more
REASON = 300  # characters of it
# https://www.mongodb.com/docs/manual/reference/error-codes/: an index of this name, or of these keys, is another one.
INDEX_CONFLICTS = (85, 86)


class Away(Exception):
    """A server that was not there in time. Its text says which, and why."""


def prepare(
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for servers that are away, all in all")] = 0,
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
    except Away as away:
        sys.exit(str(away))


async def _prepare(settings: ServiceSettings, wait: float, change_partitions: bool) -> None:
    until = monotonic() + wait
    await _patiently("RabbitMQ", partial(_prepare_rabbitmq, settings, change_partitions), until)
    print(f"RabbitMQ is ready, with {settings.partitions} partitions.", flush=True)
    await _patiently("MongoDB", partial(prepare_mongodb, settings), until)
    print(f"MongoDB is ready, in the database {settings.mongodb_database}.", flush=True)


async def _patiently(server: str, work: Callable[[], Awaitable[None]], until: float) -> None:
    """Try until it works. Why it does not is said meanwhile: whoever ends us may take what was said last with it.

    Raises:
        Away: it did not until then.
    """
    said = float("-inf")

    def say(state: RetryCallState) -> None:
        nonlocal said
        error = state.outcome.exception() if state.outcome else None
        if error is not None and monotonic() - said >= SAY_AGAIN:
            print(_away(server, error), flush=True)
            said = monotonic()

    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY),
            stop=lambda _: monotonic() >= until,
            wait=wait_fixed(PAUSE),
            sleep=sleep,
            before_sleep=say,
            reraise=True,
        ):
            with attempt:
                async with asyncio.timeout(max(0.0, until - monotonic()) + LAST_TRY):
                    await work()
    except AWAY as error:
        raise Away(_away(server, error)) from None


def _away(server: str, error: BaseException) -> str:
    return f"{server} is away: {reason(error)}"


def reason(error: BaseException) -> str:
    """Why something failed: what caused it says more than what was made of that."""
    return str(error.__cause__ or error)[:REASON] or type(error).__name__


async def _prepare_rabbitmq(settings: ServiceSettings, change_partitions: bool) -> None:
    topology = settings.topology
    async with await rabbitmq.connect(settings.amqp_url) as connection:
        before = await rabbitmq.partitions_of(connection, topology)
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
    async with asyncio.timeout(rabbitmq.TIMEOUT):
        connection = await amqp.connect(settings.amqp_url, "palabre prepare")
    try:
        await amqp.declare(connection, settings.topology)
    except amqp.BrokerAway as error:
        if "PRECONDITION_FAILED" in str(error):
            raise Misfit(f"RabbitMQ says {error}") from error
        raise
    finally:
        await connection.close()


async def _check_at_rest(connection: AbstractConnection, topology: Topology, partitions: int) -> None:
    """A conversation moves to another queue: nothing of it may be left in the old one, nor anybody who is at it.

    A gateway would go on to send there, and any service declares anew, twice a minute, as many as it knows of.

    Raises:
        Misfit: something is.
    """
    for number in range(partitions):
        queue = topology.persister_queue(number).name
        waiting, consumers = await rabbitmq.held_by(connection, queue) or (0, 0)
        if consumers:
            raise Misfit(f"{queue} has a consumer: stop the gateways, then the persisters, and try again")
        if waiting:
            raise Misfit(f"{queue} holds {waiting} messages: start the persisters, without gateways, until it is empty")
    await rabbitmq.check_nobody_runs(connection, topology)


async def prepare_mongodb(settings: ServiceSettings) -> None:
    """Every collection with its indexes. Raises Misfit."""
    client, database = mongo.connect(settings, "palabre prepare", answers_late=True)
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

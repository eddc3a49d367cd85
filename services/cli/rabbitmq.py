"""What RabbitMQ has, and who is there: asked before anything in it is changed."""

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.connection import make_url
from aio_pika.exceptions import ChannelNotFoundEntity, PublishError

from contracts.topology import Exchange, Topology

MOST_PARTITIONS = 100
TIMEOUT = 10.0  # seconds to connect, and for an answer to what is published
# Nothing to whoever gets it: no item of the fan-out, no greeting of a persister, no name of a queue.
PROBE = b""


class Misfit(Exception):
    """What is there does not fit, or somebody is at it."""


async def connect(url: str) -> AbstractConnection:
    """Raises OSError or AMQPConnectionError, also where nobody ever answers."""
    connection = aio_pika.Connection(make_url(url))
    try:
        await connection.connect(timeout=TIMEOUT)
    except BaseException:
        # Or it would want to close itself where the garbage collector finds it, perhaps in a thread without a loop.
        await connection.close()
        raise
    return connection


async def held_by(connection: AbstractConnection, queue: str) -> tuple[int, int] | None:
    """The messages and the consumers of a queue; None when there is no such queue."""
    channel = await connection.channel()
    try:
        found = (await channel.declare_queue(queue, passive=True)).declaration_result
    except ChannelNotFoundEntity:
        return None
    await channel.close()
    return found.message_count or 0, found.consumer_count or 0


async def partitions_of(connection: AbstractConnection, topology: Topology) -> int:
    """How many there are; 0 where nothing was ever declared to its end, which is where the dead letters are."""
    if await held_by(connection, topology.dead_letters.name) is None:
        return 0
    number = 0
    while number < MOST_PARTITIONS and await held_by(connection, topology.persister_queue(number).name) is not None:
        number += 1
    return number


async def check_partitions(connection: AbstractConnection, topology: Topology) -> None:
    """Whoever runs a command may have another PARTITIONS in the shell, or none, than what is deployed.

    Raises:
        Misfit: it is another one.
    """
    there = await partitions_of(connection, topology)
    if there not in (0, topology.partitions):
        raise Misfit(f"RabbitMQ has {there} partitions and PARTITIONS is {topology.partitions}")


async def check_nobody_runs(connection: AbstractConnection, topology: Topology) -> None:
    """A gateway consumes no lasting queue, only one of its own, whose name nobody else knows: it is known by listening.

    Raises:
        Misfit: a service listens.
    """
    for exchange, who in (
        (topology.fanout, "a gateway"),
        (topology.peers, "a persister"),
        (topology.renewed, "a service"),
    ):
        if await _is_heard(connection, exchange):
            raise Misfit(f"{who} listens to {exchange.name}: stop gateways, persisters and notifiers, and try again")


async def _is_heard(connection: AbstractConnection, exchange: Exchange) -> bool:
    """Whether any queue is bound to it."""
    channel = await connection.channel(on_return_raises=True)
    try:
        target = await channel.get_exchange(exchange.name)
        await target.publish(aio_pika.Message(PROBE), "", mandatory=True, timeout=TIMEOUT)
    except ChannelNotFoundEntity:
        return False  # nothing was ever declared here
    except PublishError:
        await channel.close()
        return False
    return True

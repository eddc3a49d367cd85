"""`palabre dead` and `palabre topology`: what an operator asks of RabbitMQ. Reads AMQP_URL, PREFIX and PARTITIONS."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aio_pika
import typer
from aio_pika.abc import AbstractIncomingMessage

from contracts.topology import Topology
from services import amqp
from services.settings import ServiceSettings, load

dead = typer.Typer(no_args_is_help=True, help="Commands and events that could not be handled.")
GET_TIMEOUT = 5.0
SHOWN = 200  # characters of a body


@dead.command("list")
def list_letters(limit: int = typer.Option(100, min=1, help="at most so many")) -> None:
    """Show the dead letters, oldest first. Nothing is removed."""

    async def show(number: int, letter: AbstractIncomingMessage) -> bool:
        headers = letter.headers
        reason = str(headers.get("x-reason") or _broker_reason(headers))
        service, since = str(headers.get("x-service", "broker")), str(headers.get("x-first-failed-at", "?"))
        print(f"{number}  {since}  {service}  {letter.routing_key}  {reason}")
        print(f"   {letter.body.decode(errors='replace')[:SHOWN]}")
        return False

    _run(_each(show, limit))


@dead.command()
def replay(
    number: Annotated[int | None, typer.Argument(help="as `list` shows it; all without")] = None,
) -> None:
    """Publish dead letters again where they came from, and remove each once the broker has it."""
    settings = load(ServiceSettings)
    commands = settings.topology.commands.name

    async def again(this: int, letter: AbstractIncomingMessage) -> bool:
        if number is not None and this != number:
            return False
        exchange = str(letter.headers.get("x-exchange", commands))
        routing_key = str(letter.headers.get("x-routing-key", letter.routing_key))
        connection = await aio_pika.connect(settings.amqp_url)
        async with connection:
            channel = await connection.channel(on_return_raises=True)
            target = await channel.get_exchange(exchange)
            await target.publish(
                aio_pika.Message(letter.body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT), routing_key
            )
        print(f"{this}  replayed to {exchange} {routing_key}")
        return True

    _run(_each(again))


@dead.command()
def drop(
    number: Annotated[int | None, typer.Argument(help="as `list` shows it")] = None,
    everything: bool = typer.Option(False, "--all", help="drop every dead letter"),
) -> None:
    """Remove dead letters for ever."""
    if number is None and not everything:
        raise typer.BadParameter("name a number, or --all")

    async def remove(this: int, letter: AbstractIncomingMessage) -> bool:
        if everything or this == number:
            print(f"{this}  dropped {letter.routing_key}")
            return True
        return False

    _run(_each(remove))


def topology() -> None:
    """Declare every exchange, queue and binding, and print them."""
    settings = load(ServiceSettings)

    async def declare() -> None:
        connection = await amqp.connect(settings.amqp_url, "palabre topology")
        try:
            await amqp.declare(await connection.channel(), settings.topology)
        finally:
            await connection.close()

    _run(declare())
    _print(settings.topology)


def _print(names: Topology) -> None:
    print("Exchanges")
    for exchange in names.exchanges:
        print(f"  {exchange.name}  {exchange.kind}")
    print("Queues")
    for queue in names.queues:
        print(f"  {queue.name}  {json.dumps(queue.arguments)}")
    print("Bindings")
    for binding in names.bindings:
        print(f"  {binding.exchange} --{binding.routing_key or '*'}--> {binding.queue}")


async def _each(handle: Callable[[int, AbstractIncomingMessage], Awaitable[bool]], limit: int | None = None) -> None:
    """Every dead letter that is there now, with its number; True removes it, all others go back in their order."""
    settings = load(ServiceSettings)
    async with _letters(settings) as queue:
        count = queue.declaration_result.message_count or 0
        if count == 0:
            print("There are no dead letters.")
        for number in range(1, min(count, limit or count) + 1):
            letter = await queue.get(fail=False, timeout=GET_TIMEOUT)
            if letter is None:
                return
            if await handle(number, letter):
                await letter.ack()


@asynccontextmanager
async def _letters(settings: ServiceSettings) -> AsyncIterator[aio_pika.abc.AbstractQueue]:
    connection = await aio_pika.connect(settings.amqp_url)
    # What is not acknowledged when the connection closes goes back to its place.
    async with connection:
        channel = await connection.channel()
        letters = settings.topology.dead_letters
        yield await channel.declare_queue(letters.name, durable=True, arguments=letters.arguments)


def _broker_reason(headers: Any) -> str:
    deaths = headers.get("x-death") or [{}]
    return f"{deaths[0].get('reason', 'unknown')} in {deaths[0].get('queue', 'unknown')}"


def _run(work: Any) -> None:
    try:
        asyncio.run(work)
    except (OSError, aio_pika.exceptions.AMQPError) as error:
        print(f"RabbitMQ: {error}")
        raise typer.Exit(1) from None

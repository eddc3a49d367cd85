"""`palabre dead` and `palabre topology`: what an operator asks of RabbitMQ.

Reads AMQP_URL and PREFIX; PARTITIONS only where everything is declared, and then it has to be what is there.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any
from urllib.parse import urlsplit

import aio_pika
import typer
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from contracts.topology import Topology
from services import amqp
from services.cli import rabbitmq, readers
from services.cli.chat import run
from services.settings import ServiceSettings, load

dead = typer.Typer(no_args_is_help=True, help="Commands and events that could not be handled.")
GET_TIMEOUT = 5.0
SHOWN = 200  # characters of a body
Ids = Annotated[list[str] | None, typer.Argument(help="ids, as `list` shows them")]
All = Annotated[bool, typer.Option("--all", help="every dead letter")]


@dataclass(frozen=True)
class Letter:
    """One dead letter. Its id stays the same wherever it is in the queue: looking at it may move it."""

    id: str
    since: str
    service: str
    reason: str
    exchange: str
    routing_key: str
    message: AbstractIncomingMessage


@dead.command("list")
def list_letters(limit: int = typer.Option(1000, min=1, help="look at no more than so many")) -> None:
    """Show the dead letters, oldest first. Nothing is removed."""

    async def show() -> None:
        async with _letters(limit) as (letters, _):
            for letter in letters:
                print(f"{letter.id}  {letter.since}  {letter.service}  {letter.message.routing_key}  {letter.reason}")
                print(f"   {letter.message.body.decode(errors='replace')[:SHOWN]}")
            if not letters:
                print("There are no dead letters.")

    _run(show())


@dead.command()
def replay(ids: Ids = None, everything: All = False) -> None:
    """Publish dead letters again to whom they were for, and remove each once the broker has it."""

    async def again(letter: Letter, channel: AbstractChannel) -> None:
        exchange = await channel.get_exchange(letter.exchange) if letter.exchange else channel.default_exchange
        message = letter.message
        await exchange.publish(
            aio_pika.Message(
                message.body,
                content_type=message.content_type,
                message_id=message.message_id,
                headers={name: value for name, value in message.headers.items() if not name.startswith("x-")},
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            ),
            letter.routing_key,
        )
        print(f"{letter.id}  replayed to {letter.exchange or 'the queue'} {letter.routing_key}")

    _run(_each(ids, everything, again))


@dead.command()
def drop(
    ids: Ids = None,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove dead letters for ever."""
    if everything and not yes:
        typer.confirm("Remove every dead letter for ever?", abort=True)

    async def forget(letter: Letter, _: AbstractChannel) -> None:
        print(f"{letter.id}  dropped {letter.message.routing_key}")

    _run(_each(ids, everything, forget))


def topology(
    reader: Annotated[
        str | None,
        typer.Option(help="Also make a RabbitMQ user of this name, who may read the events and nothing else."),
    ] = None,
    management: Annotated[
        str | None,
        typer.Option(
            envvar="RABBITMQ_MANAGEMENT_URL",
            help="RabbitMQ's management API, as http://user:password@host:15672, of an administrator. "
            "Without it, the user is printed as definitions, for `rabbitmqctl import_definitions`.",
        ),
    ] = None,
) -> None:
    """Declare every exchange, queue and binding, and print them.

    With --reader, declare what integrators read alone, make (or give a new password to) an integrator's user, and print
    how it connects: once, since nobody can look up the password.
    """
    settings = load(ServiceSettings)
    if reader is not None and not readers.NAME.fullmatch(reader):
        raise typer.BadParameter("--reader: small letters, digits and hyphens, at most 50")

    _run(_declare(settings) if reader is None else _declare_for_readers(settings))
    if reader is None:
        _print(settings.topology)
        return
    password, vhost = readers.new_password(), readers.vhost_of(settings.amqp_url)
    wanted = readers.definitions(settings.topology, vhost, reader, password)
    address = urlsplit(settings.amqp_url)
    place = address.netloc.rpartition("@")[2]
    url = address._replace(netloc=f"{reader}:{password}@{place}").geturl()
    if management is None:
        print(json.dumps(wanted, indent=2))
        print(f"Once these definitions are imported, {reader} connects with {url}", file=sys.stderr)
        return
    run(lambda: readers.create(management, wanted))
    print(url)


async def _declare(settings: ServiceSettings) -> None:
    """Everything. Raises Misfit: there are more partitions, or fewer; prepare changes that."""
    async with await rabbitmq.connect(settings.amqp_url) as asking:
        await rabbitmq.check_partitions(asking, settings.topology)
    connection = await amqp.connect(settings.amqp_url, "palabre topology")
    try:
        await amqp.declare(connection, settings.topology)
    finally:
        await connection.close()


async def _declare_for_readers(settings: ServiceSettings) -> None:
    async with await rabbitmq.connect(settings.amqp_url) as connection:
        await readers.declare(connection, settings.topology)


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
    for relay in names.relays:
        print(f"  {relay.source} --*--> {relay.destination}")


async def _each(
    ids: list[str] | None,
    everything: bool,
    handle: Callable[[Letter, AbstractChannel], Coroutine[Any, Any, None]],
) -> None:
    """Handle the letters that are named, then remove them; complain about those that are not there."""
    if not ids and not everything:
        raise typer.BadParameter("name the letters by their ids, or --all")
    async with _letters() as (letters, channel):
        wanted = [letter for letter in letters if everything or letter.id in (ids or ())]
        for letter in wanted:
            await handle(letter, channel)
            await letter.message.ack()
    missing = set(ids or ()) - {letter.id for letter in wanted}
    if missing:
        print(f"There is no dead letter {', '.join(sorted(missing))}.")
        raise typer.Exit(1)


@asynccontextmanager
async def _letters(limit: int | None = None) -> AsyncIterator[tuple[list[Letter], AbstractChannel]]:
    """The dead letters that are there now, oldest first; those that are not acknowledged go back in the end."""
    settings = load(ServiceSettings)
    async with await rabbitmq.connect(settings.amqp_url) as connection:
        channel = await connection.channel(on_return_raises=True)
        declared = settings.topology.dead_letters
        queue = await channel.declare_queue(declared.name, durable=True, arguments=declared.arguments)
        letters = []
        count = queue.declaration_result.message_count or 0
        for _ in range(min(count, limit or count)):
            message = await queue.get(fail=False, timeout=GET_TIMEOUT)
            if message is None:
                break
            letters.append(_letter(message))
        yield sorted(letters, key=lambda letter: letter.since), channel


def _letter(message: AbstractIncomingMessage) -> Letter:
    headers = message.headers
    death: Any = (headers.get("x-death") or [{}])[0]  # type: ignore[index]  # set aside by the broker itself
    since = str(headers.get("x-first-failed-at") or death.get("time", "?"))
    routing_key = message.routing_key or ""
    digest = blake2b(b"\0".join((since.encode(), routing_key.encode(), message.body)), digest_size=4)
    return Letter(
        id=digest.hexdigest(),
        since=since,
        service=str(headers.get("x-service", "broker")),
        reason=str(headers.get("x-reason") or f"{death.get('reason', 'unknown')} in {death.get('queue', 'unknown')}"),
        exchange=str(headers.get("x-exchange", "")),
        routing_key=str(headers.get("x-routing-key") or death.get("queue", "")),
        message=message,
    )


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except rabbitmq.Misfit as misfit:
        sys.exit(f"It does not fit: {misfit}")
    except (OSError, aio_pika.exceptions.AMQPError) as error:
        print(f"RabbitMQ: {error}")
        raise typer.Exit(1) from None

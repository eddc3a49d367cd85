"""`palabre restored`: after a backup of MongoDB was restored, before a service starts.

What was under way belongs to a time that is no more, and numbers of messages will be given a second time. So RabbitMQ is
emptied, and the history gets another name, by which clients notice that what they hold may never have been
(docs/decisions/0019-restored-history.md).
"""

import asyncio
import sys
from typing import Annotated
from uuid import uuid4

import typer

from contracts import collections
from contracts.shape import now
from services import mongo
from services.cli import rabbitmq
from services.cli.preparing import AWAY, declare, prepare_mongodb, reason
from services.cli.rabbitmq import Misfit
from services.settings import ServiceSettings, load


def restored(yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Empty RabbitMQ of what was under way and of its log of events, and give the restored history another name."""
    settings = load(ServiceSettings)
    try:
        held = asyncio.run(_held(settings))
        for queue, messages in held.items():
            if messages:
                print(f"{queue} holds {messages}")
        if not yes:
            typer.confirm("Remove all of it for ever, as of a history that was not restored?", abort=True)
        print(f"This history is {asyncio.run(_begin(settings))} from now on.")
    except Misfit as misfit:
        sys.exit(f"Not now: {misfit}")
    except AWAY as error:
        sys.exit(f"It is away: {reason(error)}")


async def _held(settings: ServiceSettings) -> dict[str, int]:
    """The messages in each queue, the log's too. Raises Misfit: a service runs, or there are other queues than these."""
    topology = settings.topology
    held = {}
    async with await rabbitmq.connect(settings.amqp_url) as connection:
        await rabbitmq.check_partitions(connection, topology)
        for queue in topology.queues:
            found, consumers = await rabbitmq.held_by(connection, queue.name) or (0, 0)
            # Integrators may read the log as they like; it ends for them.
            if consumers and queue.name != topology.log.name:
                raise Misfit(f"{queue.name} has a consumer: stop gateways, persisters and notifiers, and try again")
            if queue.name != topology.dead_letters.name:
                held[queue.name] = found
        await rabbitmq.check_nobody_runs(connection, topology)
    return held


async def _begin(settings: ServiceSettings) -> str:
    """The new name. Named last, so that whoever is interrupted begins again."""
    topology = settings.topology
    await declare(settings)
    async with await rabbitmq.connect(settings.amqp_url) as connection:
        channel = await connection.channel()
        for queue in topology.queues:
            if queue.name not in (topology.log.name, topology.dead_letters.name):
                await (await channel.get_queue(queue.name)).purge()
        await channel.queue_delete(topology.log.name)  # a stream cannot be purged
    await declare(settings)
    await prepare_mongodb(settings)
    client, database = mongo.connect(settings, "palabre restored")
    try:
        # The looks at what is worth a mail waited in RabbitMQ: whatever comes next makes for others.
        await database[collections.EMAILS.name].update_many({"dueAt": {"$exists": True}}, {"$unset": {"dueAt": ""}})
        name = uuid4().hex
        await database[collections.HISTORY.name].update_one(
            {"_id": collections.HISTORY_ID}, {"$set": {"name": name, "restoredAt": now()}}, upsert=True
        )
    finally:
        client.close()
    return name

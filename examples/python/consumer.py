"""Follow Palabre's events: each is handled once, though deliveries repeat and this program may be killed at any time.

    AMQP_URL    a user that `palabre topology --reader NAME` made
    PREFIX      of the environment, where it has one
    STATE       where to remember what was handled (default consumer.db)

What is to be done with an event (`handle`) is written in one transaction with the event's id; only then is the delivery
acknowledged. Killed before the commit, nothing was done; killed after it, the event comes again and is known.
"""

import asyncio
import os
import signal
import sqlite3
import sys
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError

from contracts.events import Event, MessageCreated, OtherEvent, parse_event

TABLES = """
CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS counts (conversation TEXT PRIMARY KEY, messages INTEGER NOT NULL);
-- Nothing comes again that is older than the queue and the stream keep.
DELETE FROM handled WHERE at < datetime('now', '-14 days');
"""


def handle(database: sqlite3.Connection, event: Event | OtherEvent) -> None:
    """What this program is for: it counts messages, which would show everything that is handled twice."""
    if isinstance(event, MessageCreated):
        database.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1", (event.subject,)
        )


def handle_once(database: sqlite3.Connection, body: bytes) -> bool:
    """Whether the event was new. Raises pydantic.ValidationError for what is no event."""
    event = parse_event(body)
    with database:  # one transaction
        if not database.execute("INSERT OR IGNORE INTO handled (id) VALUES (?)", (event.id,)).rowcount:
            return False
        handle(database, event)
    return True


async def main() -> None:
    url, prefix = os.environ["AMQP_URL"], os.environ.get("PREFIX", "")
    database = sqlite3.connect(os.environ.get("STATE", "consumer.db"))
    database.executescript(TABLES)

    async def arrived(message: AbstractIncomingMessage) -> None:
        try:
            handle_once(database, message.body)
        except ValidationError as error:
            # Not to be had by trying again: it is said, and passed over.
            print(f"not an event: {error}", file=sys.stderr)
        await message.ack()

    # A robust connection comes back by itself, with its channel, queue, bindings and consumer.
    connection = await aio_pika.connect_robust(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        # Durable: what happens while this program is away waits here, within the bounds of the operator's policy.
        queue = await channel.declare_queue(f"{prefix}integrator.{urlsplit(url).username}.consumer", durable=True)
        await queue.bind(f"{prefix}chat.events", "message.#")
        await queue.consume(arrived)
        print("following", flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

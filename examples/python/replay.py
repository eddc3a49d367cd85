"""Keep a copy of all conversations in SQLite, from the stream of the last days' events: what REST would answer, offline.

    AMQP_URL    a user that `palabre topology --reader NAME` made
    PREFIX      of the environment, where it has one
    STATE       the copy (default replay.db)
    SINCE       for the first run: `first` (default), or an instant, as 2026-01-31T12:00:00Z

The offset of an event is written in one transaction with what it changed, so the next run goes on behind it. Events of a
conversation are in order; the same may come again, and is known by its numbers: a message's `seq`, a change's `changeSeq`.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from datetime import datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError

from contracts.events import ConversationUpdated, Event, MessageCreated, MessageUpdated, OtherEvent, parse_event
from contracts.message import Message

TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    conversation TEXT, seq INTEGER, id TEXT, change INTEGER, body TEXT, PRIMARY KEY (conversation, seq)
);
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER);
"""
PUT = """
INSERT INTO messages VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET change = excluded.change, body = excluded.body WHERE excluded.change > messages.change
"""


def apply(database: sqlite3.Connection, event: Event | OtherEvent) -> None:
    """Change the copy as the event says; applying it again changes nothing."""
    match event:
        case MessageCreated():
            put(database, event.data)
        case MessageUpdated():
            put(database, event.data.message)
        case ConversationUpdated() if event.data.update_type == "deleted":
            database.execute("DELETE FROM messages WHERE conversation = ?", (event.subject,))


def put(database: sqlite3.Connection, message: Message) -> None:
    """The message, unless a newer state of it is there."""
    body = message.encode().decode()
    database.execute(PUT, (message.conversation_id, message.seq, message.id, message.change_seq or 0, body))


def history(database: sqlite3.Connection, conversation_id: str) -> list[dict[str, Any]]:
    """All messages as REST shows them.

    Two things are told by other messages, and are put together here: how many replies a message has, and that a quoted one
    was deleted.
    """
    rows = database.execute("SELECT body FROM messages WHERE conversation = ? ORDER BY seq", (conversation_id,))
    messages = [json.loads(body) for (body,) in rows]
    replies: dict[str, list[int]] = {}
    for message in messages:
        if "replyTo" in message:
            replies.setdefault(message["replyTo"], []).append(message["seq"])
    deleted = {message["id"] for message in messages if message.get("isDeleted")}
    for message in messages:
        if found := replies.get(message["id"]):
            message["replies"] = {"count": len(found), "lastSeq": found[-1]}
        if message.get("replyTo") in deleted:
            message["reply"] |= {"preview": "", "isDeleted": True}
    return messages


def start(database: sqlite3.Connection, since: str) -> int | str | datetime:
    """Where to begin: behind what was applied; the first time as SINCE says."""
    if (row := database.execute("SELECT next FROM position").fetchone()) is not None:
        return int(row[0])
    return since if since in ("first", "last", "next") else datetime.fromisoformat(since)


async def main() -> None:
    prefix = os.environ.get("PREFIX", "")
    database = sqlite3.connect(os.environ.get("STATE", "replay.db"))
    database.executescript(TABLES)

    async def arrived(message: AbstractIncomingMessage) -> None:
        offset = int(str(message.headers["x-stream-offset"]))
        try:
            event = parse_event(message.body)
        except ValidationError as error:
            print(f"not an event, at offset {offset}: {error}", file=sys.stderr)
        else:
            with database:  # one transaction
                apply(database, event)
                database.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (offset + 1,))
        await message.ack()  # takes nothing away: it asks for more

    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)  # a stream has no consumer without it
        log = await channel.get_queue(f"{prefix}chat.events.log", ensure=False)  # which we may read, not declare
        offset = start(database, os.environ.get("SINCE", "first"))
        await log.consume(arrived, arguments={"x-stream-offset": offset})
        print("replaying", flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        connection.close_callbacks.add(lambda *_: stop.set())  # whoever runs this starts it again, at its offset
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

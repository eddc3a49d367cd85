"""Conversations and messages put straight into MongoDB, as the persister would have stored them: many, and fast."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from bench.room import FILLER
from bench.target import BenchError, Person, Target
from contracts import collections
from contracts.shape import now

BATCH = 5000  # documents of one insert
Document = dict[str, Any]


@asynccontextmanager
async def database(target: Target) -> AsyncIterator[AsyncDatabase[Document]]:
    """The system's own."""
    if target.mongodb is None:
        raise BenchError("This measurement writes to MongoDB itself: it needs the state file of `make run`, not --url.")
    async with AsyncMongoClient[Document](target.mongodb, tz_aware=True) as client:
        yield client[os.environ.get("MONGODB_DATABASE") or "palabre"]


async def conversations(target: Target, members: list[list[Person]]) -> list[str]:
    """A conversation of each of these groups; returns their ids."""
    moment = now()
    made = [(uuid.uuid4().hex, them) for them in members]
    rooms = (
        {
            "_id": conversation_id,
            "type": "group",
            "name": "bench growth",
            "createdAt": moment,
            "createdBy": them[0].user_id,
            "lastSeq": 0,
            "lastActivityAt": moment,
            "change": {"id": "0", "at": moment, "added": [], "removed": [], "promoted": []},
        }
        for conversation_id, them in made
    )
    memberships = (
        {
            "conversationId": conversation_id,
            "userId": person.user_id,
            "role": "member",
            "joinedAt": moment,
            "lastReadSeq": 0,
            "muted": False,
        }
        for conversation_id, them in made
        for person in them
    )
    async with database(target) as db:
        await _insert(db, collections.CONVERSATIONS.name, rooms)
        await _insert(db, collections.MEMBERSHIPS.name, memberships)
    return [conversation_id for conversation_id, _ in made]


async def messages(target: Target, conversation_id: str, count: int, sender: Person) -> None:
    """Messages 1 to `count` of a conversation that has none."""
    begin = now() - timedelta(seconds=count)
    documents = (
        {
            "_id": uuid.uuid4().hex,
            "conversationId": conversation_id,
            "seq": seq,
            "senderId": sender.user_id,
            "senderName": "Bench",
            "senderAvatar": None,
            "content": f"{seq} {FILLER}",
            "createdAt": begin + timedelta(seconds=seq),
        }
        for seq in range(1, count + 1)
    )
    async with database(target) as db:
        await _insert(db, collections.MESSAGES.name, documents)
        await db[collections.CONVERSATIONS.name].update_one({"_id": conversation_id}, {"$set": {"lastSeq": count}})


async def _insert(db: AsyncDatabase[Document], name: str, documents: Iterator[Document]) -> None:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            await db[name].insert_many(batch, ordered=False)
            batch = []
    if batch:
        await db[name].insert_many(batch, ordered=False)

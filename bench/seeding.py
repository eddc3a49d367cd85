"""Conversations and messages put straight into MongoDB, as the persister would have stored them: many, and fast."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import uuid_utils
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from bench.room import FILLER
from bench.target import BenchError, Person, Target
from contracts import collections
from contracts.shape import now

BATCH, LANES = 5000, 2  # documents of one insert, and how many of those at the same time
Document = dict[str, Any]


@asynccontextmanager
async def database(target: Target) -> AsyncIterator[AsyncDatabase[Document]]:
    """The system's own."""
    if target.mongodb is None:
        raise BenchError("This measurement writes to MongoDB itself: it needs the state file of `make run`, not --url.")
    async with AsyncMongoClient[Document](target.mongodb, tz_aware=True) as client:
        yield client[os.environ.get("MONGODB_DATABASE") or "palabre"]


def new_id() -> str:
    """A UUIDv7, as gateways make them: new ones go to the end of an index."""
    return uuid_utils.uuid7().hex


async def conversations(target: Target, members: list[list[Person]], stored: int = 0) -> list[str]:
    """A conversation of each of these groups, with so many messages in all to come; returns their ids."""
    moment = now()
    made = [(new_id(), them) for them in members]
    rooms = (
        {
            "_id": conversation_id,
            "type": "group",
            "name": "bench growth",
            "createdAt": moment,
            "createdBy": them[0].user_id,
            "lastSeq": head,
            "lastActivityAt": moment,
            "change": {"id": "0", "at": moment, "added": [], "removed": [], "promoted": []},
        }
        for (conversation_id, them), head in zip(made, heads(stored, len(made)), strict=True)
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


def heads(count: int, conversations: int) -> list[int]:
    """So many messages spread evenly: the head of each conversation."""
    each, more = divmod(count, conversations)
    return [each + (number < more) for number in range(conversations)]


async def messages(
    target: Target,
    conversation_id: str,
    count: int,
    sender: Person,
    content: Callable[[], str] = lambda: FILLER,
) -> None:
    """Messages 1 to `count` of a conversation that has none."""
    await spread(target, [conversation_id], count, sender, content)
    async with database(target) as db:
        await db[collections.CONVERSATIONS.name].update_one({"_id": conversation_id}, {"$set": {"lastSeq": count}})


async def spread(
    target: Target,
    conversation_ids: list[str],
    count: int,
    sender: Person,
    content: Callable[[], str] = lambda: FILLER,
) -> None:
    """So many messages, in turn into these conversations, that have none; as they come when all are talked in."""
    size = len(conversation_ids)
    begin = now() - timedelta(seconds=count)
    documents = (
        {
            "_id": new_id(),
            "conversationId": conversation_ids[number % size],
            "seq": number // size + 1,
            "senderId": sender.user_id,
            "senderName": "Bench",
            "senderAvatar": None,
            "content": f"{number // size + 1} {content()}",
            "createdAt": begin + timedelta(seconds=number),
            "tempId": f"seed {number}",
        }
        for number in range(count)
    )
    async with database(target) as db:
        await _insert(db, collections.MESSAGES.name, documents)


async def _insert(db: AsyncDatabase[Document], name: str, documents: Iterator[Document]) -> None:
    """All of them, in large batches; while MongoDB works at one, the next is made."""

    async def lane() -> None:
        while batch := list(itertools.islice(documents, BATCH)):
            await db[name].insert_many(batch, ordered=False)

    await asyncio.gather(*(lane() for _ in range(LANES)))

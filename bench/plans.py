"""How MongoDB carries out what the running services ask for a message, a join, a page: by which index, and at what price.

Nothing is asked again for this: MongoDB's own profiler notes every operation of every service while a few messages are
sent and read (https://www.mongodb.com/docs/manual/tutorial/manage-the-database-profiler/).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from bench import seeding
from bench.report import Result, Table
from bench.rest import Rest
from bench.talker import Talker
from bench.target import Person, Target
from contracts import collections

STORED, PAGE, SENT = 200, 50, 20  # messages of the conversation before, of a page, and sent into it
MEMBERS = 10
TIMEOUT = 20.0
PROFILE, PROFILE_BYTES = "system.profile", 16 * 1024 * 1024
SERVICES = ("gateway", "persister", "notifier")  # how their connections are called
MIB = 1024 * 1024


@dataclass
class Plan:
    """Operations of one service that were carried out alike: what they were, how many, and what they looked at."""

    service: str
    operation: str  # as `find messages`
    indexes: str
    times: int = 0
    returned: int = 0  # or matched or inserted, by a write
    keys: int = 0
    documents: int = 0


async def hot(target: Target, people: list[Person], result: Result) -> None:
    """Adds a table of all plans and one of all indexes; a fault for each plan that would cost more with more stored."""
    people = people[:MEMBERS]
    (conversation_id,) = await seeding.conversations(target, [people])
    await seeding.messages(target, conversation_id, STORED, people[0])
    async with seeding.database(target) as db:
        async with _profiled(db):
            await _talk(target, conversation_id, people)
        operations = [entry async for entry in db[PROFILE].find({"op": {"$ne": "getmore"}}) if _service(entry)]
        await db.drop_collection(PROFILE)
        names = {pattern: name async for pattern, name in _index_names(db)}
        sizes = [row async for row in _sizes(db)]
        result.figures |= await _message_sizes(db)
    result.faults += dict.fromkeys(fault for entry in operations if (fault := complaint(entry)))
    columns = ("service", "operation", "index", "times", "returned or written", "keys", "documents examined")
    rows = [
        (p.service, p.operation, p.indexes, *(f"{n:,}" for n in (p.times, p.returned, p.keys, p.documents)))
        for p in summarize(operations, names)
    ]
    title = f"What the services asked of MongoDB for {SENT} messages (and one of them again), a join, a page and heads"
    result.tables += [
        Table(title, columns, rows),
        Table("What is stored", ("collection", "documents", "on the disk, MiB", "indexes, MiB"), sizes),
    ]


def summarize(operations: list[dict[str, Any]], names: Mapping[str, str]) -> list[Plan]:
    """Entries of the profiler, those that were carried out alike together. `names` gives an index by its keys."""
    plans: dict[tuple[str, str, str], Plan] = {}
    for entry in operations:
        key = _service(entry), _operation(entry), _indexes(entry, names)
        plan = plans.setdefault(key, Plan(*key))
        plan.times += 1
        plan.returned += _returned(entry)
        plan.keys += entry.get("keysExamined", 0)
        plan.documents += entry.get("docsExamined", 0)
    return sorted(plans.values(), key=lambda plan: (SERVICES.index(plan.service), plan.operation, plan.indexes))


def complaint(entry: Mapping[str, Any]) -> str | None:
    """Why this operation would cost more when more is stored, if so.

    For each value that is asked for, one document may be looked at that is not wanted: that is bounded by the question.
    """
    what = f"{_service(entry)}: {_operation(entry)}"
    if "COLLSCAN" in entry.get("planSummary", ""):
        return f"{what} scans the collection"
    question = [entry["command"].get(part) for part in ("filter", "q", "query", "pipeline")]
    documents, returned = entry.get("docsExamined", 0), _returned(entry)
    if documents > returned + _values(question):
        return f"{what} examines {documents} documents for {returned}"
    return None


def _values(question: Any) -> int:
    """How many values it names."""
    if isinstance(question, Mapping):
        return sum(_values(part) for part in question.values())
    if isinstance(question, list):
        return sum(_values(part) for part in question)
    return question is not None


def _service(entry: Mapping[str, Any]) -> str:
    """Whose operation it was; empty when it was none of a service."""
    name = str(entry.get("appName", "")).partition(" ")[0]
    return name if name in SERVICES else ""


def _operation(entry: Mapping[str, Any]) -> str:
    command = entry["command"]
    verb = entry["op"] if "q" in command else next(iter(command))  # an update of several is noted one by one
    return f"{verb} {entry['ns'].partition('.')[2]}"


def _returned(entry: Mapping[str, Any]) -> int:
    return int(sum(entry.get(name, 0) for name in ("nreturned", "nMatched", "nUpserted", "ninserted")))


def _indexes(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if entry["op"] == "insert":
        return "all" if _returned(entry) else "refused by a unique one"
    collection, summary = entry["ns"].partition(".")[2], entry.get("planSummary", "")
    found = [names.get(f"{collection} {keys}", keys) for keys in re.findall(r"\{[^}]*\}", summary)]
    if "IDHACK" in summary:
        found.append("_id_")
    return ", ".join(sorted(set(found))) or summary


async def _index_names(db: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[tuple[str, str]]:
    """(collection and keys as a plan's summary writes them, name) of every index."""
    for collection in collections.COLLECTIONS:
        for name, index in (await db[collection.name].index_information()).items():
            keys = ", ".join(f"{field}: {direction}" for field, direction in index["key"])
            yield f"{collection.name} {{ {keys} }}", name


async def _sizes(db: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[tuple[str, ...]]:
    for collection in collections.COLLECTIONS:
        stats = await db.command("collStats", collection.name)
        indexes = ", ".join(f"{name} {size / MIB:,.1f}" for name, size in stats["indexSizes"].items())
        yield collection.name, f"{stats['count']:,}", f"{stats['storageSize'] / MIB:,.1f}", indexes


async def _message_sizes(db: AsyncDatabase[dict[str, Any]]) -> dict[str, float]:
    """Bytes a message; they mean something where many are stored."""
    stats = await db.command("collStats", collections.MESSAGES.name)
    names = {"as it is": "size", "on the disk": "storageSize", "in indexes": "totalIndexSize"}
    return {f"a stored message: bytes {name}": stats[key] / max(stats["count"], 1) for name, key in names.items()}


@asynccontextmanager
async def _profiled(db: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[None]:
    """Every operation on this database is noted meanwhile; what the profiler did before, it does again."""
    before = await db.command("profile", 0)
    await db.drop_collection(PROFILE)
    await db.create_collection(PROFILE, capped=True, size=PROFILE_BYTES)
    await db.command("profile", 2)
    try:
        yield
    finally:
        await db.command("profile", before["was"], slowms=before["slowms"])


async def _talk(target: Target, conversation_id: str, people: list[Person]) -> None:
    """What makes the services ask: a join with a replay, messages, one of them again, heads, a page, a notification."""
    url, socket = target.urls[0]
    async with asyncio.timeout(TIMEOUT), Talker(socket, people[0]) as one, Talker(socket, people[1]) as other:
        one.send({"type": "join_conversation", "conversationId": conversation_id, "afterSeq": STORED - PAGE})
        await one.until("new_message", PAGE)
        for number in (*range(SENT), SENT - 1):
            message = {"type": "send_message", "conversationId": conversation_id, "content": f"{number}"}
            one.send({**message, "tempId": f"plan {number}"})
            await one.until("message_sent")
        one.send({"type": "ping", "heads": {conversation_id: 1}})
        await one.until("pong")
        async with Rest(url, people[0].token) as rest:
            await rest.get(f"/api/conversations/{conversation_id}/messages?beforeSeq={STORED}&limit={PAGE}")
        await other.until("notification", SENT)  # of all: it has joined nothing

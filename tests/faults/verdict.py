"""When all is quiet: what the servers have, what clients have, and whether that is what was promised."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from motor.motor_asyncio import AsyncIOMotorClient

from contracts import collections
from contracts.topology import Topology
from tests.faults.checker import Defect, check
from tests.faults.history import Event, Stored, Truth, digest
from tests.faults.people import PAGE, Crowd

QUIET = 60.0  # seconds until everybody has everything, at most; who has not by then is missing it
EVENTS = 120.0
KINDS = {"chat.message.created.v1": "created", "chat.message.updated.v1": "updated"}


class Scene(Protocol):
    """Where people talked, and how its servers are asked. Notes are failures that are no matter of the checker's."""

    crowd: Crowd
    topology: Topology
    notes: list[str]

    @property
    def mongodb(self) -> tuple[str, str]:
        """URL and database."""

    def channel(self) -> AbstractAsyncContextManager[AbstractChannel]:
        """To RabbitMQ."""

    async def whole(self) -> None:
        """Until everything works."""


async def verdict(stage: Scene, told: Iterable[Event] = ()) -> list[Defect]:
    """Let everybody finish, and look at everything; `told`: events of a log before the one that is there now."""
    await stage.crowd.hush()
    await stage.whole()
    stored = await messages(stage)
    await settled(stage, stored)
    history = stage.crowd.history
    history.present = {(p.user_id, room) for p in stage.crowd.everybody for room in p.joined}
    truth = Truth(stored, await shown(stage), [*told, *await events(stage)])
    return check(history, truth)


async def messages(stage: Scene) -> list[Stored]:
    """What MongoDB has of this crowd's rooms."""
    url, database = stage.mongodb
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url)
    try:
        found = client[database][collections.MESSAGES.name].find(
            {"conversationId": {"$in": stage.crowd.rooms}},
            ["conversationId", "seq", "senderId", "tempId", "changeSeq", "createdAt"],
        )
        return [
            Stored(
                d["conversationId"],
                d["seq"],
                d["_id"],
                d["senderId"],
                d.get("tempId"),
                d.get("changeSeq", 0),
                d["createdAt"].replace(tzinfo=UTC).timestamp(),
            )
            async for d in found.sort([("conversationId", 1), ("seq", 1)])
        ]
    finally:
        client.close()


async def settled(stage: Scene, stored: list[Stored]) -> None:
    """Until everybody is everywhere and knows the last message and the last change, or long enough."""
    heads = dict.fromkeys(stage.crowd.rooms, 0)
    changes = dict.fromkeys(stage.crowd.rooms, 0)
    for message in stored:
        heads[message.conversation] = max(heads[message.conversation], message.seq)
        changes[message.conversation] = max(changes[message.conversation], message.change)
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        behind = [
            (person.name, room)
            for person in stage.crowd.everybody
            for room in person.conversations
            if room not in person.joined or not person.has(room, heads[room], changes[room])
        ]
        if not behind:
            return
        await asyncio.sleep(0.1)
    stage.notes.append(f"after {QUIET:.0f} s of quiet {len(behind)} clients are behind: {behind[:5]}")


async def shown(stage: Scene) -> dict[tuple[str, int], str]:
    """Every message as somebody who comes now is shown it."""
    assert stage.crowd.owner is not None
    found: dict[tuple[str, int], str] = {}
    for room in stage.crowd.rooms:
        after, more = 0, True
        while more:
            page = await stage.crowd.owner.call(
                "GET", f"/api/conversations/{room}/messages", params={"afterSeq": after, "limit": PAGE}
            )
            for message in page["items"]:
                after = message["seq"]
                found[room, after] = digest(message)
            more = page["hasMore"]
    return found


async def events(stage: Scene) -> list[Event]:
    """The log, from its beginning up to an event of our own."""
    found: list[Event] = []
    rooms = set(stage.crowd.rooms)
    end = f"end-{uuid4().hex}"
    ended = asyncio.Event()

    async def arrived(message: AbstractIncomingMessage) -> None:
        event = orjson.loads(message.body)
        if event["id"] == end:
            ended.set()
        elif event.get("subject") in rooms:
            found.append(_event(event))
        await message.ack()

    async with stage.channel() as channel:
        exchange = await channel.get_exchange(stage.topology.events.name)
        await exchange.publish(aio_pika.Message(orjson.dumps({"id": end})), "end")
        await channel.set_qos(prefetch_count=1000)
        log = await channel.get_queue(stage.topology.log.name)
        await log.consume(arrived, arguments={"x-stream-offset": "first"})
        async with asyncio.timeout(EVENTS):
            await ended.wait()
    return found


def _event(event: dict[str, Any]) -> Event:
    data, kind, at = event["data"], KINDS.get(event["type"]), datetime.fromisoformat(event["time"]).timestamp()
    if kind is None:
        change = data.get("updateType", "")
        known = change if change in ("member_added", "member_removed") else ""
        return Event(event["id"], known, event["subject"], users=tuple(data.get("userIds", ())), at=at)
    message = data["message"] if kind == "updated" else data
    seq, change_seq = message["seq"], message.get("changeSeq", 0)
    return Event(event["id"], kind, event["subject"], seq, message["id"], change_seq, at=at)

"""`read.mark`: who has read how far. It only ever rises, and never above the newest message.

What moved a mark is noted beside it, so that a command that comes again after a crash is told again, and one that moves
nothing is told to nobody but its sender.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from contracts import collections, events, fanout
from contracts.commands import MarkRead
from contracts.errors import ErrorCode, Refusal
from contracts.ids import read_event_id
from contracts.shape import now
from services.mongo import Database
from services.persister.outcome import Outcome, refused
from services.persister.rooms import Rooms

Pair = tuple[str, str]  # conversation, user


async def mark_all(database: Database, rooms: Rooms, commands: Sequence[MarkRead]) -> dict[str, Outcome]:
    """Move the marks, in one write; each command's outcome by its id.

    Raises:
        pymongo.errors.PyMongoError: the database is away; some may be stored, and all may be tried again.
    """
    if not commands:
        return {}
    pairs = {(command.conversation_id, command.actor.user_id) for command in commands}
    await rooms.load(database, pairs)
    await rooms.load_sizes(database, {conversation for conversation, _ in pairs})
    known = await _marks(database, pairs)
    moment = now()
    outcomes: dict[str, Outcome] = {}
    wanted: dict[Pair, list[MarkRead]] = defaultdict(list)
    for command in commands:
        pair = (command.conversation_id, command.actor.user_id)
        if pair not in known:
            outcomes[command.id] = refused(command, Refusal(ErrorCode.NOT_A_MEMBER))
        elif command.expires_at <= moment and known[pair].get("readBy") != command.id:
            outcomes[command.id] = refused(command, Refusal(ErrorCode.TIMEOUT))
        else:
            wanted[pair].append(command)
    writes = []
    for pair, group in wanted.items():
        conversation, user = pair
        mark, head, private = known[pair], rooms.head(conversation), rooms.is_crowded(conversation)
        furthest = max(group, key=lambda command: command.seq)
        seq = min(furthest.seq, head)
        teller: MarkRead | None = furthest
        if seq > mark["lastReadSeq"]:
            writes.append(_write(pair, furthest.id, seq, None if private else moment))
        else:
            seq = mark["lastReadSeq"]
            teller = next((command for command in group if command.id == mark.get("readBy")), None)
        for command in group:
            outcomes[command.id] = (
                _told(command, user, seq, moment, private)
                if command is teller
                else Outcome(reply=fanout.Reply(command_id=command.id, seq=seq))
            )
    if writes:
        await database[collections.MEMBERSHIPS.name].bulk_write(writes, ordered=False)
    return outcomes


async def _marks(database: Database, pairs: Iterable[Pair]) -> dict[Pair, dict[str, Any]]:
    query = {"$or": [{"conversationId": conversation, "userId": user} for conversation, user in pairs]}
    cursor = database[collections.MEMBERSHIPS.name].find(
        query, {"_id": 0, "conversationId": 1, "userId": 1, "lastReadSeq": 1, "readBy": 1}
    )
    return {(document["conversationId"], document["userId"]): document async for document in cursor}


def _write(pair: Pair, command_id: str, seq: int, at: datetime | None) -> UpdateOne:
    """`at` is what a gateway finds the mark by that was not told of it."""
    noted = {"readBy": command_id} | ({"readAt": at} if at is not None else {})
    # $max: another process that lost its partition and does not know yet may write as well.
    return UpdateOne({"conversationId": pair[0], "userId": pair[1]}, {"$max": {"lastReadSeq": seq}, "$set": noted})


def _told(command: MarkRead, user: str, seq: int, at: datetime, private: bool) -> Outcome:
    conversation = command.conversation_id
    read = events.Read(conversation_id=conversation, user_id=user, seq=seq)
    event = events.ReadUpdated(id=read_event_id(conversation, user, seq), subject=conversation, time=at, data=read)
    item = fanout.ReadUpdated(
        command_id=command.id, conversation_id=conversation, user_id=user, seq=seq, private=private or None
    )
    return Outcome(
        events=[(events.routing_key(event.type, conversation), event.id, event.encode())],
        items=[(item, read.encode())],
    )

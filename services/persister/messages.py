"""`message.send`: number and store a batch of messages, each once, without holes.

Heads are held in memory while this process has the partition, read from the last message when it takes one over. All new
messages of a batch go into one *ordered* insert, so that a crash leaves a prefix and never a hole.

The unique indexes are asked, not the collection: that a message is stored already, or that another process wrote, shows
as a duplicate key, and then the batch begins again from what is stored. Only what would be refused is looked up first,
since what was stored once is never refused later. While it is not known whether it will stay stored, nothing is answered.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from pymongo.errors import BulkWriteError, WTimeoutError
from pymongo.read_concern import ReadConcern

from contracts import collections, events, fanout, rights
from contracts.commands import SendMessage
from contracts.errors import ErrorCode, Refusal
from contracts.ids import message_event_id
from contracts.shape import now
from services.mongo import Database, encode_message
from services.persister import mentions, metrics, search_index, threads
from services.persister.outcome import Outcome, refused
from services.persister.rooms import Contended, Rooms
from services.persister.threads import Quotes

DUPLICATE_KEY, WRITE_CONCERN_FAILED = 11000, 64
REMAINS = 4  # hexadecimal digits of a fingerprint that outlive the words: too few to find a text by them
LOCAL = ReadConcern("local")  # what the primary has, whoever else does
# Two processes can collide over a partition for as long as the loser does not know; each round one of them gains ground.
ROUNDS = 20


async def send_all(database: Database, rooms: Rooms, commands: Sequence[SendMessage]) -> dict[str, Outcome]:
    """Store what is new; returns each command's outcome by its id.

    Raises:
        pymongo.errors.PyMongoError: the database is away, or a majority of it; some may be stored, and all may be tried
            again.
        Contended: see there.
    """
    conversations = {command.conversation_id for command in commands}
    for number in range(ROUNDS):
        try:
            outcomes = await _round(database, rooms, commands, sure=number == 0)
        except BulkWriteError as error:
            rooms.forget(conversations)
            if not any(problem["code"] == DUPLICATE_KEY for problem in error.details["writeErrors"]):
                raise
            metrics.FENCED.inc()
        except BaseException:
            # Whether it was stored is not known: what is in memory may be wrong.
            rooms.forget(conversations)
            raise
        else:
            if untold := _untold(rooms, conversations, outcomes):
                await _tell_others(database, commands, outcomes, untold)
            return outcomes
    raise Contended("another persister writes to the same conversations")


async def _round(database: Database, rooms: Rooms, commands: Sequence[SendMessage], sure: bool) -> dict[str, Outcome]:
    """Store what is new. With `sure` nothing is taken for stored but what would be refused."""
    await rooms.load(database, [(command.conversation_id, command.actor.user_id) for command in commands])
    quotes = await threads.quotes(database, commands)
    forbidden = await mentions.load(database, rooms, commands)
    moment = now()
    refusals = {c.id: r for c in commands if (r := _judge(c, rooms, quotes, moment) or forbidden.get(c.id))}
    stored = await _stored(database, [c for c in commands if not sure or c.id in refusals])
    outcomes: dict[str, Outcome] = {}
    fresh: dict[str, dict[str, Any]] = {}  # by command id, in order
    by_temp: dict[tuple[str, str, str], dict[str, Any]] = {}
    heads: dict[str, int] = {}
    for command in commands:
        temp = _temp_key(command)
        known = stored.get(command.id) or (stored.get(temp) if temp else None) or fresh.get(command.id)
        if known is None and temp is not None:
            known = by_temp.get(temp)
        if known is not None:
            if command.id not in fresh:
                outcomes[command.id] = _repeated(command, known)
            continue
        if command.id in refusals:
            outcomes[command.id] = refused(command, refusals[command.id])
            continue
        conversation = command.conversation_id
        heads[conversation] = heads.get(conversation, rooms.head(conversation)) + 1
        document = _document(command, heads[conversation], moment, quotes, rooms)
        fresh[command.id] = document
        if temp is not None:
            by_temp[temp] = document
    if fresh:
        await database[collections.MESSAGES.name].insert_many(list(fresh.values()), ordered=True)
        rooms.advance(heads)
    by_id = {command.id: command for command in commands}
    for command_id, document in fresh.items():
        outcomes[command_id] = _created(by_id[command_id], document)
    return outcomes


def _untold(rooms: Rooms, conversations: Iterable[str], outcomes: dict[str, Outcome]) -> dict[str, int]:
    """Conversations in which more is stored above what is told than this batch tells; each with what is told."""
    mine: dict[str, set[int]] = {}
    for outcome in outcomes.values():
        for item, _ in outcome.items:
            if isinstance(item, fanout.MessageCreated):
                mine.setdefault(item.conversation_id, set()).add(item.seq)
    untold = {}
    for conversation in conversations:
        told, head = rooms.told(conversation), rooms.head(conversation)
        if head - told > sum(seq > told for seq in mine.get(conversation, ())):
            untold[conversation] = told
    return untold


async def _tell_others(
    database: Database, commands: Sequence[SendMessage], outcomes: dict[str, Outcome], untold: dict[str, int]
) -> None:
    """What another process has stored above these numbers is told with the batch, in order.

    It may have died before it told it itself; and where its command was refused here meanwhile, that does not come again.
    Gateways need no item: to them it is a hole.
    """
    told = {event_id for outcome in outcomes.values() for _, event_id, _ in outcome.events}
    above = [{"conversationId": conversation, "seq": {"$gt": seq}} for conversation, seq in untold.items()]
    others: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async for document in database[collections.MESSAGES.name].find({"$or": above}).sort("seq", -1):
        if message_event_id(document["conversationId"], document["seq"]) not in told:
            others[document["conversationId"]].append(document)
    for conversation, newest_first in others.items():
        mine = [command for command in commands if command.conversation_id == conversation]
        end = len(outcomes[mine[-1].id].events)
        for document in newest_first:
            later = (command for command in mine if _seq_of(outcomes[command.id]) > document["seq"])
            command = next(later, None)
            outcome = outcomes[(command or mine[-1]).id]
            outcome.events.insert(0 if command else end, _event(document, encode_message(document)))
            outcome.follow_ups += search_index.follow_ups(mine[-1], conversation, document["seq"])


def _seq_of(outcome: Outcome) -> int:
    """The number of the message that it tells; 0 where it tells none."""
    return next((item.seq for item, _ in outcome.items if isinstance(item, fanout.MessageCreated)), 0)


def _event(document: dict[str, Any], body: bytes) -> tuple[str, str, bytes]:
    conversation_id, seq = document["conversationId"], document["seq"]
    return (
        events.routing_key("chat.message.created.v1", conversation_id),
        message_event_id(conversation_id, seq),
        events.message_created(conversation_id, seq, document["createdAt"], body),
    )


def fingerprint(command: SendMessage) -> str:
    """Tells one content from another under the same `tempId`, also after the message was edited."""
    attachments = [attachment.model_dump(mode="json") for attachment in command.attachments or ()]
    content: list[Any] = [command.content, attachments, command.reply_to]
    if command.mentions or command.mention_all:  # without any it is what was stored before there were mentions
        content += [command.mentions or [], bool(command.mention_all)]
    return hashlib.blake2b(to_json(content), digest_size=12).hexdigest()


def _temp_key(command: SendMessage) -> tuple[str, str, str] | None:
    if command.temp_id is None:
        return None
    return (command.conversation_id, command.actor.user_id, command.temp_id)


async def _stored(database: Database, commands: Sequence[SendMessage]) -> dict[Any, dict[str, Any]]:
    """Messages that exist already, by their id and by (conversation, sender, tempId).

    Raises:
        pymongo.errors.WTimeoutError: one of them is not stored by a majority yet; an election may take it back.
    """
    if not commands:
        return {}
    temps: dict[tuple[str, str], list[str]] = defaultdict(list)
    for command in commands:
        if command.temp_id is not None:
            temps[command.conversation_id, command.actor.user_id].append(command.temp_id)
    either: list[dict[str, Any]] = [{"_id": {"$in": [command.id for command in commands]}}]
    either += [
        {"conversationId": conversation, "senderId": sender, "tempId": {"$in": ids}}
        for (conversation, sender), ids in temps.items()
    ]
    collection, query = database[collections.MESSAGES.name], {"$or": either}
    here = {document["_id"] async for document in collection.with_options(read_concern=LOCAL).find(query, {"_id": 1})}
    if not here:
        return {}
    found: dict[Any, dict[str, Any]] = {}
    async for document in collection.find(query):
        here.discard(document["_id"])
        found[document["_id"]] = document
        if "tempId" in document:
            found[document["conversationId"], document["senderId"], document["tempId"]] = document
    if here:
        raise WTimeoutError("a message is not stored by a majority yet", WRITE_CONCERN_FAILED)
    return found


def _judge(command: SendMessage, rooms: Rooms, quotes: Quotes, moment: datetime) -> Refusal | None:
    if command.expires_at <= moment:
        return Refusal(ErrorCode.TIMEOUT)
    if not rooms.is_member(command.conversation_id, command.actor.user_id):
        return Refusal(ErrorCode.NOT_A_MEMBER)
    if rooms.is_closed(command.conversation_id):
        return Refusal(ErrorCode.FORBIDDEN, rights.CLOSED)
    if command.reply_to is not None and (command.conversation_id, command.reply_to) not in quotes:
        return Refusal(ErrorCode.NOT_FOUND, "replyTo names no message of this conversation.")
    return None


def _document(command: SendMessage, seq: int, moment: datetime, quotes: Quotes, rooms: Rooms) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_id": command.id,
        "conversationId": command.conversation_id,
        "seq": seq,
        "senderId": command.actor.user_id,
        "senderName": command.actor.user_name,
        "senderAvatar": command.actor.avatar,
        "content": command.content,
        "createdAt": moment,
    }
    if command.temp_id is not None:
        document |= {"tempId": command.temp_id, "tempHash": fingerprint(command)}
    if command.attachments:
        document["attachments"] = [attachment.model_dump() for attachment in command.attachments]
    if command.reply_to is not None:
        document |= {"replyTo": command.reply_to, "reply": quotes[command.conversation_id, command.reply_to]}
    return document | mentions.fields_of(command, rooms)


def _repeated(command: SendMessage, document: dict[str, Any]) -> Outcome:
    if document["_id"] == command.id:
        # The same command again: its event may have been lost with the process that stored it.
        metrics.REPEATS.labels("redelivery").inc()
        return _created(command, document)
    metrics.REPEATS.labels("retry").inc()
    # Of a deleted message only the rest is there.
    if not fingerprint(command).startswith(document.get("tempHash", "")):
        return refused(command, Refusal(ErrorCode.TEMP_ID_CONFLICT))
    return Outcome(
        reply=fanout.Reply(
            command_id=command.id,
            message_id=document["_id"],
            seq=document["seq"],
            created_at=document["createdAt"],
            duplicate=True,
        )
    )


def _created(command: SendMessage, document: dict[str, Any]) -> Outcome:
    conversation_id, seq, created_at = document["conversationId"], document["seq"], document["createdAt"]
    body = encode_message(document)
    item = fanout.MessageCreated(
        conversation_id=conversation_id,
        seq=seq,
        message_id=document["_id"],
        sender_id=document["senderId"],
        created_at=created_at,
        gateway_id=command.origin.gateway_id,
        temp_id=command.temp_id,
        reply_to=document.get("replyTo"),
    )
    return Outcome(
        events=[_event(document, body)],
        items=[(item, body)],
        follow_ups=[*search_index.follow_ups(command, conversation_id, seq)],
    )

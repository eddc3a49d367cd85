"""`message.edit`, `message.delete`, `message.react`: what changes a stored message.

Each change has a number, 1, 2, 3 … in its conversation, and a message carries the number of its last one: `changeSeq`. The
last number of each conversation is held in memory, as its head is. A write names the number that the message had when it
was read, so what somebody else has changed meanwhile is read again; and the unique index fences a process that lost its
partition.

A command that finds its effect there already changes nothing and tells what is stored, so one that comes again after a
crash is told, if it was not. Only an edit could bring back what was replaced since: a message knows its last ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from contracts import collections, events, fanout
from contracts.commands import AboutMessage, DeleteMessage, EditMessage, React
from contracts.errors import ErrorCode, Refusal
from contracts.ids import change_event_id
from contracts.message import Change
from contracts.shape import now
from services.mongo import Database, encode_message
from services.persister import mentions, metrics, reactions, search_index, threads
from services.persister.messages import DUPLICATE_KEY, REMAINS
from services.persister.outcome import Outcome, refused
from services.persister.rooms import Contended, Rooms
from services.persister.standing import NOWHERE, Standing, standings

Document = dict[str, Any]
EARLIER = 20  # edits of a message that are known when they come again
DELETED = "The message was deleted."


@dataclass(frozen=True)
class Draft:
    """A change of a message before it is stored: fields with their new values, and those that go."""

    message: Document
    kind: Change
    fields: Document
    gone: Sequence[str] = ()
    note: Document = field(default_factory=dict)


async def edit(database: Database, rooms: Rooms, command: EditMessage, limit: float) -> Outcome:
    """Give a message another content, after what it said is kept; `limit` in seconds, 0 for none.

    Raises:
        Refusal: the actor may not, there is no such message, or it is too late.
        Contended: see there.
    """
    standing, message = await _look(database, command)
    standing.check("edit")
    if message is None:
        raise Refusal(ErrorCode.NOT_FOUND)
    if message["senderId"] != command.actor.user_id:
        raise Refusal(ErrorCode.FORBIDDEN, "Only its sender can edit a message.")
    if "isDeleted" in message:
        await database[collections.EDITS.name].delete_one({"_id": command.id})  # of a try that another one overtook
        raise Refusal(ErrorCode.NOT_FOUND, DELETED)
    earlier = message.get("change", {}).get("edits", [])
    if command.id in earlier:
        return _reworded(message, command)
    fields, gone = await _wording(database, rooms, command)
    if all(message.get(name) == value for name, value in fields.items()) and not any(name in message for name in gone):
        return _reworded(message, command)
    moment = now()
    _in_time(command, moment)
    if _is_late(message, limit, moment):
        raise Refusal(ErrorCode.FORBIDDEN, f"A message can be edited for {limit:g} seconds.")
    if not command.content and not message.get("attachments"):
        raise Refusal(ErrorCode.CONTENT_EMPTY)
    await _keep(database, command, message, moment)
    note = {"edits": [*earlier, command.id][-EARLIER:]}
    draft = Draft(message, "edited", {**fields, "editedAt": moment}, gone, note)
    (stored,) = await _store(database, rooms, [draft], moment)
    return _reworded(stored, command)


async def _wording(database: Database, rooms: Rooms, command: EditMessage) -> tuple[Document, list[str]]:
    """The fields that an edit asks for, and those that it takes away. Raises Refusal: FORBIDDEN, to mention everybody."""
    fields: Document = {"content": command.content}
    asked = {"mentions": command.mentions, "mentionAll": command.mention_all}
    if all(value is None for value in asked.values()):
        return fields, []
    await rooms.load(database, [(command.conversation_id, command.actor.user_id)])
    refusals = await mentions.load(database, rooms, [command])
    if command.id in refusals:
        raise refusals[command.id]
    fields |= mentions.fields_of(command, rooms)
    return fields, [name for name, value in asked.items() if value is not None and name not in fields]


async def delete(database: Database, rooms: Rooms, command: DeleteMessage, limit: float) -> Outcome:
    """Empty a message, and forget what it ever said; `limit` in seconds holds for its sender, 0 is none.

    Raises:
        Refusal: the actor may not, there is no such message, or it is too late.
        Contended: see there.
    """
    standing, message = await _look(database, command)
    if message is None:
        standing.check("delete_own")  # a stranger must not learn more
        raise Refusal(ErrorCode.NOT_FOUND)
    is_own = message["senderId"] == command.actor.user_id
    standing.check("delete_own" if is_own and not standing.may("delete_any") else "delete_any")
    if "isDeleted" not in message:
        moment = now()
        _in_time(command, moment)
        if _is_late(message, limit, moment) and not standing.may("delete_any"):
            raise Refusal(ErrorCode.FORBIDDEN, f"A message can be deleted for {limit:g} seconds.")
        gone = ("attachments", "reactions", "mentions", "mentionAll", "editedAt")
        rest = {"tempHash": message["tempHash"][:REMAINS]} if "tempHash" in message else {}
        draft = Draft(message, "deleted", {"content": "", "isDeleted": True, **rest}, gone)
        (message,) = await _store(database, rooms, [draft], moment)
    await _forget(database, message)
    return _reworded(message, command)


async def react_all(database: Database, rooms: Rooms, commands: Sequence[React]) -> dict[str, Outcome]:
    """Put and take back reactions, in order and in one write: one change for each message; outcomes by command id.

    Raises:
        pymongo.errors.PyMongoError: the database is away; some may be stored, and all may be tried again.
        Contended: see there.
    """
    if not commands:
        return {}
    known = await standings(database, {(c.conversation_id, c.actor.user_id) for c in commands})
    found = await _messages(database, commands)
    moment = now()
    outcomes: dict[str, Outcome] = {}
    wanted: dict[str, list[React]] = defaultdict(list)
    states: dict[str, reactions.Reactions] = {}
    for command in commands:
        standing = known.get((command.conversation_id, command.actor.user_id), NOWHERE)
        message = found.get((command.conversation_id, command.message_id))
        try:
            standing.check("react")
            if message is None:
                raise Refusal(ErrorCode.NOT_FOUND)
            before = states.setdefault(command.message_id, message.get("reactions", {}))
            states[command.message_id] = _react(command, message, before, moment)
        except Refusal as refusal:
            outcomes[command.id] = refused(command, refusal)
        else:
            wanted[command.message_id].append(command)
    messages = {message["_id"]: message for message in found.values()}
    drafts = [
        Draft(
            messages[m], "reactions", {"reactions": states[m]} if states[m] else {}, () if states[m] else ["reactions"]
        )
        for m in wanted
        if states[m] != messages[m].get("reactions", {})
    ]
    if drafts:
        messages |= {message["_id"]: message for message in await _store(database, rooms, drafts, moment)}
    for message_id, group in wanted.items():
        # The first brings the answer to all: so the numbers rise, as they are told.
        outcomes |= {command.id: Outcome() for command in group}
        outcomes[group[0].id] = _told(messages[message_id], "reactions", group)
    return outcomes


def _react(command: React, message: Document, before: reactions.Reactions, moment: datetime) -> reactions.Reactions:
    user = command.actor.user_id
    if reactions.has(before, command.emoji, user) == command.present:
        return before
    if "isDeleted" in message:
        raise Refusal(ErrorCode.NOT_FOUND, DELETED)
    _in_time(command, moment)
    change = reactions.put if command.present else reactions.take_back
    return change(before, command.emoji, user)


# ------------------------------------------------------------------------------------------------ reading


async def _look(database: Database, command: AboutMessage) -> tuple[Standing, Document | None]:
    """Who asks, and about what."""
    pair = command.conversation_id, command.actor.user_id
    standing = (await standings(database, [pair])).get(pair, NOWHERE)
    return standing, (await _messages(database, [command])).get((command.conversation_id, command.message_id))


async def _messages(database: Database, commands: Iterable[AboutMessage]) -> dict[tuple[str, str], Document]:
    """The messages that these are about, by conversation and id."""
    query = {"_id": {"$in": list({command.message_id for command in commands})}}
    cursor = database[collections.MESSAGES.name].find(query)
    return {(document["conversationId"], document["_id"]): document async for document in cursor}


def _in_time(command: AboutMessage, moment: datetime) -> None:
    if command.expires_at <= moment:
        raise Refusal(ErrorCode.TIMEOUT)


def _is_late(message: Document, limit: float, moment: datetime) -> bool:
    return bool(limit and moment - message["createdAt"] > timedelta(seconds=limit))


# ------------------------------------------------------------------------------------------------ writing


async def _keep(database: Database, command: EditMessage, message: Document, moment: datetime) -> None:
    """Keep what a message says, before it says something else; once for a command, however often it is tried."""
    former = {
        "conversationId": message["conversationId"],
        "messageId": message["_id"],
        "content": message["content"],
        "at": moment,
    }
    await database[collections.EDITS.name].update_one({"_id": command.id}, {"$set": former}, upsert=True)


async def _forget(database: Database, message: Document) -> None:
    """Whatever else keeps the words of a message that is deleted. Doing it again changes nothing."""
    await database[collections.EDITS.name].delete_many(
        {"conversationId": message["conversationId"], "messageId": message["_id"]}
    )
    await threads.empty_previews(database, message["conversationId"], message["_id"])


async def _store(database: Database, rooms: Rooms, drafts: Sequence[Draft], moment: datetime) -> list[Document]:
    """Number the changes and store them in one write; the messages as they are then.

    Raises:
        Contended: another process has changed one of the messages, or used a number.
    """
    conversations = {draft.message["conversationId"] for draft in drafts}
    await rooms.load_changes(database, conversations)
    last: dict[str, int] = {}
    writes: list[UpdateOne] = []
    stored: list[Document] = []
    for draft in drafts:
        message, conversation = draft.message, draft.message["conversationId"]
        last[conversation] = last.get(conversation, rooms.last_change(conversation)) + 1
        note = {"kind": draft.kind, "at": moment, **draft.note}
        fields = {**draft.fields, "changeSeq": last[conversation], "change": note}
        unchanged = {"_id": message["_id"], "conversationId": conversation, "changeSeq": message.get("changeSeq")}
        gone = {"$unset": dict.fromkeys(draft.gone, "")} if draft.gone else {}
        writes.append(UpdateOne(unchanged, {"$set": fields, **gone}))
        stored.append({name: value for name, value in message.items() if name not in draft.gone} | fields)
    try:
        result = await database[collections.MESSAGES.name].bulk_write(writes, ordered=True)
    except BulkWriteError as error:
        rooms.forget(conversations)
        if not any(problem["code"] == DUPLICATE_KEY for problem in error.details["writeErrors"]):
            raise
        metrics.FENCED.inc()
        raise Contended("another persister changes messages of the same conversation") from error
    except BaseException:
        # Whether it was stored is not known: what is in memory may be wrong.
        rooms.forget(conversations)
        raise
    if result.matched_count < len(writes):
        rooms.forget(conversations)
        raise Contended("another persister changes the same messages")
    rooms.advance_changes(last)
    return stored


# ------------------------------------------------------------------------------------------------ telling


def _reworded(message: Document, command: EditMessage | DeleteMessage) -> Outcome:
    """It is told, and found by other words from now on."""
    outcome = _told(message, "deleted" if isinstance(command, DeleteMessage) else "edited", [command])
    outcome.follow_ups += search_index.follow_ups(command, command.conversation_id, message["seq"], edited=True)
    return outcome


def _told(message: Document, asked: Change, commands: Sequence[AboutMessage]) -> Outcome:
    """What is stored of a message, to everybody, and as the answer to these commands."""
    conversation_id, number = message["conversationId"], message.get("changeSeq")
    note = message.get("change", {})
    change: Change = note.get("kind", asked)
    body = encode_message(message)
    item = fanout.MessageUpdated(
        conversation_id=conversation_id,
        seq=message["seq"],
        change_seq=number,
        change=change,
        command_ids=[command.id for command in commands],
        sender_id=message["senderId"] if "tempId" in message else None,
        temp_id=message.get("tempId"),
    )
    if number is None:  # it never changed: nobody else needs to know
        return Outcome(items=[(item, body)])
    event = (
        events.routing_key("chat.message.updated.v1", conversation_id),
        change_event_id(conversation_id, number),
        events.message_updated(conversation_id, number, note["at"], body, change),
    )
    return Outcome(events=[event], items=[(item, body)])

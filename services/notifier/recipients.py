"""Whom an event concerns, by what they want to be told of; and what connected people are told at once: `notification`
items for the fan-out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts import collections, events, fanout, frames
from contracts.conversation import ConversationType
from contracts.message import Message
from contracts.notifying import Kind, Level
from services.mongo import Database
from services.notifier.preferences import UNCHANGED, Remembered

AT_ONCE = 500  # recipients in one item of the fan-out
READ = 5000  # documents in one answer of MongoDB, which else gives a hundred at first


class Member(NamedTuple):
    """Somebody in a conversation: the newest message that they have read, and what they are told of there."""

    read: int
    level: Level


@dataclass(slots=True)
class Room:
    """A conversation and everybody in it."""

    name: str | None = None
    kind: ConversationType = "group"
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Concerned:
    """A stored message, or people who were added: whom it mentions or adds, and who else is to be told.

    Each with how far they have read.
    """

    event: events.MessageCreated | events.ConversationUpdated
    room: Room
    named: dict[str, int]
    others: dict[str, int]

    @property
    def message(self) -> Message | None:
        """The message, if it is one."""
        return self.event.data if isinstance(self.event, events.MessageCreated) else None

    @property
    def conversation_id(self) -> str:
        """Where."""
        return self.event.subject


async def concerned(database: Database, preferences: Remembered, batch: Sequence[events.Event]) -> list[Concerned]:
    """Those of the events that somebody is to be told of, in their order."""
    told = [
        event
        for event in batch
        if isinstance(event, events.MessageCreated)
        or (isinstance(event, events.ConversationUpdated) and event.data.update_type in ("created", "member_added"))
    ]
    if not told:
        return []
    rooms = await _rooms(database, preferences, {event.subject for event in told})
    found = []
    for event in told:
        room = rooms.get(event.subject)
        if room is None:
            continue
        if isinstance(event, events.MessageCreated):
            one = Concerned(event, room, *_of_message(event.data, room.members))
        else:
            one = Concerned(event, room, _of_change(event.data, room.members), {})
        if one.named or one.others:
            found.append(one)
    return found


def may_be_told(message: Message, user: str, level: Level) -> bool:
    """Whether somebody with this level is told of a message in a conversation of theirs."""
    if user == message.sender_id:
        return False
    return level == "all" or (level == "mentions" and is_mentioned(message, user))


def is_mentioned(message: Message, user: str) -> bool:
    """Whether a message mentions somebody, by name or with everybody."""
    return bool(message.mention_all) or user in (message.mentions or ())


def _of_message(message: Message, members: Mapping[str, Member]) -> tuple[dict[str, int], dict[str, int]]:
    """A mention for those whom it mentions; a message for the others."""
    mentioned: dict[str, int] = {}
    others: dict[str, int] = {}
    named = frozenset(message.mentions or ())
    for user, member in members.items():
        if user == message.sender_id:
            continue
        if message.mention_all or user in named:
            if member.level != "nothing":
                mentioned[user] = member.read
        elif member.level == "all":
            others[user] = member.read
    return mentioned, others


def _of_change(change: events.ConversationChange, members: Mapping[str, Member]) -> dict[str, int]:
    """Who was added, by somebody else, and is still there."""
    return {
        user: members[user].read
        for user in change.user_ids or ()
        if user != change.actor_id and user in members and members[user].level != "nothing"
    }


# ----------------------------------------------------------------------------------------------- notifications


def notifications(concerned: Iterable[Concerned], preview_length: int) -> list[tuple[fanout.Item, bytes]]:
    """Everything that connections of these people are to be told, in the order of the events."""
    return [item for one in concerned for item in _notifications(one, preview_length)]


def _notifications(one: Concerned, preview_length: int) -> Iterator[tuple[fanout.Item, bytes]]:
    message = one.message
    if message is None:
        notice = frames.Notice(kind="added", conversation_id=one.conversation_id, conversation_name=one.room.name)
        yield from _chunked(one.event.id, notice, dict.fromkeys(one.named, 0))
        return
    if one.named:
        notice = _notice("mention", one, message, preview_length)
        yield from _chunked(f"{one.event.id}/mention", notice, _unread(message, one.named))
    if one.others:
        notice = _notice("message", one, message, preview_length)
        yield from _chunked(one.event.id, notice, _unread(message, one.others))


def _notice(kind: Kind, one: Concerned, message: Message, preview_length: int) -> frames.Notice:
    return frames.Notice(
        kind=kind,
        conversation_id=one.conversation_id,
        conversation_name=one.room.name,
        message_id=message.id,
        seq=message.seq,
        sender_name=message.sender_name,
        preview=message.content[:preview_length] or None,
    )


def _unread(message: Message, people: Mapping[str, int]) -> dict[str, int]:
    return {user: max(0, message.seq - read) for user, read in people.items()}


def _chunked(event_id: str, notice: frames.Notice, unread: dict[str, int]) -> Iterator[tuple[fanout.Item, bytes]]:
    data = notice.encode()  # gateways add the time and each recipient's own count
    recipients = list(unread.items())
    for start in range(0, len(recipients), AT_ONCE):
        item = fanout.Notification(
            id=f"{event_id}/{start}",
            conversation_id=notice.conversation_id,
            unread=dict(recipients[start : start + AT_ONCE]),
        )
        yield item, data


# ------------------------------------------------------------------------------------------------------- rooms


async def _rooms(database: Database, preferences: Remembered, conversations: Iterable[str]) -> dict[str, Room]:
    """These conversations, with their members."""
    ids = list(conversations)
    rooms: dict[str, Room] = {}
    found = database[collections.CONVERSATIONS.name].find(
        {"_id": {"$in": ids}}, {"name": 1, "type": 1}, batch_size=READ
    )
    for document in await found.to_list(None):
        rooms[document["_id"]] = Room(document.get("name"), document["type"])
    cursor = database[collections.MEMBERSHIPS.name].find(
        {"conversationId": {"$in": ids}},
        {"_id": 0, "conversationId": 1, "userId": 1, "lastReadSeq": 1, "muted": 1},
        batch_size=READ,
    )
    memberships = await cursor.to_list(None)  # in portions as they come; one by one costs half as much again
    wanted = await preferences.of({document["userId"] for document in memberships})
    for document in memberships:
        user, conversation_id, muted = document["userId"], document["conversationId"], document["muted"]
        mine = wanted[user]
        if mine is UNCHANGED:  # nearly everybody
            level: Level = "mentions" if muted else "all"
        else:
            level = mine.level(conversation_id, muted=muted)
        if conversation_id in rooms:
            rooms[conversation_id].members[user] = Member(document["lastReadSeq"], level)
    return rooms

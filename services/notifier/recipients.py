"""Whom an event concerns, and what they are to be told: `notification` items for the fan-out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts import collections, events, fanout, frames
from services.mongo import Database

AT_ONCE = 500  # recipients in one item of the fan-out
READ = 5000  # memberships in one answer of MongoDB, which else gives a hundred at first


class _Member(NamedTuple):
    read: int  # the newest message that they have read
    muted: bool  # they are told of nothing but mentions


async def notifications(
    database: Database, batch: Sequence[events.Event], preview_length: int
) -> list[tuple[fanout.Item, bytes]]:
    """Everything that the members of these conversations are to be told, in the order of the events."""
    conversations = {event.subject for event in batch}
    people = await _members(database, conversations)
    names = await _names(database, conversations)
    items: list[tuple[fanout.Item, bytes]] = []
    for event in batch:
        members = people.get(event.subject, {})
        name = names.get(event.subject)
        if isinstance(event, events.MessageCreated):
            items += _of_message(event, members, name, preview_length)
        elif isinstance(event, events.ConversationUpdated) and event.data.update_type in (
            "created",
            "member_added",
        ):
            added = [user for user in event.data.user_ids or () if user != event.data.actor_id]
            unread = {user: 0 for user in added if user in members}
            notice = frames.Notice(kind="added", conversation_id=event.subject, conversation_name=name)
            items += _chunked(event.id, notice, unread)
    return items


def _of_message(
    event: events.MessageCreated, members: Mapping[str, _Member], name: str | None, preview_length: int
) -> Iterable[tuple[fanout.Item, bytes]]:
    """A mention for those whom it mentions, also where they muted the conversation; a message for the others."""
    message = event.data
    named = frozenset(message.mentions or ())
    mentioned: dict[str, int] = {}
    others: dict[str, int] = {}
    for user, member in members.items():
        if user == message.sender_id:
            continue
        if message.mention_all or user in named:
            mentioned[user] = max(0, message.seq - member.read)
        elif not member.muted:
            others[user] = max(0, message.seq - member.read)
    notice = frames.Notice(
        kind="message",
        conversation_id=event.subject,
        conversation_name=name,
        message_id=message.id,
        seq=message.seq,
        sender_name=message.sender_name,
        preview=message.content[:preview_length] or None,
    )
    if mentioned:
        yield from _chunked(f"{event.id}/mention", notice.model_copy(update={"kind": "mention"}), mentioned)
    yield from _chunked(event.id, notice, others)


def _chunked(event_id: str, notice: frames.Notice, unread: dict[str, int]) -> Iterable[tuple[fanout.Item, bytes]]:
    data = notice.encode()  # gateways add the time and each recipient's own count
    recipients = list(unread.items())
    for start in range(0, len(recipients), AT_ONCE):
        item = fanout.Notification(
            id=f"{event_id}/{start}",
            conversation_id=notice.conversation_id,
            unread=dict(recipients[start : start + AT_ONCE]),
        )
        yield item, data


async def _members(database: Database, conversations: Iterable[str]) -> dict[str, dict[str, _Member]]:
    """For each conversation its members."""
    cursor = database[collections.MEMBERSHIPS.name].find(
        {"conversationId": {"$in": list(conversations)}},
        {"_id": 0, "conversationId": 1, "userId": 1, "lastReadSeq": 1, "muted": 1},
        batch_size=READ,
    )
    found: dict[str, dict[str, _Member]] = {}
    async for document in cursor:
        found.setdefault(document["conversationId"], {})[document["userId"]] = _Member(
            document["lastReadSeq"], document["muted"]
        )
    return found


async def _names(database: Database, conversations: Iterable[str]) -> dict[str, Any]:
    cursor = database[collections.CONVERSATIONS.name].find({"_id": {"$in": list(conversations)}}, {"name": 1})
    return {document["_id"]: document.get("name") async for document in cursor}

"""What the notifier keeps for people, as this gateway reads it.

An entry of the notification centre holds no words and does not say whether its conversation was read: both are read with
it, as they are now. Entries that go on are in other documents than those that are over, of which there are ever more. The
last one that is over is with those that go on; while it is moved, it is in both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts import collections, limits
from contracts.conversation import Profile
from contracts.email import EmailSettings
from contracts.notifying import Level, Notification, NotificationSettings
from contracts.push import device_id
from contracts.shape import now
from services.mongo import Database


class Notifications:
    """Reads of one database."""

    def __init__(self, database: Database) -> None:
        self._settings = database[collections.NOTIFICATION_SETTINGS.name]
        self._push_subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
        self._emails = database[collections.EMAILS.name]
        self._unread = database[collections.UNREAD.name]
        self._ended = database[collections.NOTIFICATIONS.name]
        self._memberships = database[collections.MEMBERSHIPS.name]
        self._conversations = database[collections.CONVERSATIONS.name]
        self._messages = database[collections.MESSAGES.name]

    async def settings(self, user_id: str) -> NotificationSettings:
        """What somebody wants to be told of in general."""
        found = await self._settings.find_one({"userId": user_id, "conversationId": None})
        return NotificationSettings.model_validate(found["settings"]) if found else NotificationSettings()

    async def level(self, user_id: str, conversation_id: str) -> Level | None:
        """What somebody wants to be told of in one conversation, if they said so."""
        found = await self._settings.find_one({"userId": user_id, "conversationId": conversation_id})
        level: Level | None = found["level"] if found else None
        return level

    async def entries(
        self, user_id: str, limit: int, cursor: tuple[datetime, str] | None
    ) -> tuple[list[Notification], tuple[datetime, str] | None]:
        """A page of somebody's notification centre, newest first, and where the next one begins.

        Those of conversations that they are no longer in are left out, so a page may be shorter than `limit`.
        """
        query: dict[str, Any] = {"people": user_id}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"at": {"$lt": at}}, {"at": at, "entry": {"$lt": last_id}}]
        # In this order, as they are moved the other way.
        found = [entry for entry in await self._going_on(user_id) if cursor is None or _place(entry) < cursor]
        known = {entry["entry"] for entry in found}
        ended = self._ended.find(query, _fields(user_id)).sort([("at", -1), ("entry", -1)]).limit(limit + 1)
        found += [entry async for entry in ended if entry["entry"] not in known]
        found.sort(key=_place, reverse=True)
        page = found[:limit]
        following = _place(page[-1]) if len(found) > limit else None
        return await self._shown(user_id, page), following

    async def unread(self, user_id: str) -> int:
        """How many of somebody's entries they have not read."""
        entries = [entry for entry in await self._going_on(user_id) if not entry["read"]]
        mine = await self._mine(user_id, entries)
        return sum(not _is_read(entry, mine[entry["conversationId"]]) for entry in _theirs(entries, mine))

    async def moment_of(self, user_id: str, entry_id: str) -> datetime | None:
        """When the newest of an entry was, if it is this person's."""
        found = next((entry for entry in await self._going_on(user_id) if entry["entry"] == entry_id), None)
        if found is None:
            found = await self._ended.find_one({"people": user_id, "entry": entry_id}, {"at": 1})
        moment: datetime | None = found["at"] if found else None
        return moment

    async def _going_on(self, user_id: str) -> list[dict[str, Any]]:
        """This person's entries into which what follows is folded, and the last ones before those."""
        found = self._unread.aggregate(
            [
                {"$match": {"groups.people": user_id}},
                {"$unwind": "$groups"},
                {"$match": {"groups.people": user_id, "groups.expiresAt": {"$gt": now()}}},
                {
                    "$replaceWith": {
                        "$mergeObjects": ["$groups", {"conversationId": "$conversationId", "kind": "$kind"}]
                    }
                },
                {"$project": _fields(user_id)},
            ]
        )
        return [entry async for entry in found]

    async def _shown(self, user_id: str, entries: Sequence[dict[str, Any]]) -> list[Notification]:
        mine = await self._mine(user_id, entries)
        theirs = list(_theirs(entries, mine))
        names = self._conversations.find({"_id": {"$in": list(mine)}}, {"name": 1})
        name_of = {document["_id"]: document.get("name") async for document in names}
        ids = [entry["messageId"] for entry in theirs if entry["messageId"] is not None]
        messages = self._messages.find({"_id": {"$in": ids}}, {"senderName": 1, "content": 1})
        message_of = {document["_id"]: document async for document in messages}
        return [
            _notification(
                entry,
                name_of.get(entry["conversationId"]),
                message_of.get(entry["messageId"]),
                mine[entry["conversationId"]],
            )
            for entry in theirs
        ]

    async def _mine(self, user_id: str, entries: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """This person's memberships in the conversations of these."""
        ids = list({entry["conversationId"] for entry in entries})
        query = {"conversationId": {"$in": ids}, "userId": user_id}
        found = self._memberships.find(query, {"_id": 0, "conversationId": 1, "lastReadSeq": 1, "readAt": 1})
        return {document["conversationId"]: document async for document in found} if ids else {}

    async def owner_of(self, endpoint: str) -> Profile | None:
        """Whose browser this is, if it is registered."""
        found = await self._push_subscriptions.find_one({"_id": device_id(endpoint)}, {"userId": 1})
        return known(found["userId"]) if found else None

    async def email(self, user_id: str) -> EmailSettings:
        """Whether, and to where, somebody wants a mail."""
        found = await self._emails.find_one({"_id": user_id})
        return EmailSettings.model_validate(found) if found else EmailSettings(digest=False)


def known(user_id: str) -> Profile:
    """Somebody who acts without a token, by what only they can have. Their profile is nobody's business here."""
    return Profile(user_id=user_id, user_name=user_id, avatar=None)


def _theirs(entries: Iterable[dict[str, Any]], mine: Mapping[str, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Those of conversations that their person is in."""
    return (entry for entry in entries if entry["conversationId"] in mine)


def _place(entry: Mapping[str, Any]) -> tuple[datetime, str]:
    """Where an entry is among all of its person's."""
    return entry["at"], entry["entry"]


def _fields(user_id: str) -> dict[str, Any]:
    """Those of an entry that its person is to see: nobody else's."""
    mine = {"$filter": {"input": "$read", "cond": {"$eq": ["$$this.user", {"$literal": user_id}]}}}
    return {
        "_id": 0,
        **dict.fromkeys(("conversationId", "kind", "entry", "seq", "messageId", "at", "count"), 1),
        "read": mine,
    }


def _is_read(entry: Mapping[str, Any], membership: Mapping[str, Any]) -> bool:
    """Whether somebody has read its conversation that far: a subtraction, which nobody has to keep right."""
    return bool(membership["lastReadSeq"] >= entry["seq"])


def _read_at(entry: Mapping[str, Any], membership: Mapping[str, Any]) -> datetime | None:
    """When an entry was marked as read, or its conversation read so far, as far as that is known."""
    moment: datetime | None = entry["read"][0]["at"] if entry["read"] else None
    if moment is None and _is_read(entry, membership):
        # Where many are, it is not kept when somebody has read.
        moment = max(entry["at"], membership.get("readAt", entry["at"]))
    return moment


def _notification(
    entry: Mapping[str, Any], name: str | None, message: Mapping[str, Any] | None, membership: Mapping[str, Any]
) -> Notification:
    return Notification(
        id=entry["entry"],
        kind=entry["kind"],
        conversation_id=entry["conversationId"],
        conversation_name=name,
        message_id=entry["messageId"],
        seq=entry["seq"] if entry["messageId"] is not None else None,
        sender_name=message["senderName"] if message else None,
        preview=message["content"][: limits.PREVIEW_LENGTH] or None if message else None,
        count=entry["count"],
        created_at=entry["at"],
        read_at=_read_at(entry, membership),
    )

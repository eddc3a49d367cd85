"""What the notifier keeps for people, as this gateway reads it.

An entry of the notification centre holds no words and does not say whether its conversation was read: both are read with
it, as they are now.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts import collections, limits
from contracts.conversation import Profile
from contracts.email import EmailSettings
from contracts.notifying import Level, Notification, NotificationSettings
from contracts.push import device_id
from services.mongo import Database


class Notifications:
    """Reads of one database."""

    def __init__(self, database: Database) -> None:
        self._settings = database[collections.NOTIFICATION_SETTINGS.name]
        self._push_subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
        self._emails = database[collections.EMAILS.name]
        self._entries = database[collections.NOTIFICATIONS.name]
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
        query: dict[str, Any] = {"userId": user_id}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": last_id}}]
        cursor_of = self._entries.find(query).sort([("at", -1), ("_id", -1)]).limit(limit + 1)
        found = [entry async for entry in cursor_of]
        page = found[:limit]
        following = (page[-1]["at"], page[-1]["_id"]) if len(found) > limit else None
        return await self._shown(user_id, page), following

    async def unread(self, user_id: str) -> int:
        """How many of somebody's entries they have not read."""
        fields = {"conversationId": 1, "seq": 1}
        entries = [entry async for entry in self._entries.find({"userId": user_id, "open": True}, fields)]
        mine = await self._mine(user_id, entries)
        return sum(not _is_read(entry, mine[entry["conversationId"]]) for entry in _theirs(entries, mine))

    async def moment_of(self, user_id: str, entry_id: str) -> datetime | None:
        """When the newest of an entry was, if it is this person's."""
        found = await self._entries.find_one({"_id": entry_id, "userId": user_id}, {"at": 1})
        moment: datetime | None = found["at"] if found else None
        return moment

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


def _is_read(entry: Mapping[str, Any], membership: Mapping[str, Any]) -> bool:
    """Whether somebody has read its conversation that far: a subtraction, which nobody has to keep right."""
    return bool(membership["lastReadSeq"] >= entry["seq"])


def _read_at(entry: Mapping[str, Any], membership: Mapping[str, Any]) -> datetime | None:
    """When an entry was marked as read, or its conversation read so far, as far as that is known."""
    moment: datetime | None = entry.get("readAt")
    if moment is None and _is_read(entry, membership):
        # Where many are, it is not kept when somebody has read.
        moment = max(entry["at"], membership.get("readAt", entry["at"]))
    return moment


def _notification(
    entry: Mapping[str, Any], name: str | None, message: Mapping[str, Any] | None, membership: Mapping[str, Any]
) -> Notification:
    return Notification(
        id=entry["_id"],
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

"""What people want to be told of: kept by command, looked up for many at a time, and remembered for a while.

Nearly nobody changes anything, so what is remembered of most is one and the same value.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import collections
from contracts.commands import NotifierCommand
from contracts.errors import ErrorCode, Refusal
from contracts.notifying import (
    Level,
    NotificationSettings,
    StoreConversationNotifications,
    StoreNotificationSettings,
)
from contracts.shape import now
from services.mongo import Database

REMEMBERED = 200_000  # people
BELIEVED = 60.0  # seconds; a change is told to every notifier, which may be away just then
GENERAL = NotificationSettings()


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody wants to be told of, in general and (where they said so) by conversation."""

    general: NotificationSettings = GENERAL
    levels: Mapping[str, Level] = field(default_factory=dict)

    def level(self, conversation_id: str, *, muted: bool = False) -> Level:
        """What they are told of in a conversation. Who muted it is told of mentions at most."""
        level = self.levels.get(conversation_id, self.general.level)
        return "mentions" if muted and level == "all" else level


UNCHANGED = Preferences()


class Remembered:
    """The preferences of those who were looked up lately."""

    def __init__(self, database: Database) -> None:
        self._settings = database[collections.NOTIFICATION_SETTINGS.name]
        self._known: OrderedDict[str, tuple[Preferences, float]] = OrderedDict()  # with until when it is believed

    async def of(self, users: Collection[str]) -> dict[str, Preferences]:
        """What each of these people wants."""
        moment = time.monotonic()
        found = {user: known[0] for user in users if (known := self._known.get(user)) and known[1] > moment}
        unknown = [user for user in users if user not in found]
        if unknown:
            found |= await self._read(unknown)
        return found

    def forget(self, users: Iterable[str]) -> None:
        """These have changed something."""
        for user in users:
            self._known.pop(user, None)

    async def _read(self, users: list[str]) -> dict[str, Preferences]:
        changed: dict[str, list[dict[str, Any]]] = {}
        async for document in self._settings.find({"userId": {"$in": users}}):
            changed.setdefault(document["userId"], []).append(document)
        found = {user: _preferences(changed[user]) if user in changed else UNCHANGED for user in users}
        until = time.monotonic() + BELIEVED
        self._known.update((user, (preferences, until)) for user, preferences in found.items())
        while len(self._known) > max(REMEMBERED, len(users)):
            self._known.popitem(last=False)
        return found


def _preferences(documents: Iterable[dict[str, Any]]) -> Preferences:
    general, levels = GENERAL, {}
    for document in documents:
        if document["conversationId"] is None:
            general = NotificationSettings.model_validate(document["settings"])
        elif document["level"] is not None:
            levels[document["conversationId"]] = document["level"]
    return Preferences(general, levels)


# ------------------------------------------------------------------------------------------------- commands


async def store_general(database: Database, command: StoreNotificationSettings) -> None:
    """Keep what somebody wants in general. Raises Refusal TIMEOUT."""
    await _store(database, command, None, {"settings": command.settings.model_dump()})


async def store_conversation(database: Database, command: StoreConversationNotifications) -> None:
    """Keep what somebody wants in one conversation. Raises Refusal NOT_A_MEMBER or TIMEOUT."""
    pair = {"conversationId": command.conversation_id, "userId": command.actor.user_id}
    if await database[collections.MEMBERSHIPS.name].find_one(pair, {"_id": 1}) is None:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    await _store(database, command, command.conversation_id, {"level": command.level})


async def _store(
    database: Database, command: NotifierCommand, conversation_id: str | None, fields: Mapping[str, Any]
) -> None:
    """What was stored is noted with the command, which may come again after a crash, and late by then."""
    settings = database[collections.NOTIFICATION_SETTINGS.name]
    place = {"userId": command.actor.user_id, "conversationId": conversation_id}
    if command.expires_at <= now():
        if await settings.find_one({**place, "commandId": command.id}, {"_id": 1}) is None:
            raise Refusal(ErrorCode.TIMEOUT)
        return
    await settings.update_one(place, {"$set": {**fields, "commandId": command.id}}, upsert=True)

"""Commands and stored conversations, with everything that a test does not care about filled in."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

import uuid_utils

from contracts import collections
from contracts.commands import Command, Origin, SendMessage
from contracts.conversation import Profile
from contracts.shape import now
from services.mongo import Database

GATEWAY = "gateway-1"
C = TypeVar("C", bound=Command)


def new_id() -> str:
    """A UUIDv7, as gateways make them."""
    return uuid_utils.uuid7().hex


def make_profile(user: str) -> Profile:
    """`alice` is called Alice."""
    return Profile(user_id=user, user_name=user.title(), avatar=None)


def make_command(kind: type[C], *, actor: str = "alice", gateway: str = GATEWAY, **fields: Any) -> C:
    """A command of Alice's, good for a minute."""
    common = {
        "id": new_id(),
        "origin": Origin(gateway_id=gateway),
        "actor": make_profile(actor),
        "expires_at": now() + timedelta(minutes=1),
    }
    return kind(**{**common, **fields})


def make_message(conversation_id: str, content: str = "hello", **fields: Any) -> SendMessage:
    """A message of Alice's."""
    return make_command(SendMessage, conversation_id=conversation_id, content=content, **fields)


def expired(command: C) -> C:
    """The same command, too late."""
    return command.model_copy(update={"expires_at": now() - timedelta(seconds=1)})


async def store_conversation(
    database: Database, members: Mapping[str, str] | None = None, conversation_id: str | None = None, **fields: Any
) -> str:
    """A conversation of Alice's, who is its admin, as it is stored; `members` are people with their roles."""
    conversation_id = conversation_id or new_id()
    moment = now()
    document = {
        "_id": conversation_id,
        "type": "group",
        "name": "Team",
        "createdAt": moment,
        "createdBy": "alice",
        "lastSeq": 0,
        "lastActivityAt": moment,
        "change": {"id": "0", "at": moment, "added": [], "removed": [], "promoted": []},
    }
    await database[collections.CONVERSATIONS.name].insert_one({**document, **fields})
    people = [
        {
            "conversationId": conversation_id,
            "userId": user,
            "role": role,
            "joinedAt": moment + timedelta(milliseconds=number),
            "lastReadSeq": 0,
            "muted": False,
        }
        for number, (user, role) in enumerate((members or {"alice": "admin"}).items())
    ]
    await database[collections.MEMBERSHIPS.name].insert_many(people)
    return conversation_id

"""MongoDB collections and their indexes as data, each with the one service that writes and creates it.

Every chat collection that grows with the messages starts its indexes with `conversationId`, the key to shard by.
"""

from dataclasses import dataclass
from typing import Any, Literal

Owner = Literal["persister", "notifier"]


@dataclass(frozen=True)
class Index:
    """An index (https://www.mongodb.com/docs/manual/indexes/). `only` is its partial filter."""

    name: str
    keys: tuple[tuple[str, Literal[1, -1]], ...]
    unique: bool = False
    only: dict[str, Any] | None = None


@dataclass(frozen=True)
class Collection:
    """A collection and the one service that writes it."""

    name: str
    owner: Owner
    indexes: tuple[Index, ...] = ()


MESSAGES = Collection(
    "messages",
    "persister",
    (
        # Numbers without holes or repeats; also fences a persister that lost its queue but still writes.
        Index("conversation_seq", (("conversationId", 1), ("seq", 1)), unique=True),
        # One message for one tempId, for ever.
        Index(
            "conversation_sender_temp",
            (("conversationId", 1), ("senderId", 1), ("tempId", 1)),
            unique=True,
            only={"tempId": {"$exists": True}},
        ),
        # The replies to a message: a thread, in order.
        Index(
            "conversation_reply",
            (("conversationId", 1), ("replyTo", 1), ("seq", 1)),
            only={"replyTo": {"$exists": True}},
        ),
        # What mentions somebody, or everybody: what of it is unread.
        Index(
            "conversation_mention",
            (("conversationId", 1), ("mentions", 1), ("seq", 1)),
            only={"mentions": {"$exists": True}},
        ),
        Index(
            "conversation_mention_all",
            (("conversationId", 1), ("mentionAll", 1), ("seq", 1)),
            only={"mentionAll": True},
        ),
        # The changes of a conversation in their order; also fences, as the first one does.
        Index(
            "conversation_change",
            (("conversationId", 1), ("changeSeq", 1)),
            unique=True,
            only={"changeSeq": {"$exists": True}},
        ),
    ),
)
# What edited messages said before, by the id of the command that changed them.
EDITS = Collection(
    "edits",
    "persister",
    (Index("conversation_message", (("conversationId", 1), ("messageId", 1), ("at", 1), ("_id", 1))),),
)
CONVERSATIONS = Collection(
    "conversations",
    "persister",
    (
        # Public channels by name, and by the beginnings of the words of their names.
        Index("public_name", (("name", 1), ("_id", 1)), only={"public": True}),
        Index("public_words", (("words", 1),), only={"public": True}),
    ),
)
MEMBERSHIPS = Collection(
    "memberships",
    "persister",
    (
        Index("conversation_user", (("conversationId", 1), ("userId", 1)), unique=True),
        # The members of a conversation by seniority: its pages, and who inherits the last admin's role.
        Index("conversation_joined", (("conversationId", 1), ("joinedAt", 1), ("userId", 1))),
        Index("user", (("userId", 1),)),
        # Who has read on lately, for a gateway that was away. `readAt` is absent where nobody else is told.
        Index("conversation_read", (("conversationId", 1), ("readAt", 1)), only={"readAt": {"$exists": True}}),
    ),
)
USERS = Collection("users", "persister", (Index("words", (("words", 1),)),))

# By user: what they chose, and when they were seen last. Who is here is not stored, it is told.
PRESENCE = Collection("presence", "persister")
PINS = Collection(
    "pins", "persister", (Index("conversation_message", (("conversationId", 1), ("messageId", 1)), unique=True),)
)
AUDIT = Collection("audit", "persister", (Index("conversation_at", (("conversationId", 1), ("at", -1), ("_id", -1))),))

SEARCH = Collection(
    "search", "persister", (Index("conversation_block", (("conversationId", 1), ("block", 1)), unique=True),)
)

COLLECTIONS = (MESSAGES, EDITS, CONVERSATIONS, MEMBERSHIPS, USERS, PRESENCE, PINS, AUDIT, SEARCH)


def owned_by(owner: Owner) -> list[Collection]:
    """The collections that a service creates."""
    return [collection for collection in COLLECTIONS if collection.owner == owner]

"""MongoDB collections and their indexes as data, each with the one service that writes and creates it.

Every chat collection that grows with the messages starts its indexes with `conversationId`, the key to shard by.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

Owner = Literal["persister", "notifier"]
OWNERS: tuple[Owner, ...] = get_args(Owner)


@dataclass(frozen=True)
class Index:
    """An index (https://www.mongodb.com/docs/manual/indexes/). `only` is its partial filter.

    `expires`: a document goes when the moment in its one key has passed.
    """

    name: str
    keys: tuple[tuple[str, Literal[1, -1]], ...]
    unique: bool = False
    only: dict[str, Any] | None = None
    expires: bool = False


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
        # Deleted ones of which there are messages left.
        Index("erasing", (("erasing", 1),), only={"erasing": True}),
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

# One document, from the first restored backup on: the name of the history that numbers of messages belong to. Written by
# `palabre restored`, while no persister runs.
HISTORY = Collection("history", "persister")
HISTORY_ID = "history"

SEARCH = Collection(
    "search", "persister", (Index("conversation_block", (("conversationId", 1), ("block", 1)), unique=True),)
)

# By the SHA-256 of its endpoint: a browser that can be told while no page is open. `told`: the last deliveries.
PUSH_SUBSCRIPTIONS = Collection("push_subscriptions", "notifier", (Index("user", (("userId", 1), ("seenAt", 1))),))

# What somebody wants to be told of: by person and conversation, or in general (`conversationId` null).
NOTIFICATION_SETTINGS = Collection(
    "notification_settings",
    "notifier",
    (Index("user_conversation", (("userId", 1), ("conversationId", 1)), unique=True),),
)

# The notification centre: what goes on in it. `groups`: people whose entries are alike, of ordinary messages all of a
# conversation in one document. Having read the conversation shows in the membership.
UNREAD = Collection(
    "unread",
    "notifier",
    (
        Index("people", (("groups.people", 1),)),
        Index("expires", (("expiresAt", 1),), expires=True),
    ),
)
# Entries that are over, each for all who had it.
NOTIFICATIONS = Collection(
    "notifications",
    "notifier",
    (
        Index("people_at", (("people", 1), ("at", -1), ("entry", -1))),
        Index("expires", (("expiresAt", 1),), expires=True),
    ),
)
# For a person and a conversation: up to which message the channels were given something to tell, and what last.
DELIVERIES = Collection(
    "deliveries",
    "notifier",
    (
        Index("user_conversation", (("userId", 1), ("conversationId", 1)), unique=True),
        Index("expires", (("expiresAt", 1),), expires=True),
    ),
)

# By person: where they want the mail digest, and the mail that is on its way.
EMAILS = Collection("emails", "notifier")
# For each of them and each conversation: what may be worth a mail, and what one has told of.
DIGESTS = Collection(
    "digests", "notifier", (Index("user_conversation", (("userId", 1), ("conversationId", 1)), unique=True),)
)
# Of a conversation, or (`conversationId` null) of all; those that have ended are kept until their last calls are over.
WEBHOOKS = Collection(
    "webhooks",
    "notifier",
    (Index("conversation", (("conversationId", 1), ("_id", 1))), Index("expiry", (("expireAt", 1),), expires=True)),
)
# The log of their deliveries, each with its event, by the id that receivers see.
WEBHOOK_DELIVERIES = Collection(
    "webhook_deliveries",
    "notifier",
    (
        Index("webhook_created", (("webhookId", 1), ("createdAt", -1), ("_id", -1))),
        Index("expiry", (("expireAt", 1),), expires=True),
    ),
)

COLLECTIONS = (
    MESSAGES,
    EDITS,
    CONVERSATIONS,
    MEMBERSHIPS,
    USERS,
    PRESENCE,
    PINS,
    AUDIT,
    HISTORY,
    SEARCH,
    PUSH_SUBSCRIPTIONS,
    NOTIFICATION_SETTINGS,
    UNREAD,
    NOTIFICATIONS,
    DELIVERIES,
    EMAILS,
    DIGESTS,
    WEBHOOKS,
    WEBHOOK_DELIVERIES,
)


def owned_by(owner: Owner) -> list[Collection]:
    """The collections that a service creates."""
    return [collection for collection in COLLECTIONS if collection.owner == owner]

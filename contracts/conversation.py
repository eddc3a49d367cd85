"""Conversations and the people in them, as REST and events show them."""

from typing import Literal

from contracts.message import Message
from contracts.shape import Id, Instant, Seq, Shape, optional

ConversationType = Literal["direct", "group", "channel"]
Role = Literal["admin", "member"]


class Profile(Shape):
    """A person, as their last token described them."""

    user_id: Id
    user_name: str
    avatar: str | None


class Member(Profile):
    """A person in one conversation. `lastReadSeq` is the newest message that they have read."""

    role: Role
    last_read_seq: Seq
    joined_at: Instant


class Conversation(Shape):
    """A conversation as one of its members sees it. `members` is cut; `memberCount` is not.

    `role`, `muted` and `archived` are this member's own. `public` is there for channels; `closedAt` while it is closed.
    """

    id: Id
    type: ConversationType
    name: str | None
    created_at: Instant
    created_by: Id
    last_seq: Seq
    last_message: Message | None
    unread_count: Seq
    unread_mentions: Seq = 0
    members: list[Member]
    member_count: int
    role: Role
    muted: bool = False
    archived: bool = False
    public: bool | None = optional()
    closed_at: Instant | None = optional()


def is_archived(archived_seq: int | None, muted: bool, last_seq: int) -> bool:
    """Whether a member sees a conversation as archived, who archived it when `archivedSeq` was its newest message.

    A newer message brings it back, unless it is muted: no write is needed for that.
    """
    return archived_seq is not None and (muted or last_seq <= archived_seq)


class Channel(Shape):
    """A public channel, as anybody finds it."""

    id: Id
    name: str
    created_at: Instant
    member_count: int
    joined: bool


class Pin(Shape):
    """A pinned message, and who pinned it when."""

    message: Message
    pinned_by: Id
    pinned_at: Instant


class Found(Shape):
    """A message that was searched for, and where.

    `snippet` is a part of its content, as text and never as markup; `highlights` are the parts of the snippet that were
    found, each a beginning and an end in UTF-16 code units, as JavaScript counts them.
    """

    message: Message
    conversation_id: Id
    conversation_name: str | None
    snippet: str
    highlights: list[tuple[int, int]]


class AuditEntry(Shape):
    """Who changed what in a conversation, and when.

    `action` is the `updateType` of the change. `userIds` are the people added or removed, `roles` those given with it.
    `names` are not stored: all these people are called so when it is read, as far as they were ever seen.
    `id` is also the id of the event that told of it.
    """

    id: str
    conversation_id: Id
    at: Instant
    actor_id: Id
    action: str
    name: str | None = optional()
    public: bool | None = optional()
    user_ids: list[Id] | None = optional()
    roles: dict[Id, Role] | None = optional()
    message_id: Id | None = optional()
    names: dict[Id, str] | None = optional()

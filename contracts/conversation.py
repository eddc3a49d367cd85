"""Conversations and the people in them, as REST and events show them."""

from typing import Literal

from contracts.message import Message
from contracts.shape import Id, Instant, Seq, Shape

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
    """A conversation as one of its members sees it. `members` is cut; `memberCount` is not."""

    id: Id
    type: ConversationType
    name: str | None
    created_at: Instant
    created_by: Id
    last_seq: Seq
    last_message: Message | None
    unread_count: Seq
    members: list[Member]
    member_count: int

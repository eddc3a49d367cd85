"""One message, in the one shape that is stored, broadcast, and returned by the history."""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts import limits
from contracts.shape import Id, Instant, Seq, Shape, optional

Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.NAME_LENGTH)]
# http(s) or a path on this host: nothing that a browser would execute (`javascript:`, `data:`).
URL = r"^(https?://[^\s/]|/[^\s/\\]|/$)[^\s]*$"
Url = Annotated[str, StringConstraints(max_length=limits.URL_LENGTH, pattern=URL)]


def is_url(text: str) -> bool:
    """Whether it is a `Url`."""
    return len(text) <= limits.URL_LENGTH and re.fullmatch(URL, text) is not None


class Attachment(Shape):
    """A file beside a message. `size` in bytes, `durationMs` and `waveform` for sound."""

    id: Id | None = optional()
    name: Name
    url: Url
    type: Annotated[str, StringConstraints(min_length=1, max_length=limits.NAME_LENGTH)]
    size: Annotated[int, Field(ge=0, le=2**53 - 1)]
    duration_ms: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = optional()
    # JSON has no NaN and no infinity.
    waveform: (
        Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=limits.WAVEFORM)] | None
    ) = optional()


class Quote(Shape):
    """What a message replies to, as it was then; `preview` is the beginning of its content.

    Once the quoted message is deleted `preview` is empty.
    """

    message_id: Id
    seq: Seq
    sender_id: Id
    sender_name: str
    preview: Annotated[str, StringConstraints(max_length=limits.PREVIEW_LENGTH)]
    is_deleted: bool | None = optional()


class Replies(Shape):
    """How many replies a message has up to `lastSeq`, the newest that is counted."""

    count: Seq
    last_seq: Seq


Change = Literal["edited", "deleted", "reactions"]


class Edit(Shape):
    """What a message said until it was edited, at that moment."""

    content: str
    at: Instant


class Message(Shape):
    """A stored message. `tempId` travels beside it, to its sender only.

    `changeSeq` is the number of its last change among all changes of its conversation; absent if it never changed.
    """

    id: Id
    conversation_id: Id
    seq: Seq
    sender_id: Id
    sender_name: str
    sender_avatar: str | None
    content: str
    created_at: Instant
    temp_id: Id | None = optional()
    attachments: list[Attachment] | None = optional()
    reply_to: Id | None = optional()
    reply: Quote | None = optional()
    edited_at: Instant | None = optional()
    is_deleted: bool | None = optional()
    reactions: dict[str, list[str]] | None = optional()
    mentions: list[Id] | None = optional()
    mention_all: bool | None = optional()
    replies: Replies | None = optional()
    change_seq: Seq | None = optional()

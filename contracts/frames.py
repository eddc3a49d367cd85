"""The frames between browser and gateway: one JSON object each, told apart by `type`.

`docs/protocol.md` explains them; `contracts/schema/frames.schema.json` is generated from them.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from contracts import limits
from contracts.conversation import Member
from contracts.errors import ErrorCode
from contracts.message import Attachment, Change, Message
from contracts.presence import Seen
from contracts.shape import Id, IdOrEmpty, Instant, Seq, Shape, now, optional, to_text

# ---------------------------------------------------------------------------------------------- client to server


class ClientFrame(Shape):
    """What every frame of a client may carry. Its `timestamp` is allowed and never read."""

    request_id: IdOrEmpty = optional()


class InConversation(ClientFrame):
    """A frame about one conversation."""

    conversation_id: Id


class AboutMessage(InConversation):
    """A frame about one message."""

    message_id: Id


class Authenticate(ClientFrame):
    """Proves who is there, or renews the proof. Answer: `authenticated`, or `auth_error` and close 4500."""

    type: Literal["authenticate"]
    token: Annotated[str, StringConstraints(min_length=1)]


class JoinConversation(InConversation):
    """Asks for the live messages of a conversation, after those above `afterSeq` (or the newest `limit`).

    `afterChange` is the last `changeSeq` that the client has: newer changes of what it holds follow as well.
    """

    type: Literal["join_conversation"]
    after_seq: Seq | None = optional()
    after_change: Seq | None = optional()
    limit: Annotated[int, Field(ge=1, le=limits.HISTORY_PAGE)] | None = optional()  # HISTORY_DEFAULT


class LeaveConversation(InConversation):
    """Ends the live messages of a conversation on this connection."""

    type: Literal["leave_conversation"]


class SendMessage(InConversation):
    """A message to store and deliver. Answer: `message_sent` once it is stored, or `message_error`."""

    type: Literal["send_message"]
    # Its length is judged after trimming, with codes of its own: see `content_of`.
    content: str = ""
    temp_id: IdOrEmpty = optional()
    attachments: Annotated[list[Attachment], Field(max_length=limits.ATTACHMENTS)] | None = optional()
    reply_to: IdOrEmpty = optional()
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class TypingStart(InConversation):
    """The user types; to be renewed within ten seconds."""

    type: Literal["typing_start"]


class TypingStop(InConversation):
    """The user no longer types."""

    type: Literal["typing_stop"]


class Ping(ClientFrame):
    """The client's own heartbeat. `heads` are the last seqs that it holds, so that a loss is found at once.

    `changes` are the last changeSeqs that it has seen, likewise.
    """

    type: Literal["ping"]
    heads: dict[Id, Seq] | None = optional()
    changes: dict[Id, Seq] | None = optional()


class EditMessage(AboutMessage):
    """A new content for one's own message. Its mentions stay what they are, unless they are given."""

    type: Literal["edit_message"]
    content: str
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class DeleteMessage(AboutMessage):
    """Empties a message; its `seq` stays."""

    type: Literal["delete_message"]


class AddReaction(AboutMessage):
    """One emoji of this user on a message."""

    type: Literal["add_reaction"]
    emoji: Annotated[str, StringConstraints(min_length=1, max_length=limits.EMOJI_LENGTH)]


class RemoveReaction(AboutMessage):
    """Takes one emoji of this user back."""

    type: Literal["remove_reaction"]
    emoji: Annotated[str, StringConstraints(min_length=1, max_length=limits.EMOJI_LENGTH)]


class MarkRead(InConversation):
    """This user has read everything up to `seq`."""

    type: Literal["mark_read"]
    seq: Seq


class SetPresence(ClientFrame):
    """How this user wants to be seen."""

    type: Literal["set_presence"]
    status: Literal["online", "away", "busy", "invisible"]


class WatchPresence(ClientFrame):
    """The people whose presence this connection wants to know, in place of those that it named before."""

    type: Literal["watch_presence"]
    user_ids: Annotated[list[Id], Field(max_length=limits.WATCHED)]


AnyClientFrame = Annotated[
    Authenticate
    | JoinConversation
    | LeaveConversation
    | SendMessage
    | TypingStart
    | TypingStop
    | Ping
    | EditMessage
    | DeleteMessage
    | AddReaction
    | RemoveReaction
    | MarkRead
    | SetPresence
    | WatchPresence,
    Field(discriminator="type"),
]

# ---------------------------------------------------------------------------------------------- server to client


class ServerFrame(Shape):
    """What every frame of the server carries."""

    timestamp: Instant = Field(default_factory=now)


class Answer(ServerFrame):
    """A frame that may be the direct answer to a client's frame, and then echoes its `requestId`."""

    request_id: Id | None = optional()


class Authenticated(Answer):
    """The connection belongs to this user now, until `expiresAt`.

    `history`: the name of what is stored, absent until a backup was restored. When a client meets another one, what it
    holds may never have been: it begins anew.
    """

    type: Literal["authenticated"] = "authenticated"
    user_id: Id
    user_name: str
    connection_id: Id
    heartbeat_interval_ms: int
    expires_at: Instant | None
    history: Id | None = optional()


class AuthError(Answer):
    """The token was refused; close 4500 follows."""

    type: Literal["auth_error"] = "auth_error"
    error: str
    code: ErrorCode


class JoinedConversation(Answer):
    """The join succeeded; the messages from `firstSeq` to `lastSeq` follow as `new_message`, then live ones.

    `hasMore`: messages that the client may miss exist before `firstSeq`: any at all on a first join, any above
    `afterSeq` on a resume. `lastChange` is the conversation's last change that these messages contain; absent while there
    is none.
    """

    type: Literal["joined_conversation"] = "joined_conversation"
    conversation_id: Id
    last_seq: Seq
    first_seq: Seq | None
    has_more: bool
    last_change: Seq | None = optional()


class LeftConversation(Answer):
    """No more live messages of this conversation on this connection."""

    type: Literal["left_conversation"] = "left_conversation"
    conversation_id: Id


class NewMessage(ServerFrame):
    """A stored message, in rising `seq`, never twice."""

    type: Literal["new_message"] = "new_message"
    message: Message


class MessageSent(Answer):
    """The message is stored by a majority. `duplicate`: this `tempId` was stored before."""

    type: Literal["message_sent"] = "message_sent"
    message_id: Id
    temp_id: Id | None = optional()
    conversation_id: Id
    seq: Seq
    created_at: Instant
    duplicate: bool


class MessageError(Answer):
    """The message was not stored, as far as is known; with `retryable`, try again with the same `tempId`."""

    type: Literal["message_error"] = "message_error"
    error: str
    code: ErrorCode
    temp_id: Id | None = optional()
    conversation_id: Id | None = optional()
    retryable: bool
    retry_after_ms: int | None = optional()


class MessageUpdated(Answer):
    """The whole message after a change, in rising `changeSeq`, after its `new_message`."""

    type: Literal["message_updated"] = "message_updated"
    message: Message
    change: Change


class UserTyping(ServerFrame):
    """Somebody else types in a joined conversation."""

    type: Literal["user_typing"] = "user_typing"
    conversation_id: Id
    user_id: Id
    user_name: str


class UserStoppedTyping(ServerFrame):
    """They stopped, left, or fell silent for ten seconds."""

    type: Literal["user_stopped_typing"] = "user_stopped_typing"
    conversation_id: Id
    user_id: Id


class ReadReceipt(Answer):
    """Somebody has read everything up to `seq`. It only ever rises; one that comes again says nothing new."""

    type: Literal["read_receipt"] = "read_receipt"
    conversation_id: Id
    user_id: Id
    seq: Seq


class Presence(Seen, Answer):
    """Somebody who shares a conversation came, went or changed; or is so, as an answer."""

    type: Literal["presence"] = "presence"


UpdateType = Literal[
    "created",
    "member_added",
    "member_removed",
    "name_changed",
    "deleted",
    "role_changed",
    "visibility_changed",
    "closed",
    "reopened",
    "pinned",
    "unpinned",
]


class ConversationUpdated(ServerFrame):
    """A conversation changed, for its members and for those who were removed.

    `name` with `created` and `name_changed`; `userIds` are the people added or removed; `members` those who are
    new in it (the first of them, when they are many), or whose role changed; `conversationType` and `createdBy` with
    `created`; `public` with `created` and `visibility_changed` of a channel; `messageId` with `pinned` and `unpinned`.
    `actorId` is absent when a gateway finds out later than the event. `settings_changed` with `muted` and `archived`
    goes only to the connections of the member whose settings they are. Clients ignore an `updateType` that they do not
    know.
    """

    type: Literal["conversation_updated"] = "conversation_updated"
    conversation_id: Id
    update_type: UpdateType | Literal["settings_changed"]
    actor_id: Id | None = optional()
    name: str | None = optional()
    conversation_type: Literal["direct", "group", "channel"] | None = optional()
    created_by: Id | None = optional()
    user_ids: list[Id] | None = optional()
    members: list[Member] | None = optional()
    public: bool | None = optional()
    message_id: Id | None = optional()
    muted: bool | None = optional()
    archived: bool | None = optional()


class Notice(Shape):
    """What a notification says to all its recipients alike."""

    kind: Literal["message", "mention", "added"]
    conversation_id: Id
    conversation_name: str | None
    message_id: Id | None = optional()
    seq: Seq | None = optional()
    sender_name: str | None = optional()
    preview: str | None = optional()


class Notification(Notice, ServerFrame):
    """Something for a member whose connection has not joined that conversation."""

    type: Literal["notification"] = "notification"
    unread_count: Seq


class Resync(ServerFrame):
    """What follows has a hole from `fromSeq` that this connection was not given; fetch it over REST.

    `lastChange`: what is missing are changes, up to this one; whatever is held from `fromSeq` on may be out of date.
    """

    type: Literal["resync"] = "resync"
    conversation_id: Id
    from_seq: Seq
    last_change: Seq | None = optional()


class Pong(Answer):
    """The answer to a ping, with the conversations of its `heads` and `changes` where the server holds more."""

    type: Literal["pong"] = "pong"
    heads: dict[Id, Seq] | None = optional()
    changes: dict[Id, Seq] | None = optional()


class Error(Answer):
    """A frame was refused."""

    type: Literal["error"] = "error"
    error: str
    code: ErrorCode
    conversation_id: Id | None = optional()
    retry_after_ms: int | None = optional()


AnyServerFrame = Annotated[
    Authenticated
    | AuthError
    | JoinedConversation
    | LeftConversation
    | NewMessage
    | MessageSent
    | MessageError
    | MessageUpdated
    | UserTyping
    | UserStoppedTyping
    | ReadReceipt
    | Presence
    | ConversationUpdated
    | Notification
    | Resync
    | Pong
    | Error,
    Field(discriminator="type"),
]

# ------------------------------------------------------------------------------------------------------- helpers


def frames_by_type(union: Any) -> dict[str, type[Any]]:
    """`{"ping": Ping, ...}` of one of the two unions above."""
    members = union.__origin__.__args__
    return {member.model_fields["type"].annotation.__args__[0]: member for member in members}


CLIENT_FRAMES: dict[str, type[ClientFrame]] = frames_by_type(AnyClientFrame)
SERVER_FRAMES: dict[str, type[ServerFrame]] = frames_by_type(AnyServerFrame)


def new_message(message_json: bytes, temp_id: str | None = None) -> bytes:
    """`NewMessage(message=...).encode()` around a message that is JSON already.

    A message is serialised once, by the persister; gateways only put it into its frame.
    """
    message_json = _owned(message_json, temp_id)
    return b'{"timestamp":"' + to_text(now()).encode() + b'","type":"new_message","message":' + message_json + b"}"


def message_updated(
    message_json: bytes, change: Change, request_id: str | None = None, temp_id: str | None = None
) -> bytes:
    """`MessageUpdated(...).encode()` around a message that is JSON already."""
    return b'{"timestamp":"%b",%b"type":"message_updated","message":%b,"change":"%b"}' % (
        to_text(now()).encode(),
        b"" if request_id is None else b'"requestId":%b,' % _json_string(request_id),
        _owned(message_json, temp_id),
        change.encode(),
    )


def _owned(message_json: bytes, temp_id: str | None) -> bytes:
    """`tempId` is never part of the broadcast message, so it can be added at its end."""
    return message_json if temp_id is None else message_json[:-1] + b',"tempId":' + _json_string(temp_id) + b"}"


def _json_string(text: str) -> bytes:
    from pydantic_core import to_json

    return to_json(text)

"""Commands: what a gateway asks of the persister, the only writer of chat data.

They travel on `chat.commands`, one JSON object a line, up to `BATCH_COMMANDS` of one partition and one type in an AMQP
message, with the routing key `<entity>.<verb>.<partition>`. They are internal: integrators write over REST. What is asked
of the notifier (`notifying.py`) goes the same way, without a partition.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from contracts import limits
from contracts.conversation import ConversationType, Profile, Role
from contracts.ids import partition_of
from contracts.message import Attachment, Name
from contracts.presence import Chosen
from contracts.shape import Id, Instant, Seq, Shape, optional


class Origin(Shape):
    """Where the answer goes. `connectionId` is absent for REST."""

    gateway_id: Id
    connection_id: Id | None = optional()


class Command(Shape):
    """What every command carries.

    `id` is 32 hexadecimal digits, rising with time (UUIDv7). A redelivered command has the same id, a client's retry a
    new one. `expiresAt`: past it the command is refused with `TIMEOUT`, unless it was carried out already. One that is
    traced carries its `traceparent` (`tracing.py`), and the id is that of its trace.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    origin: Origin
    actor: Profile
    expires_at: Instant

    @property
    def key(self) -> str:
        """What decides the partition: the conversation, or for a person their id."""
        return str(getattr(self, "conversation_id", None) or self.actor.user_id)


class NotifierCommand(Command):
    """A command to the notifier, `notifier.<verb>`: about what it keeps for people, and nobody else's business."""

    type: str


class SendMessage(Command):
    """Store a message. Its id becomes the message's id; `content` is trimmed already."""

    type: Literal["message.send"] = "message.send"
    conversation_id: Id
    content: Annotated[str, Field(max_length=limits.CONTENT_LENGTH)]
    temp_id: Id | None = optional()
    attachments: list[Attachment] | None = optional()
    reply_to: Id | None = optional()
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class AboutMessage(Command):
    """A command about one message of a conversation."""

    conversation_id: Id
    message_id: Id


class EditMessage(AboutMessage):
    """Give one's own message another content, which is trimmed already; its mentions stay unless they are given."""

    type: Literal["message.edit"] = "message.edit"
    content: Annotated[str, Field(max_length=limits.CONTENT_LENGTH)]
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class DeleteMessage(AboutMessage):
    """Empty a message: one's own, or as an admin anybody's. Its number stays."""

    type: Literal["message.delete"] = "message.delete"


class React(AboutMessage):
    """Put the actor's emoji on a message, or with `present` false take it back."""

    type: Literal["message.react"] = "message.react"
    emoji: Annotated[str, Field(min_length=1, max_length=limits.EMOJI_LENGTH)]
    present: bool


class CreateConversation(Command):
    """Create a conversation under this id; for a direct one that exists, bring its two members back into it."""

    type: Literal["conversation.create"] = "conversation.create"
    conversation_id: Id
    conversation_type: ConversationType
    name: Name | None = optional()
    member_ids: Annotated[list[Id], Field(max_length=limits.MEMBERS_IN_CALL)]
    public: bool | None = optional()


class RenameConversation(Command):
    """Give a conversation another name (admins)."""

    type: Literal["conversation.rename"] = "conversation.rename"
    conversation_id: Id
    name: Name


class PublishConversation(Command):
    """Let everybody find and join a channel, or no longer (admins)."""

    type: Literal["conversation.publish"] = "conversation.publish"
    conversation_id: Id
    public: bool


class CloseConversation(Command):
    """Let a conversation only be read, or open it again (admins)."""

    type: Literal["conversation.close"] = "conversation.close"
    conversation_id: Id
    closed: bool


class DeleteConversation(Command):
    """End a conversation for all its members (admins); its messages are purged afterwards."""

    type: Literal["conversation.delete"] = "conversation.delete"
    conversation_id: Id


class PurgeConversation(Command):
    """Erase the next part of a deleted conversation's messages. The persister's note to itself."""

    type: Literal["conversation.purge"] = "conversation.purge"
    conversation_id: Id


class AddMembers(Command):
    """Bring people into a conversation (admins)."""

    type: Literal["members.add"] = "members.add"
    conversation_id: Id
    member_ids: Annotated[list[Id], Field(min_length=1, max_length=limits.MEMBERS_IN_CALL)]


class RemoveMember(Command):
    """Take somebody out of a conversation (admins), or leave it."""

    type: Literal["members.remove"] = "members.remove"
    conversation_id: Id
    member_id: Id


class MarkRead(Command):
    """Note that the actor has read everything up to `seq`; above the newest message it means that one."""

    type: Literal["read.mark"] = "read.mark"
    conversation_id: Id
    seq: Seq


class JoinChannel(Command):
    """Come into a public channel by oneself."""

    type: Literal["members.join"] = "members.join"
    conversation_id: Id


class ChangeRole(Command):
    """Give somebody another role (admins)."""

    type: Literal["members.role"] = "members.role"
    conversation_id: Id
    member_id: Id
    role: Role


class ChangeSettings(Command):
    """Mute or archive a conversation for oneself; what is absent stays."""

    type: Literal["members.settings"] = "members.settings"
    conversation_id: Id
    muted: bool | None = optional()
    archived: bool | None = optional()


class PinMessage(Command):
    """Show a message above the others (admins)."""

    type: Literal["pins.add"] = "pins.add"
    conversation_id: Id
    message_id: Id


class UnpinMessage(Command):
    """Show it above the others no longer (admins)."""

    type: Literal["pins.remove"] = "pins.remove"
    conversation_id: Id
    message_id: Id


class IndexMessages(Command):
    """Note the words of a block of messages. The persister's note to itself."""

    type: Literal["search.index"] = "search.index"
    conversation_id: Id
    block: Annotated[int, Field(ge=0)]


class StoreProfile(Command):
    """Keep the actor's profile as their token describes it."""

    type: Literal["profile.store"] = "profile.store"


class StorePresence(Command):
    """Keep how the actor wants to be seen, or when they were seen last."""

    type: Literal["presence.store"] = "presence.store"
    chosen: Chosen | None = optional()
    seen_at: Instant | None = optional()


AnyCommand = (
    SendMessage
    | EditMessage
    | DeleteMessage
    | React
    | CreateConversation
    | RenameConversation
    | PublishConversation
    | CloseConversation
    | DeleteConversation
    | PurgeConversation
    | AddMembers
    | RemoveMember
    | MarkRead
    | JoinChannel
    | ChangeRole
    | ChangeSettings
    | PinMessage
    | UnpinMessage
    | IndexMessages
    | StoreProfile
    | StorePresence
)

_command: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="type")])


def routing_key(command: AnyCommand | NotifierCommand, partitions: int) -> str:
    """`<entity>.<verb>.<partition>`, as `message.send.07`; `notifier.<verb>` of what is for the notifier."""
    if isinstance(command, NotifierCommand):
        return command.type
    return f"{command.type}.{partition_of(command.key, partitions):02d}"


def decode(line: bytes) -> AnyCommand:
    """One command.

    Raises:
        pydantic.ValidationError: naming each field that is wrong.
    """
    return _command.validate_json(line)

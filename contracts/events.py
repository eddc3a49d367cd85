"""Facts for everyone, after they are stored: CloudEvents 1.0 on `chat.events`, one an AMQP message.

This is the public contract for integrators. Within a version (`.v1`) only optional fields are added.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from contracts.conversation import ConversationType, Member
from contracts.frames import UpdateType
from contracts.ids import change_event_id, message_event_id
from contracts.message import Change, Message
from contracts.shape import Id, Instant, Seq, Shape, optional, to_text

SOURCE = "/palabre/persister"
CONTENT_TYPE = "application/cloudevents+json"


class CloudEvent(Shape):
    """The envelope. `subject` is the conversation; consumers deduplicate by `id`.

    `traceparent` is there when the request that it comes from is traced
    (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md). On `chat.events` the
    header of that name says the same.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = SOURCE
    subject: Id
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    traceparent: str | None = optional()


class ConversationChange(Shape):
    """A conversation after it changed, who changed it, and what: an audit trail for whoever keeps these.

    `userIds` are the people added or removed, `members` those who are new or have a new role, `messageId` is the one
    that was pinned or unpinned.
    """

    conversation_id: Id
    update_type: UpdateType
    actor_id: Id
    name: str | None = optional()
    conversation_type: ConversationType | None = optional()
    created_by: Id | None = optional()
    user_ids: list[Id] | None = optional()
    members: list[Member] | None = optional()
    public: bool | None = optional()
    message_id: Id | None = optional()


class MessageChange(Shape):
    """A whole message after a change; consumers drop one whose `changeSeq` is not above the one that they hold."""

    message: Message
    change: Change


class Read(Shape):
    """Somebody has read everything up to `seq`."""

    conversation_id: Id
    user_id: Id
    seq: Seq


class MessageCreated(CloudEvent):
    """Routing key `message.created.<conversationId>`; id `<conversationId>:<seq>`."""

    type: Literal["chat.message.created.v1"] = "chat.message.created.v1"
    dataschema: str = "urn:palabre:schema:message.created:v1"
    data: Message


class MessageUpdated(CloudEvent):
    """Routing key `message.updated.<conversationId>`; id `<conversationId>:c<changeSeq>`."""

    type: Literal["chat.message.updated.v1"] = "chat.message.updated.v1"
    dataschema: str = "urn:palabre:schema:message.updated:v1"
    data: MessageChange


class ConversationUpdated(CloudEvent):
    """Routing key `conversation.updated.<conversationId>`; id `<conversationId>:<id of the command>`."""

    type: Literal["chat.conversation.updated.v1"] = "chat.conversation.updated.v1"
    dataschema: str = "urn:palabre:schema:conversation.updated:v1"
    data: ConversationChange


class ReadUpdated(CloudEvent):
    """Routing key `read.updated.<conversationId>`; id `<conversationId>:<userId>:<seq>`.

    Where that has more than 255 bytes, `sha256:` and the SHA-256 of the user id, in hexadecimal, stand for the user id.
    """

    type: Literal["chat.read.updated.v1"] = "chat.read.updated.v1"
    dataschema: str = "urn:palabre:schema:read.updated:v1"
    data: Read


Event = MessageCreated | MessageUpdated | ConversationUpdated | ReadUpdated
AnyEvent = Annotated[Event, Field(discriminator="type")]

_event_of: TypeAdapter[Event] = TypeAdapter(AnyEvent)
# What a newer version may say within `.v1`: another type, another value of an enumeration.
_NEWER = {"union_tag_invalid", "literal_error"}


class OtherEvent(Shape):
    """An event that this version does not know: any CloudEvent, its `data` as it is (null when there is none)."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: str
    type: Annotated[str, Field(min_length=1)]
    subject: str | None = optional()
    time: Instant | None = optional()
    datacontenttype: str | None = optional()
    dataschema: str | None = optional()
    traceparent: str | None = optional()
    data: Any = None


def parse_event(body: bytes | str) -> Event | OtherEvent:
    """The event in an AMQP message, or in a webhook's body.

    Fields that are not known are ignored. An event of a type that is not known, or with a value that an enumeration
    does not have yet (as a new `updateType`), is an `OtherEvent`: most consumers pass over those.

    Raises:
        pydantic.ValidationError: it is no CloudEvent, or one of a known type that is malformed, naming each field.
    """
    try:
        return _event_of.validate_json(body)
    except ValidationError as error:
        if {problem["type"] for problem in error.errors()} - _NEWER:
            raise
    return OtherEvent.model_validate_json(body)


def routing_key(event_type: str, conversation_id: str) -> str:
    """`message.created.<conversationId>` of `chat.message.created.v1`."""
    return f"{event_type.removeprefix('chat.').rsplit('.', 1)[0]}.{conversation_id}"


def _head(kind: type[CloudEvent]) -> bytes:
    """What every event of a kind begins with."""
    fields = kind.model_fields
    return to_json(
        {
            "specversion": "1.0",
            "source": SOURCE,
            "datacontenttype": "application/json",
            "dataschema": fields["dataschema"].default,
            "type": fields["type"].default,
        }
    )[:-1]


_CREATED, _UPDATED = _head(MessageCreated), _head(MessageUpdated)


def message_created(conversation_id: str, seq: int, created_at: datetime, message_json: bytes) -> bytes:
    """`MessageCreated(...).encode()` around a message that is JSON already, so that it is serialised once."""
    return _event(_CREATED, message_event_id(conversation_id, seq), conversation_id, created_at, message_json)


def message_updated(conversation_id: str, change_seq: int, at: datetime, message_json: bytes, change: Change) -> bytes:
    """`MessageUpdated(...).encode()` around a message that is JSON already."""
    data = b'{"message":%b,"change":"%b"}' % (message_json, change.encode())
    return _event(_UPDATED, change_event_id(conversation_id, change_seq), conversation_id, at, data)


def _event(head: bytes, event_id: str, conversation_id: str, at: datetime, data: bytes) -> bytes:
    return b'%b,"id":%b,"subject":%b,"time":"%b","data":%b}' % (
        head,
        to_json(event_id),
        to_json(conversation_id),
        to_text(at).encode(),
        data,
    )

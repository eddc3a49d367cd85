"""What is told to gateways: by the persister, the notifier and other gateways on `chat.fanout`, to one of them on
`chat.replies`. Who is here is told on `chat.presence`, which leads to `chat.fanout`, so that the notifier hears it too.

An AMQP message holds several items, each two lines: a small header that a gateway reads, and a JSON value that it passes
on to sockets without parsing it (`null` where there is none). So a gateway without a member of a room spends a header's
reading on its event, and no gateway ever serialises a message again. Where all items are messages that were stored, or
all are notifications, an index of them comes first, so that a gateway that none of them concerns reads just that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from contracts import lines, tracing
from contracts.errors import ErrorCode
from contracts.message import Change
from contracts.presence import Chosen, Here
from contracts.shape import Id, Instant, Seq, Shape, optional


class MessageCreated(Shape):
    """A message was stored. Data: the `message`, without `tempId`."""

    kind: Literal["message.created"] = "message.created"
    conversation_id: Id
    seq: Seq
    message_id: Id  # also the id of the command that brought it
    sender_id: Id
    created_at: Instant
    gateway_id: Id  # where it was sent, so that this gateway answers its sender
    temp_id: Id | None = optional()
    reply_to: Id | None = optional()


class MessageUpdated(Shape):
    """A message changed. Data: the whole `message` after it, without `tempId`.

    `changeSeq` is absent when somebody asked for what was so already, of a message that never changed.
    """

    kind: Literal["message.updated"] = "message.updated"
    conversation_id: Id
    seq: Seq
    change_seq: Seq | None = optional()
    change: Change
    command_ids: list[str]  # which this answers, at the gateways that they came from
    sender_id: Id | None = optional()  # with `tempId`: whose it is
    temp_id: Id | None = optional()


class ConversationUpdated(Shape):
    """A conversation changed. Data: the `conversation_updated` frame without its `timestamp`.

    `audience` are members to be told on every connection; more than `UPDATE_AUDIENCE` of them come in further items
    with `more`. Joined connections are told with the first. `removed` lose the conversation at once, after they were
    told; all do when it was deleted.
    """

    kind: Literal["conversation.updated"] = "conversation.updated"
    conversation_id: Id
    update_type: str
    audience: list[Id]
    removed: list[Id] | None = optional()
    more: bool | None = optional()


class ReadUpdated(Shape):
    """Somebody has read on. Data: the `read_receipt` frame without its `timestamp`.

    `private`: only the reader's own connections are to be told, since too many people are in the conversation.
    """

    kind: Literal["read.updated"] = "read.updated"
    command_id: str  # which this answers, at the gateway that it came from
    conversation_id: Id
    user_id: Id
    seq: Seq
    private: bool | None = optional()


class SettingsChanged(Shape):
    """Somebody muted or archived a conversation. Data: the `conversation_updated` frame without its `timestamp`.

    Of another kind than the above, since it is nobody else's business: told to this person's own connections alone.
    """

    kind: Literal["settings.changed"] = "settings.changed"
    conversation_id: Id
    user_id: Id


class Notification(Shape):
    """Something for members who have not joined. Data: the `Notice` of the frame.

    `id` stands for the event and part of its recipients: an item that comes again is dropped. `unread`: each
    recipient with their own count.
    """

    kind: Literal["notification"] = "notification"
    id: str
    conversation_id: Id
    unread: dict[str, int]


class Typing(Shape):
    """Somebody types, or stopped. Transient, never stored. Data: null."""

    kind: Literal["typing"] = "typing"
    conversation_id: Id
    user_id: Id
    user_name: str
    active: bool


class Presence(Shape):
    """Who is at a gateway, as far as others may know: what has changed, and from time to time again. Data: null.

    `gone` are people who are no longer there, with when they were seen last. `leaving`: the gateway stops, and all of
    them go elsewhere or away. `asking`: it has just begun, and wants to be told who is at the others.
    """

    kind: Literal["presence"] = "presence"
    gateway_id: Id
    here: dict[Id, Here] = Field(default_factory=dict)
    gone: dict[Id, Instant] = Field(default_factory=dict)
    leaving: bool | None = optional()
    asking: bool | None = optional()


class PresenceChosen(Shape):
    """Somebody has chosen how to be seen, for the gateways that they are at; `seenAt` when invisible. Data: null."""

    kind: Literal["presence.chosen"] = "presence.chosen"
    user_id: Id
    chosen: Chosen
    seen_at: Instant | None = optional()


class PreferencesChanged(Shape):
    """Somebody wants to be told of other things than before: for notifiers, which remember what people want. Data: null."""

    kind: Literal["preferences.changed"] = "preferences.changed"
    user_id: Id


class Reply(Shape):
    """The answer to a command, to the gateway that it came from. Data: null.

    With `code` it was refused. `message.send` is answered here only when it was refused or was stored before; a message
    that is new is its own answer, in `MessageCreated`.
    """

    kind: Literal["reply"] = "reply"
    command_id: str
    code: ErrorCode | None = optional()
    detail: str | None = optional()
    message_id: Id | None = optional()
    seq: Seq | None = optional()
    created_at: Instant | None = optional()
    duplicate: bool | None = optional()


Item = (
    MessageCreated
    | MessageUpdated
    | ConversationUpdated
    | SettingsChanged
    | ReadUpdated
    | Notification
    | Typing
    | Presence
    | PresenceChosen
    | PreferencesChanged
    | Reply
)

_item: TypeAdapter[Item] = TypeAdapter(Annotated[Item, Field(discriminator="kind")])
NULL = b"null"
INDEXED = 4  # items from which on an index is worth its reading
SHORTER = 4  # times that it is to be shorter than they are
_INDEX = b'{"kind":"index",'


def pack(items: Iterable[tuple[Item, bytes]], traceparent: str | None = None) -> bytes:
    """The body of one AMQP message. The data must be compact JSON, which has no line break.

    `traceparent`: of the command that these follow from, where it is traced; each header then carries it.
    """
    if traceparent is not None:
        return b"\n".join(line for item, data in items for line in (tracing.carry(item.encode(), traceparent), data))
    return b"\n".join(line for item, data in items for line in (item.encode(), data))


class Index(NamedTuple):
    """Whom the items of an AMQP message concern at most.

    Messages: the rooms of their conversations, and the gateways that they were sent at. Notifications: these people.
    """

    conversation_ids: list[str]
    gateway_ids: list[str]
    user_ids: list[str]


def pack_all(items: Iterable[tuple[Item, bytes, str | None]], most: int) -> Iterator[bytes]:
    """The bodies of as few AMQP messages as hold these, of about so many bytes at most; each with its `traceparent`."""
    packed = ((item, pack([(item, data)], traceparent)) for item, data, traceparent in items)
    return map(_indexed, lines.portions(packed, most, lambda one: len(one[1])))


def _indexed(items: Sequence[tuple[Item, bytes]]) -> bytes:
    packed = [line for _, line in items]
    kinds = {type(item) for item, _ in items}
    if len(items) < INDEXED or len(kinds) > 1 or not kinds <= {MessageCreated, Notification}:
        return lines.pack(packed)
    conversations, gateways, users = set[str](), set[str](), set[str]()
    for item, _ in items:
        if isinstance(item, MessageCreated):
            conversations.add(item.conversation_id)
            gateways.add(item.gateway_id)
        elif isinstance(item, Notification):
            users.update(item.unread)
    index = {"conversationIds": sorted(conversations), "gatewayIds": sorted(gateways), "userIds": sorted(users)}
    # An item of its own, of a kind that nobody else uses: who knows no index skips it.
    header = to_json({"kind": "index", **index})
    if len(header) * SHORTER > sum(map(len, packed)):
        return lines.pack(packed)
    return lines.pack([header, NULL, *packed])


def _index_of(body: bytes) -> Index | None:
    fields = _peek(body[: body.find(b"\n")])
    conversations, gateways, users = (fields.get(name) for name in ("conversationIds", "gatewayIds", "userIds"))
    if isinstance(conversations, list) and isinstance(gateways, list) and isinstance(users, list):
        return Index(conversations, gateways, users)
    return None


def unpack(
    body: bytes,
    wanted: Callable[[dict[str, Any]], bool] | None = None,
    any_wanted: Callable[[Index], bool] | None = None,
) -> Iterator[tuple[Item, bytes]]:
    """The items of one AMQP message, in order. Items of a kind that is not known yet are skipped.

    `wanted` sees each header as JSON, before it is checked, and may pass it over: most of what a gateway reads concerns
    others, and checking it all would cost more than all the rest of passing it over. `any_wanted` sees the index, where
    there is one, and may pass over everything.

    Raises:
        pydantic.ValidationError: naming each field that is wrong, where a known kind is malformed.
    """
    indexed = body.startswith(_INDEX)
    if indexed and any_wanted is not None and (index := _index_of(body)) is not None and not any_wanted(index):
        return
    pairs = iter(body.split(b"\n"))
    for header, data in zip(pairs, pairs, strict=False):
        if indexed:
            indexed = False
            continue
        if wanted is not None and not wanted(_peek(header)):
            continue
        try:
            item = _item.validate_json(header)
        except ValidationError as error:
            if error.errors()[0]["type"] == "union_tag_invalid":
                continue  # from a newer version, during a deploy
            raise
        yield item, data


def _peek(header: bytes) -> dict[str, Any]:
    try:
        fields = from_json(header)
    except ValueError:
        return {}  # whoever checks it will complain
    return fields if isinstance(fields, dict) else {}

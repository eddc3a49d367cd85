"""Events: the envelope around a message that is JSON already is the one that the model would write."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from contracts import events, generate
from contracts.examples import CONVERSATION_UPDATED, EVENTS, MESSAGE_CREATED
from contracts.message import Attachment, Message

PLAIN: dict[str, Any] = {
    "id": "m1",
    "conversation_id": "c1",
    "seq": 7,
    "sender_id": "alice",
    "sender_name": "Alice",
    "sender_avatar": None,
    "content": "Bonjour",
    "created_at": datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC),
}
ATTACHMENT = Attachment(name="a.png", url="/files/a.png", type="image/png", size=3)
MESSAGES = {
    "plain": Message(**PLAIN),
    "rich": Message(**PLAIN, attachments=[ATTACHMENT], reply_to="m0", mentions=["bob"]),
    "quoting itself": Message(**{**PLAIN, "content": '"createdAt":"1999",\n}\u2028', "sender_name": 'A"createdAt":'}),
}


def created(message: Message) -> bytes:
    return events.message_created(message.conversation_id, message.seq, message.created_at, message.encode())


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_message_created_is_what_the_model_writes(message):
    body = created(message)
    model = events.MessageCreated(id="c1:7", subject="c1", time=message.created_at, data=message)
    assert json.loads(body) == json.loads(model.encode())
    assert events.MessageCreated.decode(body) == model


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_message_created_validates(message):
    body = json.loads(created(message))
    Draft202012Validator(generate.events_schema()).validate(body)


@pytest.mark.parametrize(
    ("event_type", "key"),
    [
        ("chat.message.created.v1", "message.created.c1"),
        ("chat.message.updated.v1", "message.updated.c1"),
        ("chat.conversation.updated.v1", "conversation.updated.c1"),
        ("chat.read.updated.v1", "read.updated.c1"),
    ],
)
def test_routing_key(event_type, key):
    assert events.routing_key(event_type, "c1") == key


def altered(event: events.Event, **fields: Any) -> bytes:
    return json.dumps({**json.loads(event.encode()), **fields}).encode()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_event_is_parsed_as_what_it_is(event):
    assert events.parse_event(event.encode()) == event


def test_newer_fields_are_ignored():
    data = {**json.loads(MESSAGE_CREATED.encode())["data"], "newer": {"a": 1}}
    assert events.parse_event(altered(MESSAGE_CREATED, data=data, tracestate="a=1")) == MESSAGE_CREATED


@pytest.mark.parametrize("kind", ["chat.poll.opened.v1", "chat.message.created.v2"])
def test_an_unknown_type_is_any_event(kind):
    event = events.parse_event(altered(MESSAGE_CREATED, type=kind, data={"a": 1}))
    assert isinstance(event, events.OtherEvent)
    assert (event.type, event.id, event.subject) == (kind, MESSAGE_CREATED.id, MESSAGE_CREATED.subject)
    assert event.data == {"a": 1}


def test_an_unknown_update_is_any_event():
    data = {**json.loads(CONVERSATION_UPDATED.encode())["data"], "updateType": "frozen"}
    event = events.parse_event(altered(CONVERSATION_UPDATED, data=data))
    assert isinstance(event, events.OtherEvent)
    assert event.data["updateType"] == "frozen"


def test_a_foreign_event_needs_no_more_than_cloudevents_asks_for():
    event = events.parse_event(b'{"specversion":"1.0","id":"1","source":"/x","type":"y"}')
    assert isinstance(event, events.OtherEvent)
    assert event.data is None


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"type":"chat.poll.opened.v1"}',
        altered(MESSAGE_CREATED, data={"id": "m1"}),
        altered(MESSAGE_CREATED, specversion="0.3", id=7),
    ],
)
def test_what_is_malformed_is_an_error(body):
    with pytest.raises(ValidationError):
        events.parse_event(body)

"""Events: the envelope around a message that is JSON already is the one that the model would write."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts import events, generate
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

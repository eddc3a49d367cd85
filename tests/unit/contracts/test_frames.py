"""Frames: every type of the protocol is there, and what is on the wire is what the protocol says."""

import json
from datetime import UTC, datetime

import pytest

from contracts import frames
from contracts.errors import CloseCode, ErrorCode
from contracts.message import Message

MESSAGE = Message(
    id="m1",
    conversation_id="c1",
    seq=7,
    sender_id="alice",
    sender_name="Alice",
    sender_avatar=None,
    content='"quoted" and 👍',
    created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
)

CLIENT = {
    "authenticate",
    "join_conversation",
    "leave_conversation",
    "send_message",
    "typing_start",
    "typing_stop",
    "ping",
    "edit_message",
    "delete_message",
    "add_reaction",
    "remove_reaction",
    "mark_read",
    "set_presence",
    "watch_presence",
}
SERVER = {
    "authenticated",
    "auth_error",
    "joined_conversation",
    "left_conversation",
    "new_message",
    "message_sent",
    "message_error",
    "message_updated",
    "user_typing",
    "user_stopped_typing",
    "read_receipt",
    "presence",
    "conversation_updated",
    "notification",
    "resync",
    "pong",
    "error",
}
ERROR_CODES = {
    "INVALID_FRAME",
    "UNKNOWN_TYPE",
    "NOT_AUTHENTICATED",
    "INVALID_TOKEN",
    "TOKEN_EXPIRED",
    "NOT_A_MEMBER",
    "NOT_JOINED",
    "NOT_FOUND",
    "FORBIDDEN",
    "CONTENT_EMPTY",
    "CONTENT_TOO_LONG",
    "TEMP_ID_CONFLICT",
    "RATE_LIMITED",
    "TIMEOUT",
    "UNAVAILABLE",
    "INTERNAL",
}
RECONNECT = {1001, 1012, 4000, 4001, 4002, 4003}
STAY_AWAY = {1000, 1009, 4500, 4501, 4502, 4503, 4504}


def test_every_type_is_there():
    assert set(frames.CLIENT_FRAMES) == CLIENT
    assert set(frames.SERVER_FRAMES) == SERVER


def test_every_code_is_there():
    assert {code.value for code in ErrorCode} == ERROR_CODES
    assert {code.value for code in CloseCode} == RECONNECT | STAY_AWAY


def test_codes_say_whether_to_come_back():
    assert {code.value for code in CloseCode if code.reconnect} == RECONNECT
    assert {code for code in ErrorCode if code.retryable} == {"RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"}
    assert all(code.sentence and 400 <= code.status < 600 for code in ErrorCode)


@pytest.mark.parametrize("temp_id", [None, "t1", 'with "quotes" \\ and 👍'])
def test_new_message_is_what_the_model_writes(temp_id):
    quick = json.loads(frames.new_message(MESSAGE.encode(), temp_id))
    message = MESSAGE.model_copy(update={"temp_id": temp_id})
    model = json.loads(frames.NewMessage(message=message).encode())
    assert quick.pop("timestamp").endswith("Z")
    del model["timestamp"]
    assert quick == model


@pytest.mark.parametrize("temp_id", [None, "t1"])
@pytest.mark.parametrize("request_id", [None, "r1", 'with "quotes" \\ and 👍'])
def test_message_updated_is_what_the_model_writes(request_id, temp_id):
    quick = json.loads(frames.message_updated(MESSAGE.encode(), "edited", request_id, temp_id))
    message = MESSAGE.model_copy(update={"temp_id": temp_id})
    model = json.loads(frames.MessageUpdated(message=message, change="edited", request_id=request_id).encode())
    assert quick.pop("timestamp").endswith("Z")
    del model["timestamp"]
    assert quick == model


def test_optional_fields_are_left_out():
    frame = frames.MessageSent(
        message_id="m1", conversation_id="c1", seq=7, created_at=MESSAGE.created_at, duplicate=False
    )
    assert set(json.loads(frame.encode())) == {
        "timestamp",
        "type",
        "messageId",
        "conversationId",
        "seq",
        "createdAt",
        "duplicate",
    }


def test_nullable_fields_are_present():
    authenticated = frames.Authenticated(
        user_id="alice", user_name="Alice", connection_id="s1", heartbeat_interval_ms=30000, expires_at=None
    )
    joined = frames.JoinedConversation(conversation_id="c1", last_seq=0, first_seq=None, has_more=False)
    assert json.loads(authenticated.encode())["expiresAt"] is None
    assert json.loads(joined.encode())["firstSeq"] is None
    assert json.loads(MESSAGE.encode())["senderAvatar"] is None


def test_timestamps_have_milliseconds_and_z():
    assert json.loads(MESSAGE.encode())["createdAt"] == "2026-01-31T12:00:00.000Z"


def test_unknown_fields_are_ignored():
    frame = frames.Ping.model_validate({"type": "ping", "fromTheFuture": 1, "timestamp": 42})
    assert frame == frames.Ping(type="ping")


def test_types_are_not_coerced():
    with pytest.raises(ValueError, match="seq"):
        frames.MarkRead.model_validate({"type": "mark_read", "conversationId": "c1", "seq": "7"})

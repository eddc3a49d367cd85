"""The session judges frames without any I/O."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import frames
from contracts.conversation import Profile
from contracts.errors import CloseCode, ErrorCode
from services.gateway.auth import Identity
from services.gateway.limits import Buckets
from services.gateway.session import Refused, Session
from services.gateway.settings import Settings

SETTINGS = Settings(auth_dev=True)


def receive(session: Session, now: float = 0.0, **frame: object) -> object:
    return session.receive(json.dumps(frame), now)


@pytest.fixture
def session() -> Session:
    """Somebody who has authenticated and joined c1."""
    session = Session(SETTINGS, 0.0)
    profile = Profile(user_id="u1", user_name="Una", avatar=None)
    session.authenticated(Identity(profile, datetime.now(UTC)), Buckets.of(SETTINGS, 0.0))
    session.joined.add("c1")
    return session


def code_of(outcome: object) -> ErrorCode:
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.frame, frames.Error | frames.MessageError)
    return outcome.frame.code


@pytest.mark.parametrize(
    "data",
    [
        "no json",
        "[]",
        '"text"',
        "{}",
        '{"type": 7}',
        b"binary",
        '{"type": "join_conversation"}',
        '{"type": "join_conversation", "conversationId": 5}',
        '{"type": "join_conversation", "conversationId": ""}',
        '{"type": "join_conversation", "conversationId": {"$ne": null}}',
        '{"type": "join_conversation", "conversationId": "c", "afterSeq": -1}',
        '{"type": "join_conversation", "conversationId": "c", "afterSeq": true}',
        '{"type": "join_conversation", "conversationId": "c", "limit": 201}',
        '{"type": "send_message", "conversationId": "c", "content": 5}',
        '{"type": "send_message", "conversationId": "c", "content": "x", "tempId": "' + "x" * 65 + '"}',
        '{"type": "send_message", "conversationId": "c", "content": "x", "attachments": [{"url": "javascript:1"}]}',
    ],
)
def test_a_malformed_frame_is_named(session: Session, data: str | bytes) -> None:
    assert code_of(session.receive(data, 0.0)) is ErrorCode.INVALID_FRAME


def test_what_a_client_writes_for_nothing_is_nothing(session: Session) -> None:
    """Some serialise what is not set as an empty string, or as null."""
    sent = receive(session, type="send_message", conversationId="c1", content="x", tempId="", replyTo="", requestId="")
    assert sent == receive(session, type="send_message", conversationId="c1", content="x")
    joined = receive(session, type="join_conversation", conversationId="c1", limit=None)
    assert joined == receive(session, type="join_conversation", conversationId="c1")
    assert isinstance(sent, frames.SendMessage)
    assert isinstance(joined, frames.JoinConversation)


def test_a_malformed_send_is_refused_as_a_send(session: Session) -> None:
    """So that the page finds the message that it shows as being sent."""
    outcome = receive(session, type="send_message", conversationId="c", tempId="t1", content=5, requestId="r1")
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.frame, frames.MessageError)
    assert (outcome.frame.code, outcome.frame.temp_id, outcome.frame.conversation_id, outcome.frame.request_id) == (
        ErrorCode.INVALID_FRAME,
        "t1",
        "c",
        "r1",
    )


def test_half_an_emoji_is_refused_with_the_ids_of_who_sent_it(session: Session) -> None:
    """As JSON.stringify writes a text that was cut within one."""
    frame = '{"type":"send_message","conversationId":"c","tempId":"t1","requestId":"r1","content":"cut \\ud83d"}'
    outcome = session.receive(frame, 0.0)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.frame, frames.MessageError)
    assert (outcome.frame.code, outcome.frame.temp_id, outcome.frame.conversation_id, outcome.frame.request_id) == (
        ErrorCode.INVALID_FRAME,
        "t1",
        "c",
        "r1",
    )
    in_an_id = session.receive('{"type":"ping","requestId":"\\ud83d","heads":{}}', 0.0)
    assert isinstance(in_an_id, Refused)
    assert in_an_id.frame.encode(), "what cannot be said is not"
    for not_json in ('{"type":"ping","x":NaN}', '{"type":"ping"', "[" * 60_000):
        assert code_of(session.receive(not_json, 0.0)) is ErrorCode.INVALID_FRAME


@pytest.mark.parametrize("token", [None, "", 5])
def test_an_authentication_without_a_token_fails_as_one(token: object) -> None:
    outcome = receive(Session(SETTINGS, 0.0), type="authenticate", token=token)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.frame, frames.AuthError)
    assert (outcome.frame.code, outcome.close) == (ErrorCode.INVALID_TOKEN, CloseCode.AUTHENTICATION_FAILED)


def test_nothing_but_ping_before_authentication() -> None:
    session = Session(SETTINGS, 0.0)
    assert code_of(receive(session, type="join_conversation")) is ErrorCode.NOT_AUTHENTICATED
    assert isinstance(receive(session, type="ping"), frames.Ping)
    assert isinstance(receive(session, type="authenticate", token="t"), frames.Authenticate)


def test_upper_case_types_and_unknown_fields_are_accepted(session: Session) -> None:
    outcome = receive(session, type="SEND_MESSAGE", conversationId="c1", content=" hi ", timestamp=5, more=[1])
    assert isinstance(outcome, frames.SendMessage)
    assert outcome.content == "hi"


def test_unknown_types_are_refused_and_do_not_count_as_invalid(session: Session) -> None:
    for number in range(60):
        outcome = receive(session, now=float(number), type="dance", requestId="r1")
        assert code_of(outcome) is ErrorCode.UNKNOWN_TYPE
        assert isinstance(outcome, Refused)
        assert outcome.close is None
        assert isinstance(outcome.frame, frames.Error)
        assert outcome.frame.request_id == "r1"


def test_the_fiftieth_invalid_frame_is_fatal(session: Session) -> None:
    fatal = [session.receive("{", float(number)) for number in range(50)]
    closes = [outcome.close for outcome in fatal if isinstance(outcome, Refused)]
    assert closes == [None] * 49 + [CloseCode.TOO_MANY_INVALID_FRAMES]


@pytest.mark.parametrize(
    ("content", "code"),
    [("", ErrorCode.CONTENT_EMPTY), ("  \n", ErrorCode.CONTENT_EMPTY), ("x" * 8001, ErrorCode.CONTENT_TOO_LONG)],
)
def test_content_has_one_to_8000_characters(session: Session, content: str, code: ErrorCode) -> None:
    outcome = receive(session, type="send_message", conversationId="c1", content=content, tempId="t")
    assert code_of(outcome) is code
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.frame, frames.MessageError)
    assert outcome.frame.temp_id == "t"


def test_typing_needs_a_join(session: Session) -> None:
    assert isinstance(receive(session, type="typing_start", conversationId="c1"), frames.TypingStart)
    assert code_of(receive(session, type="typing_start", conversationId="c2")) is ErrorCode.NOT_JOINED


def test_sends_are_limited_and_the_wait_is_told(session: Session) -> None:
    send: dict[str, Any] = {"type": "send_message", "conversationId": "c1", "content": "x", "tempId": "t"}
    outcomes = [receive(session, **send) for _ in range(41)]
    assert not any(isinstance(outcome, Refused) for outcome in outcomes[:40])
    assert code_of(outcomes[40]) is ErrorCode.RATE_LIMITED
    last = outcomes[40]
    assert isinstance(last, Refused)
    assert isinstance(last.frame, frames.MessageError)
    assert last.frame.retryable
    assert last.frame.retry_after_ms == 51
    assert isinstance(receive(session, now=0.06, **send), frames.SendMessage)


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "❤️", "👨‍👩‍👧", "🇫🇷", "1️⃣"])
@pytest.mark.parametrize("kind", ["add_reaction", "remove_reaction"])
def test_a_reaction_is_one_emoji(session: Session, kind: str, emoji: str) -> None:
    outcome = receive(session, type=kind, conversationId="c1", messageId="m1", emoji=emoji)
    assert isinstance(outcome, frames.AddReaction | frames.RemoveReaction)


@pytest.mark.parametrize("emoji", ["", "a", "1", "👍👍", "👍 ", " ", ":+1:", "<b>", "\u200d", "👍" * 40])
def test_a_reaction_is_nothing_else(session: Session, emoji: str) -> None:
    outcome = receive(session, type="add_reaction", conversationId="c1", messageId="m1", emoji=emoji)
    assert code_of(outcome) is ErrorCode.INVALID_FRAME


def test_an_edit_is_trimmed_and_may_be_empty_until_its_message_is_known(session: Session) -> None:
    edit: dict[str, Any] = {"type": "edit_message", "conversationId": "c1", "messageId": "m1", "requestId": "r"}
    outcomes = [receive(session, **edit, content=content) for content in ("  two ", " ")]
    assert [outcome.content for outcome in outcomes if isinstance(outcome, frames.EditMessage)] == ["two", ""]
    refused = receive(session, **edit, content="x" * 8001)
    assert code_of(refused) is ErrorCode.CONTENT_TOO_LONG
    assert isinstance(refused, Refused)
    assert isinstance(refused.frame, frames.Error)
    assert (refused.frame.request_id, refused.frame.conversation_id) == ("r", "c1")


def test_changes_are_limited_by_themselves(session: Session) -> None:
    deletion: dict[str, Any] = {"type": "delete_message", "conversationId": "c1", "messageId": "m1"}
    outcomes = [receive(session, **deletion) for _ in range(41)]
    assert not any(isinstance(outcome, Refused) for outcome in outcomes[:40])
    assert code_of(outcomes[40]) is ErrorCode.RATE_LIMITED
    send = receive(session, type="send_message", conversationId="c1", content="x")
    assert isinstance(send, frames.SendMessage)

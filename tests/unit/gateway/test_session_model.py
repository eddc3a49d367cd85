"""Whatever a client sends in whatever order, the session answers it as its few rules say, and never fails."""

import json
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts import frames
from contracts.conversation import Profile
from contracts.errors import CloseCode, ErrorCode
from services.gateway.auth import Identity
from services.gateway.limits import Buckets
from services.gateway.session import Refused, Session
from services.gateway.settings import Settings

SETTINGS = Settings(
    auth_dev=True, max_invalid_frames=5, rate_sends=1, rate_sends_burst=3, rate_typing=1, rate_typing_burst=2
)
ROOMS = st.sampled_from(["c", "d"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class Bucket:
    """A token bucket, as the protocol describes it."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.at = rate, burst, burst, 0.0

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Conversation(RuleBasedStateMachine):
    """One connection and what it should be answered."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(SETTINGS, 0.0)
        self.now = 0.0
        self.known = False  # authenticated
        self.invalid = 0
        self.sends = Bucket(SETTINGS.rate_sends, SETTINGS.rate_sends_burst)
        self.typing = Bucket(SETTINGS.rate_typing, SETTINGS.rate_typing_burst)
        self.frames = Bucket(SETTINGS.rate_frames, SETTINGS.rate_frames_burst)

    def receive(self, data: str | bytes) -> frames.ClientFrame | Refused:
        return self.session.receive(data, self.now)

    def ask(self, **frame: object) -> frames.ClientFrame | ErrorCode | None:
        """The frame itself, or the code with which it was refused; None when it came too fast."""
        allowed = self.frames.take(self.now)
        outcome = self.receive(json.dumps(frame))
        code = outcome.frame.code if isinstance(outcome, Refused) else None  # type: ignore[attr-defined]
        if not allowed:
            assert code is ErrorCode.RATE_LIMITED
            return None
        return outcome if code is None else code  # type: ignore[return-value]

    def refused_as_invalid(self, outcome: frames.ClientFrame | Refused) -> None:
        self.invalid += 1
        assert isinstance(outcome, Refused)
        assert (outcome.close is CloseCode.TOO_MANY_INVALID_FRAMES) is (self.invalid >= SETTINGS.max_invalid_frames)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.known)
    @rule()
    def authenticate(self) -> None:
        assert not isinstance(self.ask(type="authenticate", token="t"), ErrorCode)
        profile = Profile(user_id="u", user_name="Una", avatar=None)
        self.session.authenticated(Identity(profile, datetime.now(UTC)), Buckets.of(SETTINGS, self.now))
        self.known = True

    @precondition(lambda self: self.known)
    @rule(room=ROOMS)
    def join(self, room: str) -> None:
        if not isinstance(self.ask(type="JOIN_CONVERSATION", conversationId=room), ErrorCode | None):
            self.session.joined.add(room)

    @rule(room=ROOMS)
    def leave(self, room: str) -> None:
        self.session.joined.discard(room)

    @rule(data=st.one_of(st.binary(max_size=20), st.text(max_size=20), JSON.map(json.dumps)))
    def rubbish(self, data: bytes | str) -> None:
        try:
            value = json.loads(data) if isinstance(data, str) else None
        except ValueError:
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            self.refused_as_invalid(self.receive(data))

    @rule(room=ROOMS, content=st.sampled_from(["x", " x ", "", "  ", "x" * 8000, "x" * 8001]))
    def send(self, room: str, content: str) -> None:
        outcome = self.ask(type="send_message", conversationId=room, content=content)
        if outcome is None:
            return
        if not self.known:
            assert outcome is ErrorCode.NOT_AUTHENTICATED
        elif not self.sends.take(self.now):
            assert outcome is ErrorCode.RATE_LIMITED
        elif not content.strip():
            assert outcome is ErrorCode.CONTENT_EMPTY
        elif len(content.strip()) > 8000:
            assert outcome is ErrorCode.CONTENT_TOO_LONG
        else:
            assert isinstance(outcome, frames.SendMessage)
            assert outcome.content == content.strip()

    @rule(room=ROOMS, kind=st.sampled_from(["typing_start", "typing_stop"]))
    def type(self, room: str, kind: str) -> None:
        outcome = self.ask(type=kind, conversationId=room)
        if outcome is None:
            return
        if not self.known:
            assert outcome is ErrorCode.NOT_AUTHENTICATED
        elif room not in self.session.joined:
            assert outcome is ErrorCode.NOT_JOINED
        elif not self.typing.take(self.now):
            assert outcome is ErrorCode.RATE_LIMITED
        else:
            assert isinstance(outcome, frames.TypingStart | frames.TypingStop)

    @rule()
    def ping(self) -> None:
        assert not isinstance(self.ask(type="ping"), ErrorCode)

    @rule(name=st.sampled_from(["sing", "SING", "new_message", ""]))
    def unknown(self, name: str) -> None:
        outcome = self.ask(type=name)
        expected = ErrorCode.UNKNOWN_TYPE if self.known else ErrorCode.NOT_AUTHENTICATED
        assert outcome in (None, expected)

    @invariant()
    def nobody_is_known_without_a_token(self) -> None:
        assert (self.session.identity is not None) is self.known


Conversation.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestConversation = Conversation.TestCase

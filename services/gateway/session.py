"""What a connection may do, without any I/O: a frame goes in, what is to be done comes out.

States: new, then authenticated; and the set of joined conversations. Time is passed in, in seconds.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from contracts import frames, limits, scopes
from contracts.errors import CloseCode, ErrorCode, Refusal
from contracts.shape import complaint
from services.gateway import metrics
from services.gateway.auth import Identity
from services.gateway.emojis import emoji_of
from services.gateway.limits import Buckets, take
from services.gateway.settings import Settings

SURROGATE = re.compile("[\ud800-\udfff]")  # what no answer could say


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer with this frame, then close if there is a code."""

    frame: frames.ServerFrame
    close: CloseCode | None = None


Outcome = frames.ClientFrame | Refused
MessageChange = frames.EditMessage | frames.DeleteMessage | frames.AddReaction | frames.RemoveReaction


class Session:
    """One connection's state."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._buckets = Buckets.of(settings, now)
        self._shared: Buckets | None = None
        self._invalid = 0
        self.identity: Identity | None = None
        self.joined: set[str] = set()

    def authenticated(self, identity: Identity, shared: Buckets) -> None:
        """The token was good. `shared` are the buckets of all this user's connections."""
        if identity.is_service and self.identity is None:
            self._buckets = Buckets.of(self._settings, self._buckets.frames.at, service=True)
        self.identity = identity
        self._shared = shared

    def receive(self, data: str | bytes, now: float) -> Outcome:
        """Judge one frame: the frame itself if it is to be carried out, else its refusal."""
        if isinstance(data, bytes):
            return self._invalid_frame("frames are text, not binary", None)
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            return self._unreadable(data, f"not JSON: {error}")
        if not isinstance(body, dict) or not isinstance(body.get("type"), str):
            return self._invalid_frame("type: a frame is a JSON object with a string type", None)
        kind: str = body["type"]
        kind = kind.lower() if kind.isupper() else kind
        body["type"] = kind
        known = kind in frames.CLIENT_FRAMES
        metrics.frames_in(kind if known else "unknown").inc()
        request_id = _text(body, "requestId")
        if (wait := self._limit(lambda b: b.frames, now)) > 0:
            return self._limited(body, request_id, wait)
        if self.identity is None and kind not in ("authenticate", "ping"):
            return _error(ErrorCode.NOT_AUTHENTICATED, request_id)
        if not known:
            return _error(ErrorCode.UNKNOWN_TYPE, request_id, f"The type {kind[:64]!r} is not known here.")
        try:
            frame = frames.CLIENT_FRAMES[kind].model_validate(body)
        except ValidationError as error:
            return self._malformed(kind, body, error, request_id)
        if self.identity is not None and self.identity.scopes is not None:
            try:
                scopes.check_frame(self.identity.scopes, kind)
            except Refusal as refusal:
                return _refused(frame, refusal)
        return self._judge(frame, now)

    def _unreadable(self, data: str, sentence: str) -> Refused:
        """Browsers write half an emoji as an escaped lone surrogate, which is no text (RFC 8259, 8.2): it can be refused
        only, but whoever sent it waits for an answer with its ids.
        """
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("type"), str):
            return self._invalid_frame(sentence, None)
        request_id = _text(body, "requestId")
        refused = self._invalid_frame(sentence, request_id)
        if self.identity is None or body["type"].lower() != "send_message":
            return refused
        return Refused(_message_error(body, sentence, request_id), refused.close)

    def _malformed(self, kind: str, body: dict[str, Any], error: ValidationError, request_id: str | None) -> Refused:
        """What a frame of a known type is answered with, whatever is wrong in it."""
        sentence = complaint(error)
        if kind == "authenticate" and any(problem["loc"][:1] == ("token",) for problem in error.errors()):
            refusal = Refusal(ErrorCode.INVALID_TOKEN, sentence)
            metrics.REFUSALS.labels(refusal.code).inc()
            return Refused(
                frames.AuthError(request_id=request_id, error=refusal.detail, code=refusal.code),
                CloseCode.AUTHENTICATION_FAILED,
            )
        refused = self._invalid_frame(sentence, request_id)
        if kind != "send_message":
            return refused
        return Refused(_message_error(body, sentence, request_id), refused.close)

    def _judge(self, frame: frames.ClientFrame, now: float) -> Outcome:
        match frame:
            case frames.SendMessage():
                if (wait := self._limit(lambda b: b.sends, now)) > 0:
                    return self._limited(frame.model_dump(), frame.request_id, wait)
                try:
                    content = content_of(frame)
                except Refusal as refusal:
                    return Refused(message_error(frame, refusal))
                return frame if content == frame.content else frame.model_copy(update={"content": content})
            case frames.EditMessage() | frames.DeleteMessage() | frames.AddReaction() | frames.RemoveReaction():
                return self._judge_change(frame, now)
            case frames.TypingStart() | frames.TypingStop():
                if frame.conversation_id not in self.joined:
                    return _error(ErrorCode.NOT_JOINED, frame.request_id, conversation_id=frame.conversation_id)
                if (wait := self._limit(lambda b: b.typing, now)) > 0:
                    return self._limited(frame.model_dump(), frame.request_id, wait)
            case frames.SetPresence() | frames.WatchPresence():
                if (wait := self._limit(lambda b: b.presence, now)) > 0:
                    return self._limited(frame.model_dump(), frame.request_id, wait)
            case frames.MarkRead():
                if (wait := self._limit(lambda b: b.reads, now)) > 0:
                    return self._limited(frame.model_dump(), frame.request_id, wait)
        return frame

    def _judge_change(self, frame: MessageChange, now: float) -> Outcome:
        if (wait := self._limit(lambda b: b.changes, now)) > 0:
            return self._limited(frame.model_dump(), frame.request_id, wait)
        match frame:
            case frames.EditMessage():
                try:
                    content = new_content_of(frame.content)
                except Refusal as refusal:
                    return Refused(error_frame(refusal, frame.request_id, frame.conversation_id))
                return frame if content == frame.content else frame.model_copy(update={"content": content})
            case frames.AddReaction() | frames.RemoveReaction():
                try:
                    return frame.model_copy(update={"emoji": emoji_of(frame.emoji)})
                except Refusal as refusal:
                    return self._invalid_frame(refusal.detail, frame.request_id)
        return frame

    def _limit(self, which: Callable[[Buckets], Any], now: float) -> float:
        buckets = [which(self._buckets)]
        if self._shared is not None:
            buckets.append(which(self._shared))
        return take(now, *buckets)

    def _limited(self, body: dict[str, Any], request_id: str | None, wait: float) -> Refused:
        refusal = Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
        if body["type"] == "send_message":
            try:
                return Refused(message_error(frames.SendMessage.model_validate(body), refusal))
            except ValidationError:
                pass
        return _error(
            ErrorCode.RATE_LIMITED,
            request_id,
            conversation_id=_text(body, "conversationId"),
            retry_after=wait,
        )

    def _invalid_frame(self, detail: str, request_id: str | None) -> Refused:
        self._invalid += 1
        too_many = 0 < self._settings.max_invalid_frames <= self._invalid
        refused = _error(ErrorCode.INVALID_FRAME, request_id, detail[:500])
        return Refused(refused.frame, CloseCode.TOO_MANY_INVALID_FRAMES if too_many else None)


def content_of(frame: Any) -> str:
    """The content to store, trimmed.

    Raises:
        Refusal: CONTENT_EMPTY without content and attachments, or CONTENT_TOO_LONG.
    """
    content = new_content_of(frame.content)
    if not content and not frame.attachments:
        raise Refusal(ErrorCode.CONTENT_EMPTY)
    return content


def new_content_of(text: str) -> str:
    """The content to store instead, trimmed; only with the message itself one can tell whether it may be empty.

    Raises:
        Refusal: CONTENT_TOO_LONG.
    """
    content = text.strip()
    if len(content) > limits.CONTENT_LENGTH:
        raise Refusal(
            ErrorCode.CONTENT_TOO_LONG,
            f"The content has {len(content)} characters, {limits.CONTENT_LENGTH} are allowed.",
        )
    return content


def message_error(frame: frames.SendMessage, refusal: Refusal) -> frames.MessageError:
    """The refusal of a send."""
    metrics.REFUSALS.labels(refusal.code).inc()
    return frames.MessageError(
        request_id=frame.request_id,
        error=refusal.detail,
        code=refusal.code,
        temp_id=frame.temp_id,
        conversation_id=frame.conversation_id,
        retryable=refusal.code.retryable,
        retry_after_ms=None if refusal.retry_after is None else int(refusal.retry_after * 1000) + 1,
    )


def error_frame(refusal: Refusal, request_id: str | None = None, conversation_id: str | None = None) -> frames.Error:
    """The refusal of any other frame."""
    metrics.REFUSALS.labels(refusal.code).inc()
    return frames.Error(
        request_id=request_id,
        error=refusal.detail,
        code=refusal.code,
        conversation_id=conversation_id,
        retry_after_ms=None if refusal.retry_after is None else int(refusal.retry_after * 1000) + 1,
    )


def _refused(frame: frames.ClientFrame, refusal: Refusal) -> Refused:
    if isinstance(frame, frames.SendMessage):
        return Refused(message_error(frame, refusal))
    return Refused(error_frame(refusal, frame.request_id, getattr(frame, "conversation_id", None)))


def _error(
    code: ErrorCode,
    request_id: str | None,
    detail: str | None = None,
    *,
    conversation_id: str | None = None,
    retry_after: float | None = None,
) -> Refused:
    return Refused(error_frame(Refusal(code, detail, retry_after=retry_after), request_id, conversation_id))


def _message_error(body: dict[str, Any], sentence: str, request_id: str | None) -> frames.MessageError:
    """A send is refused as one, also where little of it can be read."""
    return frames.MessageError(
        request_id=request_id,
        error=sentence[:500],
        code=ErrorCode.INVALID_FRAME,
        temp_id=_text(body, "tempId"),
        conversation_id=_text(body, "conversationId"),
        retryable=False,
    )


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= limits.ID_LENGTH:
        return None
    return None if SURROGATE.search(value) else value

"""Error codes and close codes, once. `docs/protocol.md` lists them and a test holds both equal."""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """Why something was refused, over WebSocket (`code` of a frame) and REST (`code` of a problem)."""

    INVALID_FRAME = "INVALID_FRAME"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    NOT_AUTHENTICATED = "NOT_AUTHENTICATED"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105 - the code's name, not a secret
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - the code's name, not a secret
    NOT_A_MEMBER = "NOT_A_MEMBER"
    NOT_JOINED = "NOT_JOINED"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONTENT_EMPTY = "CONTENT_EMPTY"
    CONTENT_TOO_LONG = "CONTENT_TOO_LONG"
    TEMP_ID_CONFLICT = "TEMP_ID_CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    TIMEOUT = "TIMEOUT"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return _FACTS[self].retryable

    @property
    def status(self) -> int:
        """The HTTP status that carries this code over REST."""
        return _FACTS[self].status

    @property
    def sentence(self) -> str:
        """What a person reads when nothing more exact is known."""
        return _FACTS[self].sentence


class _Facts(NamedTuple):
    status: int
    retryable: bool
    sentence: str


_FACTS = {
    ErrorCode.INVALID_FRAME: _Facts(400, False, "The request is malformed."),
    ErrorCode.UNKNOWN_TYPE: _Facts(400, False, "This type of frame is not known here."),
    ErrorCode.NOT_AUTHENTICATED: _Facts(401, False, "Authenticate first."),
    ErrorCode.INVALID_TOKEN: _Facts(401, False, "The token is not valid."),
    ErrorCode.TOKEN_EXPIRED: _Facts(401, False, "The token has expired."),
    # 404, so that nobody can tell an unknown conversation from one of others.
    ErrorCode.NOT_A_MEMBER: _Facts(404, False, "You are not a member of such a conversation."),
    ErrorCode.NOT_JOINED: _Facts(409, False, "Join the conversation on this connection first."),
    ErrorCode.NOT_FOUND: _Facts(404, False, "There is no such thing."),
    ErrorCode.FORBIDDEN: _Facts(403, False, "Your role does not allow this."),
    ErrorCode.CONTENT_EMPTY: _Facts(422, False, "A message needs content or an attachment."),
    ErrorCode.CONTENT_TOO_LONG: _Facts(422, False, "The content is too long."),
    ErrorCode.TEMP_ID_CONFLICT: _Facts(409, False, "This tempId was used for another content."),
    ErrorCode.RATE_LIMITED: _Facts(429, True, "Too many requests."),
    ErrorCode.TIMEOUT: _Facts(504, True, "It took too long. Trying again with the same tempId is safe."),
    ErrorCode.UNAVAILABLE: _Facts(503, True, "A part of the service is away. Try again."),
    ErrorCode.INTERNAL: _Facts(500, False, "Something went wrong on our side."),
}


class Refusal(Exception):
    """A request that is answered with an error code.

    Attributes:
        code: the reason, for programs.
        detail: the reason, for people.
        retry_after: seconds to wait, with RATE_LIMITED.
    """

    def __init__(self, code: ErrorCode, detail: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(detail or code.sentence)
        self.code = code
        self.detail = detail or code.sentence
        self.retry_after = retry_after


class CloseCode(IntEnum):
    """Why the gateway closed a socket (RFC 6455, section 7.4; 4000 and up are ours).

    4000 to 4499, and 1001 and 1012: reconnect. 4500 to 4999: do not.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    FRAME_TOO_LARGE = 1009
    DRAINING = 1012  # the reason is JSON: {"reconnectInMs": n}
    NO_HEARTBEAT = 4000
    TOO_SLOW = 4001
    TOKEN_EXPIRED = 4002  # fetch a new token first
    BROKER_LOST = 4003
    AUTHENTICATION_FAILED = 4500
    NOT_AUTHENTICATED_IN_TIME = 4501
    TOO_MANY_INVALID_FRAMES = 4502
    TOO_MANY_CONNECTIONS = 4503
    ORIGIN_NOT_ALLOWED = 4504

    @property
    def reconnect(self) -> bool:
        """Whether a client should come back by itself."""
        return self in (1001, 1012) or 4000 <= self < 4500

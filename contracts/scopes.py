"""What a service account may do: a table, which REST and the socket ask.

A token without a `scope` claim (RFC 8693, section 4.2) is a person's, and may do what its user may. With it, each frame and
each call needs the scopes of its row, beside what the account may as a member (`rights`). What is in no row is for people.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from contracts.errors import ErrorCode, Refusal

Scope = Literal[
    "messages:read", "messages:write", "conversations:read", "conversations:write", "webhooks:write", "deployment:admin"
]
Scopes = frozenset[Scope]
SCOPES: tuple[Scope, ...] = get_args(Scope)
OPENID = "openid"  # in the scope of tokens that an OpenID provider gives to people
ADMIN: Scope = "deployment:admin"  # leads the whole deployment, beside what other scopes allow; no person does
CONVERSATION = "/api/conversations/{conversationId}"
WEBHOOK = "/api/webhooks/{webhookId}"
MESSAGE = f"{CONVERSATION}/messages/{{messageId}}"


@dataclass(frozen=True)
class Row:
    """What needs the same scopes. `calls` are a method and a path; `needs` is None for what only people may do."""

    what: str
    needs: Scopes | None
    frames: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


def _all(*needed: Scope) -> Scopes:
    return frozenset(needed)


ROWS = (
    Row("know who one is", _all(), calls=("GET /api/me",)),
    Row(
        "connect over WebSocket, join, and be told what members are told",
        _all("messages:read"),
        frames=("authenticate", "ping", "join_conversation", "leave_conversation", "watch_presence"),
    ),
    Row(
        "read messages, search, mark as read, see who is here",
        _all("messages:read"),
        frames=("mark_read",),
        calls=(
            f"GET {CONVERSATION}/messages",
            f"GET {MESSAGE}",
            f"GET {MESSAGE}/replies",
            f"GET {MESSAGE}/readers",
            f"GET {MESSAGE}/edits",
            f"GET {CONVERSATION}/pins",
            f"POST {CONVERSATION}/read",
            "GET /api/search",
            "GET /api/presence",
        ),
    ),
    Row(
        "send, edit and delete messages",
        _all("messages:write"),
        frames=("send_message", "edit_message", "delete_message", "typing_start", "typing_stop", "set_presence"),
        calls=(f"POST {CONVERSATION}/messages", f"PATCH {MESSAGE}", f"DELETE {MESSAGE}"),
    ),
    Row(
        "react, which shows the message",
        _all("messages:read", "messages:write"),
        frames=("add_reaction", "remove_reaction"),
        calls=(f"PUT {MESSAGE}/reactions/{{emoji}}", f"DELETE {MESSAGE}/reactions/{{emoji}}"),
    ),
    Row(
        "find conversations, their members, and people",
        _all("conversations:read"),
        calls=(
            "GET /api/conversations",
            f"GET {CONVERSATION}",
            f"GET {CONVERSATION}/members",
            f"GET {CONVERSATION}/audit",
            "GET /api/channels",
            "GET /api/users",
        ),
    ),
    Row(
        "create and change conversations, their members and pins",
        _all("conversations:write"),
        calls=(
            "POST /api/conversations",
            f"PATCH {CONVERSATION}",
            f"DELETE {CONVERSATION}",
            f"PATCH {CONVERSATION}/me",
            f"POST {CONVERSATION}/join",
            f"POST {CONVERSATION}/members",
            f"PATCH {CONVERSATION}/members/{{userId}}",
            f"DELETE {CONVERSATION}/members/{{userId}}",
            f"PUT {CONVERSATION}/pins/{{messageId}}",
            f"DELETE {CONVERSATION}/pins/{{messageId}}",
        ),
    ),
    Row(
        "say what one wants to be told of, and see what one was told",
        None,
        calls=(
            "GET /api/notifications",
            "POST /api/notifications/read",
            "GET /api/notification-settings",
            "PUT /api/notification-settings",
            f"GET {CONVERSATION}/notification-settings",
            f"PUT {CONVERSATION}/notification-settings",
            "GET /api/push/key",
            "POST /api/push/subscriptions",
            "DELETE /api/push/subscriptions",
            "GET /api/email",
            "PUT /api/email",
        ),
    ),
    Row(
        "make and change webhooks, which bring what is said; with `deployment:admin` those of all conversations",
        _all("messages:read", "webhooks:write"),
        calls=(
            "GET /api/webhooks",
            "POST /api/webhooks",
            f"GET {WEBHOOK}",
            f"PATCH {WEBHOOK}",
            f"DELETE {WEBHOOK}",
            f"POST {WEBHOOK}/rotate-secret",
            f"POST {WEBHOOK}/ping",
            f"GET {WEBHOOK}/deliveries",
            f"GET {WEBHOOK}/deliveries/{{deliveryId}}",
            f"POST {WEBHOOK}/deliveries/{{deliveryId}}/redeliver",
        ),
    ),
)

_FRAMES = {frame: row.needs for row in ROWS for frame in row.frames}
_CALLS = {call: row.needs for row in ROWS for call in row.calls}


def granted(claim: str | None) -> Scopes | None:
    """What a token's `scope` claim allows; None for a person.

    Names that are not ours allow nothing, so a misspelt one does not make a service account a person. `openid` does,
    where none of ours is beside it: providers put it into the tokens of people who signed in.
    """
    if claim is None:
        return None
    names = claim.split()
    ours: Scopes = frozenset(scope for scope in SCOPES if scope in names)
    return None if not ours and OPENID in names else ours


def check_frame(scopes: Scopes | None, frame: str) -> None:
    """Returns when somebody with these scopes may send this type of frame. Raises Refusal FORBIDDEN."""
    if scopes is not None:
        _check(scopes, _FRAMES.get(frame))


def check_call(scopes: Scopes | None, method: str, path: str) -> None:
    """Likewise for a call; the path as in the table. Raises Refusal FORBIDDEN."""
    if scopes is not None:
        _check(scopes, _CALLS.get(f"{method} {path}"))


def _check(scopes: Scopes, needs: Scopes | None) -> None:
    if needs is None:
        raise Refusal(ErrorCode.FORBIDDEN, "This is for people, not for service accounts.")
    if missing := needs - scopes:
        raise Refusal(ErrorCode.FORBIDDEN, f"The token's scope lacks {' and '.join(sorted(missing))}.")


def table() -> str:
    """The table in Markdown."""
    lines = ["| to | scope | frames | calls |", "|---|---|---|---|"]
    for row in ROWS:
        scope = (
            "none" if row.needs == frozenset() else "people only" if row.needs is None else _codes(sorted(row.needs))
        )
        calls = _codes(call.replace("{conversationId}", "{id}") for call in row.calls)
        lines.append(f"| {row.what} | {scope} | {_codes(row.frames)} | {calls} |")
    return "\n".join(lines)


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)

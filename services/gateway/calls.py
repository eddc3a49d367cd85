"""What REST calls share: who calls, the command that a call becomes, answers, and the cursors of pages."""

import asyncio
import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import StringConstraints

from contracts import limits, scopes
from contracts.conversation import Conversation
from contracts.errors import ErrorCode, Refusal
from contracts.message import Message
from contracts.shape import Id, Shape
from services.gateway.auth import Identity
from services.gateway.history import reading
from services.gateway.ingress import new_id
from services.gateway.limits import take
from services.gateway.parts import Gateway
from services.gateway.problems import InvalidField

ConversationName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=limits.NAME_LENGTH)]
Limit = Annotated[int, Query(ge=1, le=limits.LIST_PAGE)]


async def gateway_of(request: Request) -> Gateway:
    """The parts of this process."""
    gateway: Gateway = request.app.state.gateway
    return gateway


The = Annotated[Gateway, Depends(gateway_of)]


async def authenticate(request: Request, path: str) -> None:
    """Find out who calls, from the bearer token (RFC 6750), and whether it allows it, before anything else is read."""
    gateway: Gateway = request.app.state.gateway
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(ErrorCode.NOT_AUTHENTICATED)
    identity = await gateway.verifier.verify(token.strip())
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(identity).frames)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
    request.state.caller = identity
    scopes.check_call(identity.scopes, request.method, path)
    await gateway.profiles.store(identity.profile)


async def caller_of(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> Identity:
    """Who calls."""
    caller: Identity = request.state.caller
    return caller


Caller = Annotated[Identity, Depends(caller_of)]
ConversationId = Annotated[Id, Path(alias="conversationId")]
UserId = Annotated[Id, Path(alias="userId")]
MessageId = Annotated[Id, Path(alias="messageId")]


async def respond_conversation(gateway: Gateway, caller: Identity, conversation_id: str, status: int = 200) -> Response:
    """One conversation as the caller sees it now. Raises Refusal NOT_A_MEMBER."""
    async with reading():
        found: Conversation = await gateway.directory.conversation(conversation_id, caller.user_id)
    return respond(shown(caller, found), status)


def shown(caller: Identity, conversation: Conversation) -> Conversation:
    """A conversation, without what somebody said in it where the caller's token does not allow to read that."""
    return conversation if caller.has("messages:read") else conversation.model_copy(update={"last_message": None})


def own(caller: Identity, message: Message) -> Message:
    """The caller's own message, likewise without what it quotes."""
    return message if caller.has("messages:read") else message.model_copy(update={"reply": None})


async def check_member(gateway: Gateway, caller: Identity, conversation_id: str) -> None:
    """Raises Refusal NOT_A_MEMBER."""
    if not await gateway.directory.is_member(conversation_id, caller.user_id):
        raise Refusal(ErrorCode.NOT_A_MEMBER)


def command(gateway: Gateway, caller: Identity) -> dict[str, Any]:
    """What every command of this caller carries."""
    ingress = gateway.ingress
    return {
        "id": new_id(),
        "origin": ingress.origin(None),
        "actor": caller.profile,
        "expires_at": ingress.expires_at(),
    }


def respond(shape: Shape, status: int = 200) -> Response:
    """One value."""
    return Response(shape.encode(), status, media_type="application/json")


def respond_list(items: Sequence[Shape], cursor: str | None) -> Response:
    """A page, and where the next one begins."""
    body = b'{"items":[' + b",".join(shape.encode() for shape in items) + b'],"nextCursor":'
    return Response(body + json.dumps(cursor).encode() + b"}", media_type="application/json")


def next_cursor(following: tuple[datetime, str] | None) -> str | None:
    """Where the next page of a list by time begins, as a client gives it back."""
    return None if following is None else encode_cursor([following[0].isoformat(), following[1]])


def encode_cursor(parts: list[str]) -> str:
    """Opaque to clients; `decode_cursor` reads it."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[str]:
    """The parts of a cursor that was given. Raises InvalidField for any other."""
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidField("cursor: not one that was given") from error
    if not isinstance(parts, list) or len(parts) != length or not all(isinstance(p, str) for p in parts):
        raise InvalidField("cursor: not one that was given")
    return parts


def text_cursor(cursor: str | None) -> str | None:
    """The cursor of a list by one text."""
    return None if cursor is None else decode_cursor(cursor, 1)[0]


def time_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The cursor of a list by time."""
    if cursor is None:
        return None
    moment, last_id = decode_cursor(cursor, 2)
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), last_id
    except (ValueError, OverflowError) as error:
        raise InvalidField("cursor: not one that was given") from error

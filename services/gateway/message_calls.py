"""REST under `/api/conversations/{id}/messages/{messageId}`: changes of a message, and what it said before."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from contracts import limits
from contracts.commands import DeleteMessage, EditMessage, React
from contracts.errors import ErrorCode, Refusal
from contracts.message import Edit, Message
from contracts.shape import Id, Shape, optional
from services.gateway.auth import Identity
from services.gateway.bodies import strict_route
from services.gateway.calls import (
    Caller,
    ConversationId,
    Limit,
    MessageId,
    The,
    authenticate,
    check_member,
    command,
    next_cursor,
    own,
    respond,
    respond_list,
    time_cursor,
)
from services.gateway.emojis import emoji_of
from services.gateway.history import reading
from services.gateway.limits import take
from services.gateway.parts import Gateway
from services.gateway.problems import PROBLEMS, InvalidField
from services.gateway.session import new_content_of


class NewContent(Shape):
    """What a message is to say instead; whom it mentions stays, unless that is given too."""

    content: str
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class Edits(Shape):
    """A page of what a message said before, oldest first."""

    items: list[Edit]
    next_cursor: str | None


Emoji = Annotated[str, Path(max_length=limits.EMOJI_LENGTH)]

router = APIRouter(
    prefix="/api/conversations/{conversationId}/messages/{messageId}",
    route_class=strict_route(authenticate),
    responses=PROBLEMS,
)


@router.patch("", response_model=Message)
async def edit(
    gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId, body: NewContent
) -> Response:
    """Give one's own message another content."""
    _limit(gateway, caller)
    await gateway.ingress.request(
        EditMessage(
            **command(gateway, caller),
            conversation_id=conversation_id,
            message_id=message_id,
            content=new_content_of(body.content),
            mentions=body.mentions,
            mention_all=body.mention_all,
        )
    )
    return await _respond(gateway, caller, conversation_id, message_id)


@router.delete("", status_code=204)
async def delete(gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId) -> Response:
    """Empty one's own message; in groups and channels admins may empty anybody's."""
    _limit(gateway, caller)
    await gateway.ingress.request(
        DeleteMessage(**command(gateway, caller), conversation_id=conversation_id, message_id=message_id)
    )
    return Response(status_code=204)


@router.put("/reactions/{emoji}", response_model=Message)
async def add_reaction(
    gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId, emoji: Emoji
) -> Response:
    """Put one's emoji on a message."""
    return await _react(gateway, caller, conversation_id, message_id, emoji, present=True)


@router.delete("/reactions/{emoji}", response_model=Message)
async def remove_reaction(
    gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId, emoji: Emoji
) -> Response:
    """Take one's emoji back."""
    return await _react(gateway, caller, conversation_id, message_id, emoji, present=False)


@router.get("/edits", response_model=Edits)
async def edits(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    message_id: MessageId,
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """What it said before, oldest first; nothing when it was deleted."""
    async with reading():
        await check_member(gateway, caller, conversation_id)
        await gateway.history.message(conversation_id, message_id, caller.user_id)
        items, following = await gateway.history.edits(conversation_id, message_id, limit, time_cursor(cursor))
    return respond_list(items, next_cursor(following))


async def _react(
    gateway: Gateway, caller: Identity, conversation_id: Id, message_id: Id, emoji: str, *, present: bool
) -> Response:
    _limit(gateway, caller)
    try:
        emoji = emoji_of(emoji)
    except Refusal as refusal:
        raise InvalidField(refusal.detail) from refusal
    await gateway.ingress.request(
        React(
            **command(gateway, caller),
            conversation_id=conversation_id,
            message_id=message_id,
            emoji=emoji,
            present=present,
        )
    )
    return await _respond(gateway, caller, conversation_id, message_id)


async def _respond(gateway: Gateway, caller: Identity, conversation_id: Id, message_id: Id) -> Response:
    async with reading():
        return respond(own(caller, await gateway.history.message(conversation_id, message_id, caller.user_id)))


def _limit(gateway: Gateway, caller: Identity) -> None:
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(caller).changes)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)

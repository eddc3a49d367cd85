"""REST for those who lead a conversation, and for what somebody sets for themselves: roles, channels, pins, audit."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from contracts import commands, limits
from contracts.conversation import AuditEntry, Channel, Conversation, Pin, Role
from contracts.shape import Shape
from services.gateway.bodies import strict_route
from services.gateway.calls import (
    Caller,
    ConversationId,
    Limit,
    MessageId,
    The,
    UserId,
    authenticate,
    check_member,
    command,
    decode_cursor,
    encode_cursor,
    next_cursor,
    respond_conversation,
    respond_list,
    time_cursor,
)
from services.gateway.history import reading
from services.gateway.problems import PROBLEMS, InvalidField

router = APIRouter(prefix="/api", route_class=strict_route(authenticate), responses=PROBLEMS)


class NewRole(Shape):
    """What a member may from now on."""

    role: Role


class Settings(Shape):
    """For the caller alone; what is absent stays."""

    muted: bool | None = None
    archived: bool | None = None


class Channels(Shape):
    """A page of public channels."""

    items: list[Channel]
    next_cursor: str | None


class Pins(Shape):
    """All pinned messages, the newest pin first."""

    items: list[Pin]
    next_cursor: str | None


class AuditTrail(Shape):
    """A page of changes, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None


@router.get("/channels", response_model=Channels)
async def channels(
    gateway: The,
    caller: Caller,
    query: Annotated[str, Query(max_length=limits.NAME_LENGTH)] = "",
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """Public channels by name, a word of which begins with the query."""
    after = None if cursor is None else decode_cursor(cursor, 2)
    async with reading():
        items, more = await gateway.directory.channels(caller.user_id, query.strip(), limit, after)
    return respond_list(items, encode_cursor([items[-1].name, items[-1].id]) if more else None)


@router.post("/conversations/{conversationId}/join", response_model=Conversation)
async def join(gateway: The, caller: Caller, conversation_id: ConversationId) -> Response:
    """Come into a public channel."""
    await gateway.ingress.request(commands.JoinChannel(**command(gateway, caller), conversation_id=conversation_id))
    return await respond_conversation(gateway, caller, conversation_id)


@router.patch("/conversations/{conversationId}/members/{userId}", response_model=Conversation)
async def change_role(
    gateway: The, caller: Caller, conversation_id: ConversationId, user_id: UserId, body: NewRole
) -> Response:
    """Make somebody an admin, or no longer (admins)."""
    await gateway.ingress.request(
        commands.ChangeRole(
            **command(gateway, caller), conversation_id=conversation_id, member_id=user_id, role=body.role
        )
    )
    return await respond_conversation(gateway, caller, conversation_id)


@router.patch("/conversations/{conversationId}/me", response_model=Conversation)
async def change_settings(gateway: The, caller: Caller, conversation_id: ConversationId, body: Settings) -> Response:
    """Mute or archive it for oneself."""
    if body == Settings():
        raise InvalidField("muted, archived: one of them at least")
    await gateway.ingress.request(
        commands.ChangeSettings(
            **command(gateway, caller),
            conversation_id=conversation_id,
            muted=body.muted,
            archived=body.archived,
        )
    )
    return await respond_conversation(gateway, caller, conversation_id)


@router.get("/conversations/{conversationId}/pins", response_model=Pins)
async def pins(gateway: The, caller: Caller, conversation_id: ConversationId) -> Response:
    """All pinned messages, the newest pin first."""
    async with reading():
        await check_member(gateway, caller, conversation_id)
        return respond_list(await gateway.history.pins(conversation_id, caller.user_id), None)


@router.put("/conversations/{conversationId}/pins/{messageId}", status_code=204)
async def pin(gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId) -> Response:
    """Pin a message (admins; in a direct conversation both)."""
    await gateway.ingress.request(
        commands.PinMessage(**command(gateway, caller), conversation_id=conversation_id, message_id=message_id)
    )
    return Response(status_code=204)


@router.delete("/conversations/{conversationId}/pins/{messageId}", status_code=204)
async def unpin(gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId) -> Response:
    """Unpin it; also what was not pinned (admins; in a direct conversation both)."""
    await gateway.ingress.request(
        commands.UnpinMessage(**command(gateway, caller), conversation_id=conversation_id, message_id=message_id)
    )
    return Response(status_code=204)


@router.get("/conversations/{conversationId}/audit", response_model=AuditTrail)
async def audit(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """Who changed what, newest first (admins)."""
    after = time_cursor(cursor)
    async with reading():
        await gateway.directory.check_right("read_audit", conversation_id, caller.user_id)
        items, following = await gateway.directory.audit(conversation_id, limit, after)
    return respond_list(items, next_cursor(following))

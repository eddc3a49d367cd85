"""REST for what somebody was told, and wants to be told of. The notifier keeps it, so a change is a command to it."""

from typing import Literal

from fastapi import APIRouter, Response

from contracts import limits, notifying
from contracts.errors import ErrorCode, Refusal
from contracts.notifying import ConversationNotifications, Level, Notification, NotificationSettings
from contracts.shape import Id, Shape, now, optional
from services.gateway.bodies import strict_route
from services.gateway.calls import (
    Caller,
    ConversationId,
    Limit,
    The,
    authenticate,
    check_member,
    command,
    next_cursor,
    respond,
    time_cursor,
)
from services.gateway.history import reading
from services.gateway.problems import PROBLEMS, InvalidField

router = APIRouter(prefix="/api", route_class=strict_route(authenticate), responses=PROBLEMS)


class NewLevel(Shape):
    """What to be told of in a conversation; null: as in general."""

    level: Level | None


@router.get("/notification-settings", response_model=NotificationSettings)
async def settings(gateway: The, caller: Caller) -> Response:
    """What the caller wants to be told of in general, and when not."""
    async with reading():
        return respond(await gateway.notifications.settings(caller.user_id))


@router.put("/notification-settings", response_model=NotificationSettings)
async def put_settings(gateway: The, caller: Caller, body: NotificationSettings) -> Response:
    """Say it anew; what is left out becomes what it is for everybody."""
    await gateway.ingress.request(
        notifying.StoreNotificationSettings(**command(gateway, caller), settings=body),
    )
    return respond(body)


@router.get("/conversations/{conversationId}/notification-settings", response_model=ConversationNotifications)
async def conversation_settings(gateway: The, caller: Caller, conversation_id: ConversationId) -> Response:
    """What the caller wants to be told of in a conversation."""
    async with reading():
        await check_member(gateway, caller, conversation_id)
        level = await gateway.notifications.level(caller.user_id, conversation_id)
    return respond(ConversationNotifications(conversation_id=conversation_id, level=level))


@router.put("/conversations/{conversationId}/notification-settings", response_model=ConversationNotifications)
async def put_conversation_settings(
    gateway: The, caller: Caller, conversation_id: ConversationId, body: NewLevel
) -> Response:
    """Say it anew."""
    await gateway.ingress.request(
        notifying.StoreConversationNotifications(
            **command(gateway, caller), conversation_id=conversation_id, level=body.level
        )
    )
    return respond(ConversationNotifications(conversation_id=conversation_id, level=body.level))


class NotificationPage(Shape):
    """A page of the notification centre, and how many entries of all are unread."""

    items: list[Notification]
    next_cursor: str | None
    unread_count: int


class ReadWhich(Shape):
    """Which entries were read: all of them, those up to one, or those of a conversation."""

    all: Literal[True] | None = optional()
    up_to: Id | None = optional()
    conversation_id: Id | None = optional()


class Unread(Shape):
    """How many are left."""

    unread_count: int


@router.get("/notifications", response_model=NotificationPage)
async def notifications(
    gateway: The, caller: Caller, limit: Limit = limits.LIST_DEFAULT, cursor: str | None = None
) -> Response:
    """What the caller was told while they did not look, newest first."""
    after = time_cursor(cursor)
    async with reading():
        items, following = await gateway.notifications.entries(caller.user_id, limit, after)
        unread = await gateway.notifications.unread(caller.user_id)
    return respond(NotificationPage(items=items, next_cursor=next_cursor(following), unread_count=unread))


@router.post("/notifications/read", response_model=Unread)
async def read(gateway: The, caller: Caller, body: ReadWhich) -> Response:
    """Mark entries as read: nothing that comes later, and no message."""
    if [body.all, body.up_to, body.conversation_id].count(None) != 2:
        raise InvalidField("all, upTo, conversationId: exactly one of them")
    until = now()
    if body.up_to is not None:
        async with reading():
            moment = await gateway.notifications.moment_of(caller.user_id, body.up_to)
        if moment is None:
            raise Refusal(ErrorCode.NOT_FOUND)
        until = moment
    await gateway.ingress.request(
        notifying.ReadNotifications(**command(gateway, caller), until=until, conversation_id=body.conversation_id)
    )
    async with reading():
        return respond(Unread(unread_count=await gateway.notifications.unread(caller.user_id)))

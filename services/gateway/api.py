"""REST under `/api`: reads from the history, writes as commands that are answered when they are stored."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field
from starlette.responses import JSONResponse

from contracts import commands, fanout, limits
from contracts.conversation import Conversation, Member, Profile
from contracts.errors import ErrorCode, Refusal
from contracts.ids import direct_conversation_id
from contracts.message import Attachment, Message
from contracts.presence import Chosen, Seen
from contracts.shape import Id, IdOrEmpty, Seq, Shape, optional
from services.gateway import auth
from services.gateway.bodies import strict_route
from services.gateway.calls import (
    Caller,
    ConversationId,
    ConversationName,
    Limit,
    MessageId,
    The,
    UserId,
    authenticate,
    check_member,
    command,
    encode_cursor,
    next_cursor,
    own,
    respond,
    respond_conversation,
    respond_list,
    shown,
    text_cursor,
    time_cursor,
)
from services.gateway.history import reading
from services.gateway.ingress import new_id
from services.gateway.limits import take
from services.gateway.problems import PROBLEMS, InvalidField
from services.gateway.session import content_of
from services.mongo import Front


class NewConversation(Shape):
    """`name` for groups and channels; a direct conversation has exactly one other member; `public` for channels."""

    type: Literal["direct", "group", "channel"]
    name: ConversationName | None = None
    member_ids: Annotated[list[Id], Field(max_length=limits.MEMBERS_IN_CALL)] = Field(default_factory=list)
    public: bool = False


class Changes(Shape):
    """What is to be different; each is a change of its own, told by itself."""

    name: ConversationName | None = None
    public: bool | None = None
    closed: bool | None = None


class NewMembers(Shape):
    """People to bring in."""

    user_ids: Annotated[list[Id], Field(min_length=1, max_length=limits.MEMBERS_IN_CALL)]


class NewMessage(Shape):
    """A message, as over WebSocket."""

    content: str = ""
    temp_id: IdOrEmpty = optional()
    attachments: Annotated[list[Attachment], Field(max_length=limits.ATTACHMENTS)] | None = optional()
    reply_to: IdOrEmpty = optional()
    mentions: Annotated[list[Id], Field(max_length=limits.MENTIONS)] | None = optional()
    mention_all: bool | None = optional()


class ReadUpTo(Shape):
    """The newest message that was read."""

    seq: Seq


class ReadState(Shape):
    """How far the caller has read, and how many messages are newer."""

    conversation_id: Id
    last_read_seq: Seq
    unread_count: Seq


class Readers(Shape):
    """Everybody but its sender who has read a message."""

    seq: Seq
    items: list[Profile]


class PresencePage(Shape):
    """People as the caller sees them; `chosen` is how the caller wants to be seen."""

    items: list[Seen]
    chosen: Chosen


class DevelopmentToken(Shape):
    """Whose token; without `userId` it is derived from the name."""

    user_name: ConversationName
    user_id: Id | None = optional()


class People(Shape):
    """A page of people."""

    items: list[Profile]
    next_cursor: str | None


class Conversations(Shape):
    """A page of conversations."""

    items: list[Conversation]
    next_cursor: str | None


class Members(Shape):
    """A page of members."""

    items: list[Member]
    next_cursor: str | None


class Messages(Shape):
    """A page of messages, in rising `seq`."""

    items: list[Message]
    has_more: bool
    has_more_before: bool | None = optional()
    has_more_after: bool | None = optional()


class Token(Shape):
    """A development token."""

    token: str
    user_id: Id


router = APIRouter(prefix="/api", route_class=strict_route(authenticate), responses=PROBLEMS)
development = APIRouter(prefix="/api/dev", route_class=strict_route(), responses=PROBLEMS)


@router.get("/me", response_model=Profile)
async def me(caller: Caller) -> Response:
    """The caller's profile."""
    return respond(caller.profile)


@router.get("/users", response_model=People)
async def users(
    gateway: The,
    caller: Caller,
    query: str = "",
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """People to start a conversation with, one of whose names begins with the query."""
    after = text_cursor(cursor)
    async with reading():
        people, following = await gateway.directory.people(query.strip()[: limits.NAME_LENGTH], limit, after)
    return respond_list(people, None if following is None else encode_cursor([following]))


@router.get("/presence", response_model=PresencePage)
async def presence(
    gateway: The,
    caller: Caller,
    user_ids: Annotated[list[Id], Query(alias="userIds", max_length=limits.WATCHED)] = [],  # noqa: B006 - FastAPI's way
) -> Response:
    """Those of these people with whom the caller shares a conversation, and the caller."""
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(caller).presence)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
    items = await gateway.presence.look(caller.user_id, user_ids)
    return respond(PresencePage(items=items, chosen=await gateway.presence.chosen(caller.user_id)))


@router.post("/conversations", status_code=201, response_model=Conversation)
async def create_conversation(gateway: The, caller: Caller, body: NewConversation) -> Response:
    """Create a conversation, or find the direct one of these two."""
    others = [user for user in dict.fromkeys(body.member_ids) if user != caller.user_id]
    conversation_id = new_id()
    if body.type == "direct":
        if len(others) != 1:
            raise InvalidField("memberIds: a direct conversation has exactly one other member")
        conversation_id = direct_conversation_id(caller.user_id, others[0])
    elif body.type == "channel" and body.name is None:
        raise InvalidField("name: a channel needs a name")
    if body.public and body.type != "channel":
        raise InvalidField("public: only a channel can be public")
    await gateway.ingress.request(
        commands.CreateConversation(
            **command(gateway, caller),
            conversation_id=conversation_id,
            conversation_type=body.type,
            name=None if body.type == "direct" else body.name,
            member_ids=others,
            public=True if body.public else None,
        )
    )
    return await respond_conversation(gateway, caller, conversation_id, status=201)


@router.get("/conversations", response_model=Conversations)
async def conversations(
    gateway: The,
    caller: Caller,
    archived: bool = False,
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """The caller's conversations, newest activity first: those that are not archived, or those that are."""
    async with reading():
        items, following = await gateway.directory.conversations(
            caller.user_id, limit, time_cursor(cursor), archived=archived
        )
    return respond_list([shown(caller, item) for item in items], next_cursor(following))


@router.get("/conversations/{conversationId}", response_model=Conversation)
async def conversation(gateway: The, caller: Caller, conversation_id: ConversationId) -> Response:
    """One conversation with its members."""
    return await respond_conversation(gateway, caller, conversation_id)


@router.patch("/conversations/{conversationId}", response_model=Conversation)
async def change(gateway: The, caller: Caller, conversation_id: ConversationId, body: Changes) -> Response:
    """Rename it, make it public or private, close or open it (admins)."""
    if body == Changes():
        raise InvalidField("name, public, closed: one of them at least")
    request = gateway.ingress.request

    def about() -> dict[str, Any]:
        return {**command(gateway, caller), "conversation_id": conversation_id}

    if body.closed is False:  # first, since the others are refused while it is closed
        await request(commands.CloseConversation(**about(), closed=False))
    if body.name is not None:
        await request(commands.RenameConversation(**about(), name=body.name))
    if body.public is not None:
        await request(commands.PublishConversation(**about(), public=body.public))
    if body.closed:
        await request(commands.CloseConversation(**about(), closed=True))
    return await respond_conversation(gateway, caller, conversation_id)


@router.delete("/conversations/{conversationId}", status_code=204)
async def delete(gateway: The, caller: Caller, conversation_id: ConversationId) -> Response:
    """Delete it for everybody (admins)."""
    await gateway.ingress.request(
        commands.DeleteConversation(**command(gateway, caller), conversation_id=conversation_id)
    )
    return Response(status_code=204)


@router.get("/conversations/{conversationId}/members", response_model=Members)
async def members(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    query: str = "",
    limit: Limit = limits.LIST_PAGE,
    cursor: str | None = None,
) -> Response:
    """All members, longest-standing first; or those one of whose names begins with the query."""
    query = query.strip()[: limits.NAME_LENGTH]
    directory = gateway.directory
    async with reading():
        await check_member(gateway, caller, conversation_id)
        if query:
            found, last = await directory.find_members(conversation_id, query, limit, text_cursor(cursor))
            return respond_list(found, None if last is None else encode_cursor([last]))
        items, following = await directory.members(conversation_id, limit, time_cursor(cursor))
    return respond_list(items, next_cursor(following))


@router.post("/conversations/{conversationId}/members", response_model=Conversation)
async def add_members(gateway: The, caller: Caller, conversation_id: ConversationId, body: NewMembers) -> Response:
    """Bring people in (admins)."""
    await gateway.ingress.request(
        commands.AddMembers(**command(gateway, caller), conversation_id=conversation_id, member_ids=body.user_ids)
    )
    return await respond_conversation(gateway, caller, conversation_id)


@router.delete("/conversations/{conversationId}/members/{userId}", status_code=204)
async def remove_member(gateway: The, caller: Caller, conversation_id: ConversationId, user_id: UserId) -> Response:
    """Take somebody out (admins), or leave."""
    await gateway.ingress.request(
        commands.RemoveMember(**command(gateway, caller), conversation_id=conversation_id, member_id=user_id)
    )
    return Response(status_code=204)


@router.get("/conversations/{conversationId}/messages", response_model=Messages)
async def messages(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    before_seq: Annotated[int | None, Query(alias="beforeSeq", ge=0, le=2**53 - 1)] = None,
    after_seq: Annotated[int | None, Query(alias="afterSeq", ge=0, le=2**53 - 1)] = None,
    around_seq: Annotated[int | None, Query(alias="aroundSeq", ge=1, le=2**53 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=limits.HISTORY_PAGE)] = limits.HISTORY_DEFAULT,
) -> Response:
    """A page, rising `seq`: the newest, those before a seq, after one, between two, or around one.

    `hasMore` in the direction asked for (between two seqs: after the page); around one in either, and beside it in each.
    """
    if around_seq is not None and (before_seq is not None or after_seq is not None):
        raise InvalidField("aroundSeq: not together with beforeSeq or afterSeq")
    history, viewer = gateway.history, caller.user_id
    async with reading():
        await check_member(gateway, caller, conversation_id)
        if around_seq is not None:
            around, before, after = await history.around(conversation_id, around_seq, limit, viewer)
            return respond(
                Messages(items=around, has_more=before or after, has_more_before=before, has_more_after=after)
            )
        if after_seq is not None:
            found = await history.after(conversation_id, after_seq, limit + 1, before_seq, viewer)
            page = found[:limit]
        else:
            found = await history.newest(conversation_id, limit + 1, before_seq, viewer=viewer)
            page = found[-limit:]
    return _page(page, more=len(found) > limit)


@router.post(
    "/conversations/{conversationId}/messages",
    status_code=201,
    response_model=Message,
    responses={200: {"model": Message, "description": "It was stored before, under the same key."}},
)
async def send(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    body: NewMessage,
    idempotency_key: Annotated[IdOrEmpty, Header()] = None,
) -> Response:
    """Send without a socket: 201 with the message once it is stored, 200 when it was stored before."""
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(caller).sends)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
    content = content_of(body)
    if len(body.encode()) > gateway.settings.ws_max_frame:
        raise InvalidField(
            f"attachments: a message has at most {gateway.settings.ws_max_frame} bytes, as over WebSocket"
        )
    answer = await gateway.ingress.request(
        commands.SendMessage(
            **command(gateway, caller),
            conversation_id=conversation_id,
            content=content,
            temp_id=idempotency_key or body.temp_id,
            attachments=body.attachments,
            reply_to=body.reply_to,
            mentions=body.mentions,
            mention_all=body.mention_all,
        )
    )
    async with reading():
        message: Message = await gateway.history.message(conversation_id, str(answer.message_id), caller.user_id)
    # A reply is no repeat where the event was lost on its way here and the hole that it left was healed.
    is_repeat = isinstance(answer, fanout.Reply) and bool(answer.duplicate)
    return respond(own(caller, message), 200 if is_repeat else 201)


@router.get("/conversations/{conversationId}/messages/{messageId}", response_model=Message)
async def message(gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId) -> Response:
    """One message, as it is now."""
    async with reading():
        await check_member(gateway, caller, conversation_id)
        return respond(await gateway.history.message(conversation_id, message_id, caller.user_id))


@router.get("/conversations/{conversationId}/messages/{messageId}/replies", response_model=Messages)
async def replies(
    gateway: The,
    caller: Caller,
    conversation_id: ConversationId,
    message_id: MessageId,
    after_seq: Annotated[int, Query(alias="afterSeq", ge=0, le=2**53 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=limits.HISTORY_PAGE)] = limits.HISTORY_DEFAULT,
) -> Response:
    """The replies to a message, rising `seq`, those after a seq; the message itself is not among them."""
    history, viewer = gateway.history, caller.user_id
    async with reading():
        await check_member(gateway, caller, conversation_id)
        await history.message(conversation_id, message_id, viewer)
        found = await history.replies(conversation_id, message_id, after_seq, limit + 1, viewer)
    return _page(found[:limit], more=len(found) > limit)


@router.get("/conversations/{conversationId}/messages/{messageId}/readers", response_model=Readers)
async def readers(gateway: The, caller: Caller, conversation_id: ConversationId, message_id: MessageId) -> Response:
    """Who has read a message, in conversations of up to 100 people; in larger ones nobody is told (403)."""
    async with reading():
        await check_member(gateway, caller, conversation_id)
        seq, people = await gateway.directory.readers(conversation_id, message_id)
    return respond(Readers(seq=seq, items=people))


@router.post("/conversations/{conversationId}/read", response_model=ReadState)
async def mark_read(gateway: The, caller: Caller, conversation_id: ConversationId, body: ReadUpTo) -> Response:
    """Note that the caller has read up to a message; a mark never goes back, nor above the newest message."""
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(caller).reads)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
    answer = await gateway.ingress.request(
        commands.MarkRead(**command(gateway, caller), conversation_id=conversation_id, seq=body.seq)
    )
    read = answer.seq or 0
    async with reading():
        head = (await gateway.directory.fronts([conversation_id])).get(conversation_id, Front()).seq
    return respond(ReadState(conversation_id=conversation_id, last_read_seq=read, unread_count=max(0, head - read)))


@development.post("/token", response_model=Token)
async def development_token(gateway: The, body: DevelopmentToken) -> Response:
    """A token for anybody, in development only."""
    if not gateway.settings.auth_dev:
        raise Refusal(ErrorCode.NOT_FOUND)
    user_id = body.user_id or auth.development_user_id(body.user_name)
    return JSONResponse({"token": gateway.verifier.sign(user_id, body.user_name), "userId": user_id})


def _page(messages: list[Message], *, more: bool) -> Response:
    items = b",".join(message.encode() for message in messages)
    body = b'{"items":[%b],"hasMore":%b}' % (items, b"true" if more else b"false")
    return Response(body, media_type="application/json")

"""REST: searching in what was said."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from contracts import limits
from contracts.conversation import Found
from contracts.errors import ErrorCode, Refusal
from contracts.shape import Id, Shape
from services.gateway import search
from services.gateway.bodies import strict_route
from services.gateway.calls import Caller, Limit, The, authenticate, next_cursor, respond_list, time_cursor
from services.gateway.history import reading
from services.gateway.limits import take
from services.gateway.problems import PROBLEMS, InvalidField

router = APIRouter(prefix="/api", route_class=strict_route(authenticate), responses=PROBLEMS)
Moment = Annotated[AwareDatetime | None, Query()]


class Matches(Shape):
    """A page of what was found, newest first."""

    items: list[Found]
    next_cursor: str | None


@router.get("/search", response_model=Matches)
async def find(
    gateway: The,
    caller: Caller,
    q: Annotated[str, Query(max_length=limits.QUERY_LENGTH)],
    conversation_id: Annotated[Id | None, Query(alias="conversationId")] = None,
    sender_id: Annotated[Id | None, Query(alias="senderId")] = None,
    after: Moment = None,
    before: Moment = None,
    limit: Limit = limits.SEARCH_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """Messages of one's conversations that have a word beginning with each of the query's, newest first."""
    words = search.words_searched(q)
    if not words:
        raise InvalidField("q: a search needs a word")
    if len(words) > limits.QUERY_WORDS:
        raise InvalidField(f"q: at most {limits.QUERY_WORDS} words")
    place: tuple[datetime, str] | None = time_cursor(cursor)
    wait = take(asyncio.get_running_loop().time(), gateway.buckets_of(caller).searches)
    if wait > 0:
        raise Refusal(ErrorCode.RATE_LIMITED, retry_after=wait)
    query = search.Query(words, conversation_id, sender_id, _utc("after", after), _utc("before", before))
    async with reading():
        found, following = await gateway.search.find(
            caller.user_id, query, limit, search.Place(*place) if place else None
        )
    return respond_list(found, next_cursor(following))


def _utc(name: str, moment: datetime | None) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError as error:  # at an end of the calendar
        raise InvalidField(f"{name}: out of range") from error

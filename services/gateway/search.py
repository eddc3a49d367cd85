"""Searching what was said. `Search` is what the API needs; `MongoSearch` is the one that needs no other engine.

Newest first. A block of messages without an entry in the index is looked into like one whose entry has all the words, so
what is found does not depend on the index being complete.
"""

import heapq
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple, Protocol

from contracts import collections, limits
from contracts.conversation import Found
from contracts.errors import ErrorCode, Refusal
from contracts.words import BLOCK, WORD, fold, words_in, words_of
from services.mongo import Database, heads_of, to_message

Document = dict[str, Any]
ALWAYS = datetime.max.replace(tzinfo=UTC)
AT_ONCE = 16  # blocks that one read looks into
PATIENCE_MS = 2000  # of one read
LETTERS = 32  # of a word that MongoDB looks for: with all their accents, those of a longer one would be too much for it


class Place(NamedTuple):
    """Where a page ends: the next one has what is older."""

    at: datetime
    message_id: str


@dataclass(frozen=True)
class Query:
    """What is searched for: messages that have a word beginning with each of these, folded."""

    words: Sequence[str]
    conversation_id: str | None = None
    sender_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


class Search(Protocol):
    """Finds messages in the conversations that somebody is in, and in no other."""

    async def find(
        self, user_id: str, query: Query, limit: int, place: Place | None
    ) -> tuple[list[Found], Place | None]:
        """A page, newest first, and where it ends if there is more.

        Raises:
            Refusal: NOT_A_MEMBER of the conversation that is named.
        """


class Block(NamedTuple):
    """A block that may have what is searched for; none of its messages is newer than `newest`."""

    newest: datetime
    conversation_id: str
    number: int


class MongoSearch:
    """Looks up blocks by their words, and into their messages."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages = database[collections.MESSAGES.name]

    async def find(
        self, user_id: str, query: Query, limit: int, place: Place | None
    ) -> tuple[list[Found], Place | None]:
        """See `Search`."""
        names = await self._conversations(user_id, query.conversation_id)
        newest = place.at if place else None
        blocks = sorted(await self._blocks(list(names), query, newest), reverse=True)
        condition = _condition(query, place)
        best: list[tuple[Place, Document]] = []
        for start in range(0, len(blocks), AT_ONCE):
            if len(best) > limit and blocks[start].newest < best[-1][0].at:
                break  # all the others are older than what fills the page
            found = await self._look_into(blocks[start : start + AT_ONCE], condition, query)
            best = heapq.nlargest(limit + 1, [*best, *found], key=lambda match: match[0])
        page = [_found(document, names[document["conversationId"]], query, user_id) for _, document in best[:limit]]
        return page, best[limit - 1][0] if len(best) > limit else None

    async def _conversations(self, user_id: str, wanted: str | None) -> dict[str, str | None]:
        """The conversations to search in, with their names."""
        mine = {"userId": user_id, **({"conversationId": wanted} if wanted is not None else {})}
        memberships = self._database[collections.MEMBERSHIPS.name].find(mine, {"conversationId": 1})
        ids = [document["conversationId"] async for document in memberships]
        if wanted is not None and not ids:
            raise Refusal(ErrorCode.NOT_A_MEMBER)
        found = {"_id": {"$in": ids}, "deletedAt": {"$exists": False}}
        cursor = self._database[collections.CONVERSATIONS.name].find(found, {"name": 1})
        return {document["_id"]: document["name"] async for document in cursor}

    async def _blocks(self, ids: Sequence[str], query: Query, newest: datetime | None) -> list[Block]:
        """What has to be looked into: blocks with all the words, and those that are not indexed (yet)."""
        index = self._database[collections.SEARCH.name]
        heads = await heads_of(self._database, ids)
        bounds = [bound for bound in (newest, query.before) if bound is not None]
        matching: Document = {
            "conversationId": {"$in": list(ids)},
            "$and": [{"words": {"$regex": " " + re.escape(word)}} for word in query.words],
            **({"firstAt": {"$lte": min(bounds)}} if bounds else {}),
            **({"lastAt": {"$gte": query.after}} if query.after else {}),
        }
        fields = {"_id": 0, "conversationId": 1, "block": 1, "lastAt": 1}
        blocks = [
            Block(entry["lastAt"], entry["conversationId"], entry["block"])
            async for entry in index.find(matching, fields, max_time_ms=PATIENCE_MS)
        ]
        for conversation_id, indexed in (await self._indexed(ids)).items():
            missing = set(range(-(-heads.pop(conversation_id, 0) // BLOCK))) - indexed
            blocks += [Block(ALWAYS, conversation_id, number) for number in missing]
        for conversation_id, head in heads.items():
            blocks += [Block(ALWAYS, conversation_id, number) for number in range(-(-head // BLOCK))]
        return blocks

    async def _indexed(self, ids: Sequence[str]) -> dict[str, set[int]]:
        """The blocks of each conversation that have an entry. (The last one, which is not full, never has.)"""
        pipeline: list[Document] = [
            {"$match": {"conversationId": {"$in": list(ids)}}},
            {"$group": {"_id": "$conversationId", "blocks": {"$push": "$block"}}},
        ]
        cursor = self._database[collections.SEARCH.name].aggregate(pipeline, maxTimeMS=PATIENCE_MS)
        return {document["_id"]: set(document["blocks"]) async for document in cursor}

    async def _look_into(
        self, blocks: Sequence[Block], condition: Document, query: Query
    ) -> list[tuple[Place, Document]]:
        places = [
            {
                "conversationId": block.conversation_id,
                "seq": {"$gt": block.number * BLOCK, "$lte": (block.number + 1) * BLOCK},
            }
            for block in blocks
        ]
        cursor = self._messages.find({"$or": places, **condition}, {"tempHash": 0}, max_time_ms=PATIENCE_MS)
        return [
            (Place(document["createdAt"], document["_id"]), document)
            async for document in cursor
            if _matches(document["content"], query.words)
        ]


def words_searched(text: str) -> list[str]:
    """The words of what somebody typed. Whatever else is in it (quotes, signs, operators) only separates them."""
    return list(dict.fromkeys(WORD.findall(fold(text))))


def _condition(query: Query, place: Place | None) -> Document:
    """What MongoDB can judge; whether a word *begins* so, and goes on so, is seen afterwards."""
    both: list[Document] = [{"content": {"$regex": _pattern(word), "$options": "i"}} for word in query.words]
    if query.after is not None:
        both.append({"createdAt": {"$gte": query.after}})
    if query.before is not None:
        both.append({"createdAt": {"$lt": query.before}})
    if query.sender_id is not None:
        both.append({"senderId": query.sender_id})
    if place is not None:
        same = {"createdAt": place.at, "_id": {"$lt": place.message_id}}
        both.append({"$or": [{"createdAt": {"$lt": place.at}}, same]})
    return {"isDeleted": {"$ne": True}, "$and": both}


def _variants() -> dict[str, str]:
    """For each letter all those that are folded into it, and itself."""
    found: dict[str, set[str]] = defaultdict(set)
    for code in chain(range(0xC0, 0x530), range(0x1E00, 0x2000)):
        folded = fold(chr(code))
        if len(folded) == 1 and chr(code).isalpha():
            found[folded].add(chr(code))
    return {letter: "".join(sorted({letter, *others})) for letter, others in found.items()}


_VARIANTS = _variants()


MARKS = "[\u0300-\u036f]*"  # that a letter may have where a text is not composed


def _pattern(word: str) -> str:
    """An expression that matches where a text has this word, or as much of it as MongoDB bears, with whatever accents."""
    s = _letter("s") + MARKS
    units = re.findall("ss|.", word)[:LETTERS]
    return "".join(f"(?:{s}{s}|\u00df)" if unit == "ss" else _letter(unit) + MARKS for unit in units)


def _letter(letter: str) -> str:
    return f"[{_VARIANTS[letter]}]" if letter in _VARIANTS else re.escape(letter)


def _matches(content: str, words: Sequence[str]) -> bool:
    there = words_in(content)
    return all(any(word.startswith(wanted) for word in there) for wanted in words)


def _found(document: Document, name: str | None, query: Query, viewer: str) -> Found:
    content: str = document["content"]
    hits = [(start, end) for word, start, end in words_of(content) if word.startswith(tuple(query.words))]
    begin = max(0, hits[0][0] - limits.SNIPPET_LENGTH // 4) if hits else 0
    snippet = content[begin : begin + limits.SNIPPET_LENGTH]

    def units(position: int) -> int:
        """In UTF-16, from the beginning of the snippet."""
        return len(content[begin : max(begin, position)].encode("utf-16-le")) // 2

    until = begin + len(snippet)
    return Found(
        message=to_message(document, viewer),
        conversation_id=document["conversationId"],
        conversation_name=name,
        snippet=snippet,
        highlights=[(units(start), units(min(end, until))) for start, end in hits if begin <= start < until],
    )

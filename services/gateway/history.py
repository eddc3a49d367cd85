"""The messages that are stored, as this gateway reads them. Reads only, by majority."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pymongo.errors import PyMongoError

from contracts import collections
from contracts.conversation import Pin
from contracts.errors import ErrorCode, Refusal
from contracts.message import Edit, Message
from services.gateway.changes import Changed
from services.gateway.recent import Numbered
from services.mongo import Database, encode_message, to_message

HIDDEN = {"tempHash": 0, "change": 0}
HIDDEN_OF_CHANGED = {"tempHash": 0, "change.edits": 0}


@asynccontextmanager
async def reading(within: float | None = None) -> AsyncIterator[None]:
    """Turns a database that is away, or does not answer within so many seconds, into what a client understands.

    Raises:
        Refusal: UNAVAILABLE.
    """
    try:
        async with asyncio.timeout(within):
            yield
    except (PyMongoError, TimeoutError) as error:
        raise Refusal(ErrorCode.UNAVAILABLE, "The history cannot be read now.") from error


class History:
    """Reads of one database."""

    def __init__(self, database: Database) -> None:
        self._messages = database[collections.MESSAGES.name]
        self._edits = database[collections.EDITS.name]
        self._pins = database[collections.PINS.name]
        self._histories = database[collections.HISTORY.name]
        self.name: str | None = None  # as it was read last; None for one that no backup began

    async def read_name(self) -> None:
        """Know which history this is."""
        document = await self._histories.find_one({"_id": collections.HISTORY_ID})
        self.name = document["name"] if document else None

    async def changed(
        self, conversation_id: str, above: int, until: int, limit: int, up_to_seq: int | None = None
    ) -> list[Changed]:
        """The first `limit` messages whose last change is `above < changeSeq <= until`, in that order.

        With `up_to_seq` only of the messages up to there.
        """
        query = _changed_query(conversation_id, above, until, up_to_seq)
        found = await self._messages.find(query, HIDDEN_OF_CHANGED).sort("changeSeq", 1).limit(limit).to_list(None)
        return [
            Changed(
                number=d["changeSeq"],
                seq=d["seq"],
                change=d["change"]["kind"],
                body=encode_message(d),
                sender_id=d["senderId"],
                temp_id=d.get("tempId"),
            )
            for d in found
        ]

    async def count_changed(self, conversation_id: str, above: int, until: int, limit: int, up_to_seq: int) -> int:
        """How many those are, at most `limit`."""
        query = _changed_query(conversation_id, above, until, up_to_seq)
        return int(await self._messages.count_documents(query, limit=limit))

    async def replay(self, conversation_id: str, above: int, until: int | None = None) -> list[Numbered]:
        """Messages with `above < seq`, to the newest or `until` (which is included), rising, as they go to sockets."""
        bounds = {"$gt": above} if until is None else {"$gt": above, "$lte": until}
        query = {"conversationId": conversation_id, "seq": bounds}
        found = await self._messages.find(query, HIDDEN).sort("seq", 1).to_list(None)
        return [Numbered(d["seq"], encode_message(d), d["senderId"], d.get("tempId")) for d in found]

    async def missed(self, conversation_id: str, above: int, below: int) -> list[Message]:
        """Messages with `above < seq < below`, rising, each as its own sender sees it: with `tempId`."""
        query = {"conversationId": conversation_id, "seq": {"$gt": above, "$lt": below}}
        cursor = self._messages.find(query, HIDDEN).sort("seq", 1)
        return [to_message(document, document["senderId"]) async for document in cursor]

    async def newest(
        self, conversation_id: str, limit: int, below: int | None = None, viewer: str | None = None
    ) -> list[Message]:
        """The last `limit` messages (below a seq), rising."""
        query: dict[str, Any] = {"conversationId": conversation_id}
        if below is not None:
            query["seq"] = {"$lt": below}
        cursor = self._messages.find(query, HIDDEN).sort("seq", -1).limit(limit)
        return [to_message(document, viewer) async for document in cursor][::-1]

    async def after(
        self, conversation_id: str, above: int, limit: int, below: int | None = None, viewer: str | None = None
    ) -> list[Message]:
        """The first `limit` messages above a seq (and below another), rising."""
        seqs = {"$gt": above} if below is None else {"$gt": above, "$lt": below}
        query = {"conversationId": conversation_id, "seq": seqs}
        cursor = self._messages.find(query, HIDDEN).sort("seq", 1).limit(limit)
        return [to_message(document, viewer) async for document in cursor]

    async def around(self, conversation_id: str, seq: int, limit: int, viewer: str) -> tuple[list[Message], bool, bool]:
        """A page around a seq, rising, and whether there are older and newer messages than those."""
        half = limit // 2
        older = await self.newest(conversation_id, half + 1, seq, viewer=viewer)
        newer = await self.after(conversation_id, seq - 1, limit - half + 1, viewer=viewer)
        page = [*older[-half:], *newer[: limit - half]] if half else newer[:limit]
        return page, len(older) > half, len(newer) > limit - half

    async def message(self, conversation_id: str, message_id: str, viewer: str) -> Message:
        """One message of a conversation.

        Raises:
            Refusal: NOT_FOUND.
        """
        document = await self._messages.find_one({"_id": message_id, "conversationId": conversation_id}, HIDDEN)
        if document is None:
            raise Refusal(ErrorCode.NOT_FOUND)
        return to_message(document, viewer)

    async def replies(
        self, conversation_id: str, message_id: str, above: int, limit: int, viewer: str
    ) -> list[Message]:
        """The first `limit` replies to a message above a seq, rising."""
        query = {"conversationId": conversation_id, "replyTo": message_id, "seq": {"$gt": above}}
        cursor = self._messages.find(query, HIDDEN).sort("seq", 1).limit(limit)
        return [to_message(document, viewer) async for document in cursor]

    async def edits(
        self, conversation_id: str, message_id: str, limit: int, cursor: tuple[datetime, str] | None
    ) -> tuple[list[Edit], tuple[datetime, str] | None]:
        """A page of what a message said before, oldest first, and where the next one begins."""
        query: dict[str, Any] = {"conversationId": conversation_id, "messageId": message_id}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"at": {"$gt": at}}, {"at": at, "_id": {"$gt": last_id}}]
        found = await self._edits.find(query).sort([("at", 1), ("_id", 1)]).limit(limit + 1).to_list(None)
        page = found[:limit]
        following = (page[-1]["at"], page[-1]["_id"]) if len(found) > limit else None
        return [Edit(content=row["content"], at=row["at"]) for row in page], following

    async def pins(self, conversation_id: str, viewer: str) -> list[Pin]:
        """The pinned messages, the newest pin first; without those that were deleted."""
        cursor = self._pins.find({"conversationId": conversation_id}).sort([("pinnedAt", -1), ("_id", -1)])
        pins = [document async for document in cursor]
        query = {"_id": {"$in": [pin["messageId"] for pin in pins]}, "isDeleted": {"$ne": True}}
        messages = {d["_id"]: to_message(d, viewer) async for d in self._messages.find(query, HIDDEN)}
        return [
            Pin(message=messages[pin["messageId"]], pinned_by=pin["pinnedBy"], pinned_at=pin["pinnedAt"])
            for pin in pins
            if pin["messageId"] in messages
        ]


def _changed_query(conversation_id: str, above: int, until: int, up_to_seq: int | None) -> dict[str, Any]:
    query: dict[str, Any] = {"conversationId": conversation_id, "changeSeq": {"$gt": above, "$lte": until}}
    if up_to_seq is not None:
        query["seq"] = {"$lte": up_to_seq}
    return query

"""What a message changes beside itself: its conversation's newest activity, what its sender has read, and how many replies
the message has that it replies to.

It is noted behind the messages, not with them: while one note is being written, the next gathers, so that a busy
conversation costs one update and not one a batch. A command is acknowledged once its activity is noted, so none is lost.
"""

import asyncio
import time
from collections.abc import Iterable

from pymongo import UpdateOne
from tenacity import retry_if_exception, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import collections, fanout
from services.mongo import Database
from services.persister import threads
from services.persister.away import is_away, say_away
from services.persister.pauses import Pauses
from services.telemetry import logger

BUSY = 16  # messages in one note: then others will come at once, and are worth waiting for
PAUSE = 0.2  # seconds from the beginning of a note until the next, while busy


class Page:
    """One note: the newest message of each conversation, and of each sender in it."""

    def __init__(self) -> None:
        self.noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages = 0
        self._newest: dict[str, fanout.MessageCreated] = {}
        self._read: dict[tuple[str, str], int] = {}
        self._replied_to: set[tuple[str, str]] = set()  # conversation and message

    def add(self, created: Iterable[fanout.MessageCreated]) -> None:
        """Messages that were stored; again, maybe, and then maybe behind newer ones."""
        newest, read = self._newest, self._read
        for item in created:
            self.messages += 1
            known = newest.get(item.conversation_id)
            if known is None or known.seq < item.seq:
                newest[item.conversation_id] = item
            mine = item.conversation_id, item.sender_id
            if read.get(mine, 0) < item.seq:
                read[mine] = item.seq
            if item.reply_to is not None:
                self._replied_to.add((item.conversation_id, item.reply_to))

    async def write(self, database: Database) -> None:
        """All of it only ever moves forward, so doing it again is harmless."""
        conversations = [
            UpdateOne(
                {"_id": item.conversation_id, "lastSeq": {"$lt": item.seq}},
                {"$set": {"lastSeq": item.seq, "lastActivityAt": item.created_at}},
            )
            for item in self._newest.values()
        ]
        memberships = [
            UpdateOne({"conversationId": conversation, "userId": user}, {"$max": {"lastReadSeq": seq}})
            for (conversation, user), seq in self._read.items()
        ]
        if conversations:
            await asyncio.gather(
                database[collections.CONVERSATIONS.name].bulk_write(conversations, ordered=False),
                database[collections.MEMBERSHIPS.name].bulk_write(memberships, ordered=False),
            )
        if self._replied_to:
            await threads.count_replies(database, self._replied_to)


class Activity:
    """Notes, one after the other."""

    def __init__(self, database: Database, pauses: Pauses) -> None:
        self._database = database
        self._pauses = pauses
        self._page = Page()  # that gathers
        self._some = asyncio.Event()

    def add(self, created: Iterable[fanout.MessageCreated]) -> "asyncio.Future[None]":
        """Resolves, without a result, when these are noted."""
        self._page.add(created)
        self._some.set()
        return self._page.noted

    async def run(self) -> None:
        """Write what gathers, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            page, self._page = self._page, Page()
            begun = time.monotonic()
            await self._surely(page)
            page.noted.set_result(None)
            if page.messages >= BUSY:
                await self._pauses.pause(begun + PAUSE - time.monotonic())

    async def _surely(self, page: Page) -> None:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(is_away),
                wait=wait_random_exponential(0.05, max=2),
                before_sleep=lambda state: say_away(state.outcome.exception() if state.outcome else None),
            ):
                with attempt:
                    await page.write(self._database)
        except Exception:
            # Whatever it is, the next message notes more than this one; commands must not wait for it for ever.
            logger().exception("activity not noted", messages=page.messages)

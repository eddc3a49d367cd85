"""What nobody waits for, as indexing words and erasing what was deleted: beside the messages, one after the other.

In line with them, each would hold up every message behind it. And conversations that are talked in alike fill their blocks
in the same moment, so they keep apart, and leave the cores to the messages for most of the time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from services.persister.pauses import Pauses

MOST = 32  # that may wait; then messages wait too, so that whoever leaves has not much to finish
MANY = MOST // 2  # from then on there is no pause
PAUSE = 9.0  # times what a chore took
LONGEST = 0.5  # seconds of a pause: what was tried again while MongoDB was away took long, and was no work

Chore = Callable[[], Awaitable[None]]


class Chores:
    """Carried out in the order of `add`."""

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._waiting: asyncio.Queue[tuple[Chore, asyncio.Future[None]]] = asyncio.Queue(MOST)

    async def add(self, chore: Chore) -> "asyncio.Future[None]":
        """Returns what resolves, without a result, when it is done. Waits itself while too many wait."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((chore, done))
        return done

    async def run(self) -> None:
        """Do what is added, until cancelled. What a chore raises is raised here."""
        while True:
            chore, done = await self._waiting.get()
            begun = time.monotonic()
            await chore()
            done.set_result(None)
            if self._waiting.qsize() < MANY:
                await self._pauses.pause(min(PAUSE * (time.monotonic() - begun), LONGEST))

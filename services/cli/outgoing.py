"""What the user sends: kept until it is stored, and sent again under the same `tempId` until then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from services.cli.connection import backoff
from services.cli.later import Later

Frame = dict[str, Any]


class Outgoing:
    """The messages on their way, oldest first."""

    def __init__(self, post: Callable[[Frame], Awaitable[None]], later: Later) -> None:
        """`post` sends a frame if it can; when it can again, call `again`."""
        self.pending: dict[str, Frame] = {}  # tempId → what was sent and is not acknowledged yet
        self._post = post
        self._later = later
        self._acknowledged = 0  # the highest seq of ours that was acknowledged
        self._shown = 0
        self._progress = asyncio.Condition()

    def add(self, message: Frame) -> str:
        """Take a message; `post` it then. Returns its tempId."""
        temp_id = uuid4().hex
        self.pending[temp_id] = message
        return temp_id

    async def post(self, temp_id: str) -> None:
        """Send it, unless it is stored meanwhile."""
        if temp_id in self.pending:
            await self._post({"type": "send_message", "tempId": temp_id, **self.pending[temp_id]})

    async def again(self) -> None:
        """There is a new connection: send all of them."""
        for temp_id in list(self.pending):
            await self.post(temp_id)

    async def sent(self, frame: Frame) -> None:
        """A `message_sent`."""
        self._acknowledged = max(self._acknowledged, frame["seq"])
        await self._done(frame.get("tempId"))

    async def shown(self, message: Frame) -> None:
        """Any message was shown: if it is one of ours it is stored, or we would not see it."""
        self._shown = message["seq"]
        await self._done(message.get("tempId"))

    async def refused(self, frame: Frame) -> bool:
        """A `message_error`. Returns whether it is for good; else the message is sent again later."""
        temp_id = frame.get("tempId", "")
        if frame["retryable"] and temp_id in self.pending:
            self._later.soon(frame.get("retryAfterMs", 1000) / 1000 + backoff(1), lambda: self.post(temp_id))
            return False
        await self._done(temp_id)
        return True

    async def stored(self, temp_id: str) -> None:
        """Return once this message is stored or refused for good."""
        async with self._progress:
            await self._progress.wait_for(lambda: temp_id not in self.pending)

    async def settled(self) -> None:
        """Return once everything sent is stored, and shown."""
        async with self._progress:
            await self._progress.wait_for(lambda: not self.pending and self._shown >= self._acknowledged)

    async def _done(self, temp_id: str | None) -> None:
        async with self._progress:
            self.pending.pop(temp_id or "", None)
            self._progress.notify_all()

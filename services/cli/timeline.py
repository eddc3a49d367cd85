"""The messages of one conversation, each shown once and in order, and as they are now; what is missing is fetched."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Frame = dict[str, Any]
SHOWN = 200  # messages that are remembered, to do something with them


class Timeline:
    """What one client has seen of a conversation; it survives its connections."""

    def __init__(
        self,
        fetch: Callable[[int], Awaitable[Frame]],
        show: Callable[[Frame], Awaitable[None]],
        show_change: Callable[[Frame, str], None],
    ) -> None:
        """`fetch` reads the page of messages after a seq. `show` gets each message in order, `show_change` each change."""
        self.shown: dict[int, Frame] = {}  # seq → the last messages, as they are now
        self.last: int | None = None  # the highest seq shown
        self.head = 0  # the highest seq when it was joined
        self._change: int | None = None  # every change up to it is known
        self._history: str | None = None
        self._caught_up = asyncio.Event()
        self._fetch = fetch
        self._show = show
        self._show_change = show_change

    def begin(self, history: str | None) -> bool:
        """A connection to this history. Returns whether what was shown is of another one, and no more to be built on."""
        if history is None or history == self._history:
            return False
        self._history = history
        was_used = self.last is not None
        self.shown.clear()
        self.last = self._change = None
        return was_used

    def resume(self) -> Frame:
        """What to join with, so that the rest follows."""
        return {} if self.last is None else {"afterSeq": self.last, "afterChange": self._change or 0}

    def joined(self, frame: Frame) -> None:
        """A `joined_conversation`; the messages follow as if they were new."""
        self.head = frame["lastSeq"]
        if self._change is None:
            self._change = frame.get("lastChange", 0)
        if self.last is None:
            # The first frames after this one are the history; what is before it is not asked for.
            self.last = frame["lastSeq"] if frame["firstSeq"] is None else frame["firstSeq"] - 1
        self._note_caught_up()

    async def caught_up(self) -> None:
        """Return once everything is shown that was there when it was joined."""
        await self._caught_up.wait()

    async def message(self, message: Frame) -> None:
        """A new one; those between the last one and this are fetched first."""
        if self.last is not None and message["seq"] > self.last + 1:
            await self.catch_up()
        await self._next(message)

    async def catch_up(self) -> None:
        """Fetch what is missing after the last message shown. Live ones that come again are dropped by their seq."""
        more = True
        while more:
            page = await self._fetch(self.last or 0)
            for message in page["items"]:
                await self._next(message)
            more = page["hasMore"] and bool(page["items"])

    def updated(self, message: Frame, change: str) -> None:
        """A message as it is now."""
        number = message.get("changeSeq", 0)
        self._change = max(self._change or 0, number)
        known = self.shown.get(message["seq"])
        if known is not None and known.get("changeSeq", 0) < number:
            self.shown[message["seq"]] = message
            self._show_change(message, change)

    async def refresh(self, last_change: int) -> None:
        """Changes were missed, up to this one: read again what is remembered."""
        seq = next(iter(self.shown), self.last or 0) - 1
        while seq < (self.last or 0) and (page := (await self._fetch(max(seq, 0)))["items"]):
            for message in page:
                if (known := self.shown.get(message["seq"])) is not None:
                    self.updated(message, _difference(known, message))
            seq = page[-1]["seq"]
        self._change = max(self._change or 0, last_change)

    async def _next(self, message: Frame) -> None:
        seq = message["seq"]
        if self.last is not None and seq <= self.last:
            return
        self.last = seq
        self.shown[seq] = message
        while len(self.shown) > SHOWN:
            del self.shown[next(iter(self.shown))]
        await self._show(message)
        self._note_caught_up()

    def _note_caught_up(self) -> None:
        if (self.last or 0) >= self.head:
            self._caught_up.set()


def _difference(before: Frame, after: Frame) -> str:
    """What is to be said of a message whose change was missed."""
    if after.get("isDeleted"):
        return "deleted"
    return "edited" if after["content"] != before["content"] else "reactions"

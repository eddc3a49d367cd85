"""What goes out on one connection, bounded in bytes. One slow client never delays another.

Frames of one turn of the event loop leave in one write: a busy room brings several at once, and the system call is what
costs.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from contracts.errors import CloseCode
from contracts.frames import ServerFrame
from services.gateway import metrics
from services.gateway.wire import prepare

TAKEN_TIMEOUT = 120.0  # seconds for half of the bound: less than a 56k modem brings
MOST = 64 * 1024  # bytes that are collected before they are written


class Socket(Protocol):
    """What an outbox needs of a socket."""

    @property
    def waiting(self) -> int:
        """Bytes that the peer has not taken yet."""

    def write(self, frames: Sequence[bytes]) -> None:
        """Write prepared frames."""

    async def taken(self) -> None:
        """Returns when the peer has taken most of what waited, or is gone."""

    def close(self, code: int, reason: str = "") -> None:
        """Close at once."""


class Turn:
    """The outboxes that have something to write at the end of this turn."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._outboxes: list[Outbox] = []

    def add(self, outbox: "Outbox") -> None:
        """This one has."""
        if not self._outboxes:
            self._call_soon(self._end)
        self._outboxes.append(outbox)

    def _end(self) -> None:
        outboxes, self._outboxes = self._outboxes, []
        for outbox in outboxes:
            outbox.flush()


class Outbox:
    """Writes frames; drops what may be dropped past half of the bound, closes with 4001 past all of it."""

    __slots__ = ("_bound", "_frames", "_size", "_socket", "_turn")

    def __init__(self, socket: Socket, bound: int, turn: Turn) -> None:
        self._socket = socket
        self._bound = bound
        self._turn = turn
        self._frames: list[bytes] = []
        self._size = 0

    def send(self, frame: ServerFrame) -> None:
        """Encode and write one frame to this connection only."""
        metrics.frames_out(str(getattr(frame, "type", ""))).inc()
        self.write(prepare(frame.encode()))

    def write(self, prepared: bytes) -> None:
        """Write a frame that was prepared for many."""
        if not self._frames:
            self._turn.add(self)
        self._frames.append(prepared)
        self._size += len(prepared)
        if self._size > MOST:
            self.flush()

    def write_all(self, prepared: Sequence[bytes], size: int) -> None:
        """Write frames that were prepared for many, and have so many bytes together."""
        if not self._frames:
            self._turn.add(self)
        self._frames += prepared
        self._size += size
        if self._size > MOST:
            self.flush()

    def offer(self, prepared: bytes) -> None:
        """Write a frame that may be dropped: typing, presence."""
        if self.half_full:
            metrics.DROPPED.inc()
            return
        self.write(prepared)

    def offer_all(self, prepared: Sequence[bytes]) -> None:
        """Write some frames that may be dropped."""
        if self.half_full:
            metrics.DROPPED.inc(len(prepared))
        elif prepared:
            self.write_all(prepared, sum(map(len, prepared)))

    @property
    def half_full(self) -> bool:
        """Whether no more should be sent just now that could as well be sent later."""
        return self._socket.waiting + self._size > self._bound // 2

    async def taken(self) -> None:
        """Returns when the peer has taken most of what waited; one that does not for long is closed, as what it is owed is
        held meanwhile."""
        self.flush()
        try:
            async with asyncio.timeout(TAKEN_TIMEOUT):
                await self._socket.taken()
        except TimeoutError:
            self.close(CloseCode.TOO_SLOW, "too slow")

    def flush(self) -> None:
        """Hand everything to the socket now."""
        if not self._frames:
            return
        frames, self._frames, self._size = self._frames, [], 0
        if self._socket.waiting > self._bound:
            self.close(CloseCode.TOO_SLOW, "too slow")
        else:
            self._socket.write(frames)

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection, after what was written before."""
        self.flush()
        metrics.CLOSES.labels(str(int(code))).inc()
        self._socket.close(code, reason)

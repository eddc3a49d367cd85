"""What goes out on one connection, bounded in bytes. One slow client never delays another."""

from typing import Protocol

from contracts.errors import CloseCode
from contracts.frames import ServerFrame
from services.gateway import metrics
from services.gateway.wire import prepare


class Socket(Protocol):
    """What an outbox needs of a socket."""

    @property
    def waiting(self) -> int:
        """Bytes that the peer has not taken yet."""

    def write(self, frame: bytes) -> None:
        """Write a prepared frame."""

    def close(self, code: int, reason: str = "") -> None:
        """Close at once."""


class Outbox:
    """Writes frames; drops what may be dropped past half of the bound, closes with 4001 past all of it."""

    __slots__ = ("_bound", "_socket")

    def __init__(self, socket: Socket, bound: int) -> None:
        self._socket = socket
        self._bound = bound

    def send(self, frame: ServerFrame) -> None:
        """Encode and write one frame to this connection only."""
        kind = str(getattr(frame, "type", ""))
        metrics.FRAMES_OUT.labels(kind).inc()
        self.write(prepare(frame.encode()))

    def write(self, prepared: bytes) -> None:
        """Write a frame that was prepared for many."""
        if self._socket.waiting > self._bound:
            self.close(CloseCode.TOO_SLOW, "too slow")
            return
        self._socket.write(prepared)

    def offer(self, prepared: bytes) -> None:
        """Write a frame that may be dropped: typing, presence."""
        if self._socket.waiting > self._bound // 2:
            metrics.DROPPED.inc()
            return
        self._socket.write(prepared)

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        metrics.CLOSES.labels(str(int(code))).inc()
        self._socket.close(code, reason)

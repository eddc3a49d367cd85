"""The latest messages of a room that is live here, for those who join it next: they are not read from the database again.

Only messages are remembered. Whether somebody may read them, and what the newest is, each join asks the database.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

MOST = 100  # messages of a room
MOST_BYTES = 32 * 1024  # of their JSON


class Numbered(NamedTuple):
    """A message on its way to sockets: its JSON without `tempId`, and whose `tempId` it is."""

    seq: int
    body: bytes
    sender_id: str = ""
    temp_id: str | None = None


class Recent:
    """Messages in a row without holes: all above `above`, up to the one that was added last."""

    __slots__ = ("_messages", "_size", "above")

    def __init__(self, above: int, messages: Iterable[Numbered]) -> None:
        self.above = above
        self._messages: deque[Numbered] = deque()
        self._size = 0
        for message in messages:
            self.add(message)

    def add(self, message: Numbered) -> None:
        """The next one; the oldest are forgotten past the bounds."""
        self._messages.append(message)
        self._size += len(message.body)
        while len(self._messages) > MOST or self._size > MOST_BYTES:
            oldest = self._messages.popleft()
            self._size -= len(oldest.body)
            self.above = oldest.seq

    def replace(self, seq: int, body: bytes) -> None:
        """A message has changed."""
        first = self.above + 1  # they have no holes
        if first <= seq < first + len(self._messages):
            former = self._messages[seq - first]
            self._messages[seq - first] = former._replace(body=body)
            self._size += len(body) - len(former.body)

    def between(self, above: int, until: int) -> list[Numbered] | None:
        """Those with `above < seq <= until`, or None when some of them are forgotten, or not known yet."""
        last = self._messages[-1].seq if self._messages else self.above
        if above < self.above or until > last:
            return None
        return [message for message in self._messages if above < message.seq <= until]

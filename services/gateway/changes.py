"""The order of one conversation's changes: each once, in rising number, after the message that it changes. No I/O.

Numbers that were never told here are read from the history, where a message shows its last change only. So a number that
is not found there was superseded, and is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contracts.message import Change


class Changed(NamedTuple):
    """A changed message on its way to sockets.

    Attributes:
        number: its `changeSeq`; 0 when it never changed, and somebody is only to be answered.
        seq: of the message.
        change: what happened to it.
        body: its JSON.
        asked: the connections here that asked for it, with their request ids.
        sender_id: of the message, where it has a `tempId`.
        temp_id: its `tempId`, which is its sender's alone.
    """

    number: int
    seq: int
    change: Change
    body: bytes
    asked: dict[Any, list[str | None]] = {}  # noqa: RUF012 - never changed, only replaced
    sender_id: str | None = None
    temp_id: str | None = None


@dataclass(slots=True)
class Changes:
    """The changes of one room.

    Attributes:
        last: number of the last one delivered; None until the first join has read it.
        known: every number up to here is held, or superseded.
        stored: the history is known to have changes up to here.
        healing: whether a hole is being read.
    """

    last: int | None = None
    known: int = 0
    stored: int = 0
    held: dict[int, Changed] = field(default_factory=dict)
    healing: bool = False

    def begin(self, last: int) -> None:
        """The first join has read everything up to here."""
        self.last = self.known = last

    def add(self, change: Changed) -> bool:
        """Hold a change until it is its turn. Returns False when it was delivered before."""
        if self.last is not None and change.number <= self.last:
            return False
        twin = self.held.get(change.number)
        self.held[change.number] = change if twin is None else twin._replace(asked=_joined(twin.asked, change.asked))
        return True

    def fill(self, changes: list[Changed], known: int) -> None:
        """Everything up to `known` that is not superseded was read."""
        for change in changes:
            if change.number not in self.held:
                self.add(change)
        self.known = max(self.known, known)

    def take(self, newest: int) -> list[Changed]:
        """Those whose turn it is, when the messages up to `newest` are delivered."""
        if self.last is None:
            return []
        taken: list[Changed] = []
        for number in sorted(self.held):
            if number > max(self.last, self.known) + 1:
                break
            if self.held[number].seq > newest:
                return taken
            change = self.held.pop(number)
            if number > self.last:
                taken.append(change)
                self.last = number
        self.last = max(self.last, self.known)
        return taken

    def bound(self, most: int) -> list[Changed]:
        """If there are more than so many, hold none of those behind a hole any longer but the newest, which shows that they
        are missing; those that were held."""
        if len(self.held) <= most:
            return []
        newest = max(self.held)
        dropped = [change for number, change in sorted(self.held.items()) if self.known < number < newest]
        for change in dropped:
            del self.held[change.number]
        return dropped

    def drop(self, last: int | None = None) -> list[Changed]:
        """Hold none of those up to `last` any longer, or none at all; those that were held."""
        dropped = [change for number, change in sorted(self.held.items()) if last is None or number <= last]
        for change in dropped:
            del self.held[change.number]
        return dropped

    @property
    def hole(self) -> tuple[int, int] | None:
        """The numbers between which something is missing, both excluded."""
        if self.last is None:
            return None
        above, below = max(self.last, self.known), min(self.held, default=self.stored + 1)
        return (above, below) if below > above + 1 else None

    @property
    def awaits(self) -> int | None:
        """The message that the next change waits for, if there is a next."""
        if self.last is None or not self.held or self.hole is not None:
            return None
        return self.held[min(self.held)].seq


def _joined(one: Mapping[Any, list[str | None]], other: Mapping[Any, list[str | None]]) -> dict[Any, list[str | None]]:
    """All requests of all who asked for the same."""
    return {connection: [*one.get(connection, ()), *other.get(connection, ())] for connection in {**one, **other}}

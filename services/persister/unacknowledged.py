"""Deliveries that are carried out, and wait for what is done behind them: a note, a chore.

Acknowledged up to the first that is not done, of each channel by itself; and behind that one by one, so that a chore, which
may take long, holds up nothing else of its partition: the broker sends no more than may be unacknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from services.amqp import Channel, Delivery, Inbox

Behind = asyncio.Future[None]
Waiting = deque[tuple[Delivery, Behind | None]]


class Unacknowledged:
    """All of them, by their channels, in the order in which they were taken."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._waiting: dict[Channel, Waiting] = {}
        self._calling: Behind | None = None  # the last one that calls us when it is done

    @property
    def most(self) -> int:
        """How many there are of one channel, whose prefetch they take up; the largest of these numbers."""
        return max(map(len, self._waiting.values()), default=0)

    def add(self, deliveries: Sequence[Delivery], behind: Behind | None) -> None:
        """These are carried out, but for what is done `behind`, if anything is."""
        for delivery in deliveries:
            self._waiting.setdefault(delivery.channel, deque()).append((delivery, behind))
        if _is_done(behind):
            self._acknowledge({delivery.channel for delivery in deliveries})
        elif behind is not None and behind is not self._calling:
            self._calling = behind
            behind.add_done_callback(lambda _: self._acknowledge(list(self._waiting)))

    async def none_left(self) -> None:
        """Returns when everything that was added is acknowledged."""
        while True:
            self._acknowledge(list(self._waiting))
            behind = {b for waiting in self._waiting.values() for _, b in waiting if b is not None and not b.done()}
            if not behind:
                return
            await asyncio.wait(behind)  # not awaited themselves: they would end with whoever waits here, undone

    def _acknowledge(self, channels: Iterable[Channel]) -> None:
        for channel in channels:
            waiting = self._waiting[channel]
            done: list[Delivery] = []
            while waiting and _is_done(waiting[0][1]):
                done.append(waiting.popleft()[0])
            self._inbox.ack(done)
            for delivery, behind in waiting:
                if _is_done(behind):
                    self._inbox.ack_one(delivery)
            left = deque(entry for entry in waiting if not _is_done(entry[1]))
            if left:
                self._waiting[channel] = left
            else:
                del self._waiting[channel]  # which may have ended


def _is_done(behind: Behind | None) -> bool:
    return behind is None or (behind.done() and not behind.cancelled())

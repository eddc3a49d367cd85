"""Deliveries that are carried out, and wait for what is done behind them: a note, a chore. Acknowledged in order."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

from services.amqp import Channel, Delivery, Inbox

Behind = asyncio.Future[None]


class Unacknowledged:
    """All of them, in the order in which they were taken."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._waiting: deque[tuple[Sequence[Delivery], Behind | None]] = deque()
        self._of_channel: Counter[Channel] = Counter()

    @property
    def most(self) -> int:
        """How many there are of one channel, whose prefetch they take up; the largest of these numbers."""
        return max(self._of_channel.values(), default=0)

    def add(self, deliveries: Sequence[Delivery], behind: Behind | None) -> None:
        """These are carried out, but for what is done `behind`, if anything is."""
        known = bool(self._waiting) and self._waiting[-1][1] is behind
        self._waiting.append((deliveries, behind))
        self._of_channel.update(delivery.channel for delivery in deliveries)
        if behind is None or behind.done():
            self._acknowledge()
        elif not known:
            behind.add_done_callback(self._acknowledge)

    async def none_left(self) -> None:
        """Returns when everything that was added is acknowledged."""
        while self._waiting:
            _, behind = self._waiting[0]
            if behind is not None:
                await behind
            self._acknowledge()

    def _acknowledge(self, _: object = None) -> None:
        done: list[Delivery] = []
        while self._waiting and ((behind := self._waiting[0][1]) is None or behind.done()):
            deliveries, _ = self._waiting.popleft()
            done += deliveries
        self._inbox.ack(done)
        for delivery in done:
            self._of_channel[delivery.channel] -= 1
            if not self._of_channel[delivery.channel]:
                del self._of_channel[delivery.channel]  # which may have ended

"""`notifier.events`, the first look at what has happened: tell connected people at once.

Mentions, and that somebody was added, are kept for the notification centre right away: they are few. All else is worth
something only if it is not read in a moment, so the same events come again after some seconds (`due.py`).
"""

import time
from collections.abc import Sequence

from contracts import fanout, lines, topology
from contracts.limits import BATCH_BYTES, FANOUT_BYTES
from services.amqp import Broker, Outgoing
from services.mongo import Database
from services.notifier import centre, metrics, waiting
from services.notifier.batches import Came
from services.notifier.preferences import Remembered
from services.notifier.recipients import Concerned, concerned, notifications
from services.notifier.settings import Settings


class FirstLook:
    """Handles events as they happen."""

    def __init__(
        self, settings: Settings, broker: Broker, database: Database, preferences: Remembered, *, reaches: bool
    ) -> None:
        """`reaches`: there is a way to reach people who are not here."""
        self._settings = settings
        self._broker = broker
        self._database = database
        self._preferences = preferences
        self._reaches = reaches

    async def handle(self, came: Sequence[Came]) -> None:
        """Tell, and keep. What is done twice is told under the same ids, and kept once."""
        for event, _ in came:
            metrics.EVENTS.labels(event.type).inc()
        told = await concerned(self._database, self._preferences, [event for event, _ in came])
        if not told:
            return
        outgoing = self._notifications(told) + self._second_look(told, came)
        await self._broker.publish_all(outgoing)
        await centre.note(self._database, centre.named(told), self._settings.keep_notifications)
        metrics.BEHIND.observe(max(0.0, time.time() - min(event.time for event, _ in came).timestamp()))

    def _notifications(self, told: Sequence[Concerned]) -> list[Outgoing]:
        for one in told:
            metrics.NOTIFIED.labels("mention" if one.message else "added").inc(len(one.named))
            metrics.NOTIFIED.labels("message").inc(len(one.others))
        items = ((item, data, None) for item, data in notifications(told, self._settings.preview_length))
        exchange = self._broker.topology.fanout.name
        return [Outgoing(exchange, "", body, persistent=False) for body in fanout.pack_all(items, FANOUT_BYTES)]

    def _second_look(self, told: Sequence[Concerned], came: Sequence[Came]) -> list[Outgoing]:
        wanted = {
            one.event.id for one in told if self._reaches or centre.has_entries(one, self._settings.entries_up_to)
        }
        again = [line.body for event, line in came if event.id in wanted]
        names, delay = self._broker.topology, self._settings.notify_delay
        # What came in many AMQP messages may be too much for one.
        bodies = lines.pack_all(again, BATCH_BYTES)
        if not delay:
            return [waiting.at_once(names, topology.LOOK, body) for body in bodies]
        return [waiting.later(names, topology.LOOK, body, delay) for body in bodies]

"""Who types where.

The gateway of the one who types tells the others when it ends; each of them also ends what it has shown, a little later,
so that nobody types for ever after a gateway died. It tells in rounds: an AMQP message to every gateway costs all of them
and RabbitMQ a hundred times what one more item in it does.
"""

import asyncio
from collections.abc import Callable

from contracts import fanout, frames
from services.amqp import Broker, Outgoing
from services.gateway.hub import Connection, Hub

RENEWAL = 3.0  # seconds within which a repeated typing_start is not told again
ROUND = 0.1  # seconds from one round to the next
AT_ONCE = 500  # items in one AMQP message


class Shown:
    """What this gateway's clients were shown, and when it ends."""

    def __init__(self, hub: Hub, timeout: float) -> None:
        self._hub = hub
        self._timeout = timeout
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._names: dict[str, dict[str, str]] = {}  # conversation -> user -> name

    def started(self, conversation_id: str, user_id: str, user_name: str) -> None:
        """Somebody types, or goes on typing."""
        key = (conversation_id, user_id)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        elif conversation_id not in self._hub.rooms:
            return
        loop = asyncio.get_running_loop()
        # A renewal is told RENEWAL later at most.
        self._timers[key] = loop.call_later(self._timeout + RENEWAL, self.stopped, conversation_id, user_id)
        self._names.setdefault(conversation_id, {})[user_id] = user_name
        frame = frames.UserTyping(conversation_id=conversation_id, user_id=user_id, user_name=user_name)
        self._hub.broadcast(conversation_id, frame, but=user_id)

    def stopped(self, conversation_id: str, user_id: str) -> None:
        """Somebody stopped, left, or fell silent."""
        timer = self._timers.pop((conversation_id, user_id), None)
        if timer is None:
            return
        timer.cancel()
        names = self._names[conversation_id]
        del names[user_id]
        if not names:
            del self._names[conversation_id]
        frame = frames.UserStoppedTyping(conversation_id=conversation_id, user_id=user_id)
        self._hub.broadcast(conversation_id, frame, but=user_id)

    def show(self, connection: Connection, conversation_id: str) -> None:
        """Tell somebody who has just joined who types."""
        for user_id, name in self._names.get(conversation_id, {}).items():
            if user_id != connection.user_id:
                frame = frames.UserTyping(conversation_id=conversation_id, user_id=user_id, user_name=name)
                connection.outbox.send(frame)


class Told:
    """What one connection has told the others: repetitions cost nothing, and it ends `timeout` after the last one."""

    def __init__(self, tell: Callable[[str, bool], None], timeout: float) -> None:
        self._tell = tell
        self._timeout = timeout
        self._since: dict[str, float] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def start(self, conversation_id: str, now: float) -> None:
        """A typing_start came."""
        end = self._ends.pop(conversation_id, None)
        if end is not None:
            end.cancel()
        self._ends[conversation_id] = asyncio.get_running_loop().call_at(
            now + self._timeout, self.stop, conversation_id
        )
        since = self._since.get(conversation_id)
        if since is None or now - since >= min(RENEWAL, self._timeout / 2):
            self._since[conversation_id] = now
            self._tell(conversation_id, True)

    def stop(self, conversation_id: str) -> None:
        """A typing_stop came, the connection left, or it fell silent."""
        end = self._ends.pop(conversation_id, None)
        if end is not None:
            end.cancel()
        if self._since.pop(conversation_id, None) is not None:
            self._tell(conversation_id, False)

    def stop_all(self) -> None:
        """The connection is gone."""
        for conversation_id in list(self._since):
            self.stop(conversation_id)
        self._tell = _no_longer  # what it was refers back to us


def _no_longer(conversation_id: str, active: bool) -> None:
    """Nobody is told."""


class Rounds:
    """Tells the other gateways: at once when nothing was told lately, else in the next round, only what is so by then."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting: dict[tuple[str, str], fanout.Typing] = {}
        self._next: asyncio.TimerHandle | None = None
        self._last = float("-inf")

    def tell(self, item: fanout.Typing) -> None:
        """Soon. It may be lost, as typing may."""
        self._waiting[item.conversation_id, item.user_id] = item
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_at(max(self._last + ROUND, loop.time()), self.flush)

    def flush(self) -> None:
        """Tell what waits, now."""
        if self._next is None:
            return
        self._next.cancel()
        self._next = None
        self._last = asyncio.get_running_loop().time()
        items = [(item, fanout.NULL) for item in self._waiting.values()]
        self._waiting.clear()
        exchange = self._broker.topology.fanout.name
        for start in range(0, len(items), AT_ONCE):
            body = fanout.pack(items[start : start + AT_ONCE])
            self._broker.tell(Outgoing(exchange, "", body, persistent=False))

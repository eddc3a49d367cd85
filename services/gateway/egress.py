"""This gateway's queue, item by item, into the hub; and the healing of what the queue did not bring."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from contracts import fanout
from contracts.errors import Refusal
from contracts.shape import now, to_text
from services.amqp import Broker, Inbox
from services.gateway import metrics
from services.gateway.history import History, reading
from services.gateway.hub import Hub, Numbered
from services.gateway.ingress import Ingress
from services.gateway.settings import Settings
from services.gateway.typing import Shown
from services.gateway.wire import prepare
from services.telemetry import logger

PREFETCH = 200
REMEMBERED = 10_000  # notifications that are recognised when they come again
HEAL_AGAIN = 1.0  # seconds until a hole that could not be read is tried again
HEADS_AT_ONCE = 500


class Egress:
    """Consumes `gateway.<id>`."""

    def __init__(self, settings: Settings, broker: Broker, history: History, ingress: Ingress) -> None:
        self._settings = settings
        self._history = history
        self._ingress = ingress
        self._inbox = Inbox()
        self._notified: OrderedDict[str, None] = OrderedDict()
        self._healing: set[asyncio.Task[None]] = set()
        self.hub = Hub(heal=lambda *hole: self.in_background(self._heal(*hole)))
        self.typing = Shown(self.hub, settings.typing_timeout)
        topology, gateway_id = settings.topology, ingress.gateway_id
        broker.subscribe(
            topology.gateway_queue(gateway_id),
            self._inbox,
            prefetch=PREFETCH,
            bindings=topology.gateway_bindings(gateway_id),
        )
        broker.reconnected = lambda: self.in_background(self._compare_heads())

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            deliveries = await self._inbox.take(PREFETCH)
            metrics.LAG.set(len(self._inbox))
            for delivery in deliveries:
                try:
                    for item, data in fanout.unpack(delivery.body):
                        self._handle(item, data)
                except ValidationError as error:
                    # Nobody waits for it here, and the history has what it told of: the next event shows the hole.
                    logger().error("undecodable fan-out", reason=str(error)[:300])
            self._inbox.ack(deliveries)
            await asyncio.sleep(0)  # let sockets be read and written between two bursts

    def _handle(self, item: fanout.Item, data: bytes) -> None:
        match item:
            case fanout.MessageCreated():
                # First the sender's answer, then the message: a sender sees itself after its message_sent.
                if item.gateway_id == self._ingress.gateway_id:
                    self._ingress.answer(item.message_id, item)
                if item.conversation_id in self.hub.rooms:
                    age = (datetime.now(UTC) - item.created_at).total_seconds()
                    metrics.DELIVERED.observe(max(0.0, age))
                    self.hub.message(item.conversation_id, Numbered(item.seq, data, item.sender_id, item.temp_id))
            case fanout.Reply():
                self._ingress.answer(item.command_id, item)
            case fanout.Typing():
                if item.active:
                    self.typing.started(item.conversation_id, item.user_id, item.user_name)
                else:
                    self.typing.stopped(item.conversation_id, item.user_id)
            case fanout.ConversationUpdated():
                self._conversation_updated(item, data)
            case fanout.Notification():
                self._notify(item, data)

    def _conversation_updated(self, item: fanout.ConversationUpdated, data: bytes) -> None:
        frame = prepare(_stamped("conversation_updated", data))
        room = self.hub.rooms.get(item.conversation_id)
        told = {*self.hub.of(item.audience), *(room.members if room else ())}
        metrics.FRAMES_OUT.labels("conversation_updated").inc(len(told))
        for connection in told:
            connection.outbox.write(frame)
        self.hub.evict(item.conversation_id, item.removed or ())
        if item.update_type == "deleted" and room is not None:
            for connection in [*room.members, *room.joining]:
                self.hub.leave(connection, item.conversation_id)

    def _notify(self, item: fanout.Notification, data: bytes) -> None:
        if item.id in self._notified:
            return
        self._notified[item.id] = None
        if len(self._notified) > REMEMBERED:
            self._notified.popitem(last=False)
        for user_id, unread in item.unread.items():
            for connection in self.hub.users.get(user_id, ()):
                if item.conversation_id not in connection.joined:
                    metrics.FRAMES_OUT.labels("notification").inc()
                    counted = data[:-1] + b',"unreadCount":' + str(unread).encode() + b"}"
                    connection.outbox.write(prepare(_stamped("notification", counted)))

    # ---------------------------------------------------------------------------------------------- healing

    async def _heal(self, conversation_id: str, above: int, below: int) -> None:
        try:
            async with reading():
                if below - above - 1 > self._settings.resume_limit:
                    self.hub.give_up(conversation_id, below - 1)
                    return
                found = await self._history.between(conversation_id, above, below)
        except Refusal:
            await asyncio.sleep(HEAL_AGAIN)
            self.hub.unhealed(conversation_id)
            self.hub.behind(conversation_id, below - 1)
            return
        logger().info("hole healed", conversation=conversation_id, above=above, below=below, found=len(found))
        if len(found) < below - above - 1:
            # Stored messages have no holes, so the conversation was deleted meanwhile: there is nothing to wait for.
            self.hub.give_up(conversation_id, below - 1)
            return
        self.hub.fill(conversation_id, [Numbered(m.seq, m.encode(), m.sender_id) for m in found])

    async def _compare_heads(self) -> None:
        """The broker was away: what it would have brought is in the history."""
        rooms = list(self.hub.rooms)
        for start in range(0, len(rooms), HEADS_AT_ONCE):
            try:
                async with reading():
                    heads = await self._history.heads(rooms[start : start + HEADS_AT_ONCE])
            except Refusal:
                await asyncio.sleep(HEAL_AGAIN)
                self.in_background(self._compare_heads())
                return
            for conversation_id, head in heads.items():
                self.hub.behind(conversation_id, head)

    def in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something whose failure is logged."""
        task = asyncio.create_task(coroutine)
        self._healing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._healing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger().error("background work failed", exc_info=task.exception())


def _stamped(kind: str, data: bytes) -> bytes:
    """A server frame around fields that are JSON already."""
    return f'{{"type":"{kind}","timestamp":"{to_text(now())}",'.encode() + data[1:]

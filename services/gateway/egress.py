"""This gateway's queue, item by item, into the hub; and the healing of what the queue did not bring."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from contracts import fanout, frames
from contracts.errors import Refusal
from contracts.message import Message
from contracts.shape import complaint, now, to_text
from services.amqp import Broker, Channel, Inbox
from services.gateway import metrics
from services.gateway.changes import Changed
from services.gateway.changing import Changing
from services.gateway.directory import Directory
from services.gateway.history import History, reading
from services.gateway.hub import Connection, Hub
from services.gateway.ingress import Ingress
from services.gateway.presence import Presence
from services.gateway.reads import Reads
from services.gateway.recent import Numbered
from services.gateway.settings import Settings
from services.gateway.traces import Traces
from services.gateway.typing import Shown
from services.gateway.wire import prepare
from services.telemetry import logger

PREFETCH = 200
BURST_BYTES = 64 * 1024  # that are delivered at once; more would fill the queues of clients who are fast enough
PAIRS_AT_ONCE = 2000  # memberships looked at in one read
REMEMBERED = 10_000  # notifications that are recognised when they come again
HEAL_AGAIN = 1.0  # seconds until a hole that could not be read is tried again
HEAL_PORTION = 25  # messages of a hole that are read and sent at once; each may have 32 KiB
HEAL_PAUSE = 0.01  # seconds between two portions
HEADS_AT_ONCE = 500
# A mark is stored a moment before it is told, by the clock of another machine.
MARGIN = timedelta(seconds=10)


class Egress:
    """Consumes `gateway.<id>`."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        history: History,
        directory: Directory,
        ingress: Ingress,
        traces: Traces | None = None,
    ) -> None:
        self._settings = settings
        self._history = history
        self._directory = directory
        self._ingress = ingress
        self._here = ingress.gateway_id
        self._inbox = Inbox()
        self._wanted = self._concerns_us if traces is None else traces.noticing(self._concerns_us)
        self._take = self._read if traces is None else traces.delivering(self._read)
        self._notified: OrderedDict[str, None] = OrderedDict()
        self._healing: set[asyncio.Task[None]] = set()
        self.hub = Hub(
            heal=lambda *hole: self.in_background(self._or_later(self.hub.unhealed, self._heal, *hole)),
            heal_changes=lambda *hole: self.in_background(
                self._or_later(self.hub.unhealed_changes, self._heal_changes, *hole)
            ),
        )
        self.changing = Changing(ingress)
        self.typing = Shown(self.hub, settings.typing_timeout)
        self.reads = Reads(ingress, settings.read_interval)
        self.presence = Presence(settings, broker, directory, ingress, self.hub)
        self._behind = asyncio.Event()  # since a connection was lost
        self._channel: Channel | None = None  # all before what comes on it is known
        self._heard = now()
        topology, gateway_id = settings.topology, ingress.gateway_id
        broker.subscribe(
            topology.gateway_queue(gateway_id),
            self._inbox,
            prefetch=PREFETCH,
            bindings=topology.gateway_bindings(gateway_id),
        )
        broker.reconnected = self._reconnected

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            deliveries = await self._inbox.take(PREFETCH)
            if deliveries[-1].channel is not self._channel:
                await self._know_who_left(deliveries[-1].channel)
            metrics.LAG.set(len(self._inbox))
            size = 0
            for delivery in deliveries:
                self._take(delivery.body)
                size += len(delivery.body)
                if size > BURST_BYTES:
                    await asyncio.sleep(0)
                    size = 0
            self._inbox.ack(deliveries)
            self._heard = now()
            if len(self._inbox):
                await asyncio.sleep(0)  # let sockets be read and written between two bursts

    async def _know_who_left(self, channel: Channel) -> None:
        """Before what comes first on another channel: the end of a membership may be among what was not heard."""
        while channel is not self._channel:
            if await self._caught_up():
                self._channel = channel
            else:
                await asyncio.sleep(HEAL_AGAIN)

    def _reconnected(self) -> None:
        self.presence.reconnected()
        self._behind.set()
        # Whatever is missing was told after what was heard last; if that was long ago, there was nothing else to tell.
        self.in_background(self._catch_up_reads(self._heard - MARGIN))

    async def keep_up(self) -> None:
        """Fetch what RabbitMQ did not bring: messages, their changes, and the end of memberships. After each reconnect, and
        from time to time, for no later event may show that the last one was lost. Until cancelled.
        """
        pause = self._settings.recheck_interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._behind.wait()
            self._behind.clear()
            pause = self._settings.recheck_interval if await self._caught_up() else HEAL_AGAIN

    def _read(self, body: bytes) -> None:
        # Whatever is wrong with one item, all others go on; the history has what it told of.
        stored: dict[str, list[Numbered]] = {}  # by conversation, not delivered yet
        try:
            for item, data in fanout.unpack(body, self._wanted, self._any_concern_us):
                try:
                    if isinstance(item, fanout.MessageCreated):
                        self._stored(item, data, stored)
                    else:
                        self._deliver(stored)  # what follows may end a membership
                        self._handle(item, data)
                except Exception:
                    metrics.FAILED.inc()
                    logger().exception("fan-out not handled", kind=item.kind)
        except ValidationError as error:
            metrics.FAILED.inc()
            logger().error("undecodable fan-out", reason=complaint(error))
        self._deliver(stored)

    def _deliver(self, stored: dict[str, list[Numbered]]) -> None:
        for conversation_id, messages in stored.items():
            try:
                self.hub.message(conversation_id, *messages)
            except Exception:
                metrics.FAILED.inc()
                logger().exception("messages not delivered", conversation=conversation_id)
        stored.clear()

    def _any_concern_us(self, index: fanout.Index) -> bool:
        try:
            return (
                self._here in index.gateway_ids
                or not self.hub.rooms.keys().isdisjoint(index.conversation_ids)
                or not self.hub.users.keys().isdisjoint(index.user_ids)
            )
        except TypeError:
            return True  # not as we write it

    def _concerns_us(self, header: dict[str, Any]) -> bool:
        """Whether somebody here is to be told. Most of what comes concerns the people of other gateways."""
        try:
            match header.get("kind"):
                case "message.created":
                    return str(header.get("conversationId")) in self.hub.rooms or header.get("gatewayId") == self._here
                case "message.updated":
                    ids = header.get("commandIds", ())
                    return str(header.get("conversationId")) in self.hub.rooms or self._ingress.awaits(ids)
                case "read.updated":
                    here = (
                        str(header.get("conversationId")) in self.hub.rooms
                        or str(header.get("userId")) in self.hub.users
                    )
                    return here or self._ingress.awaits([str(header.get("commandId"))])
                case "notification":
                    conversation = header.get("conversationId")
                    return any(conversation not in c.joined for c in self.hub.of(header.get("unread", ())))
                case "preferences.changed":
                    return False
        except TypeError:
            pass  # not as we write it: whoever checks it will complain
        return True

    def _stored(self, item: fanout.MessageCreated, data: bytes, stored: dict[str, list[Numbered]]) -> None:
        # First the sender's answer, then the message: a sender sees itself after its message_sent.
        if item.gateway_id == self._here:
            self._ingress.answer(item.message_id, item)
        if item.conversation_id in self.hub.rooms:
            age = (datetime.now(UTC) - item.created_at).total_seconds()
            metrics.DELIVERED.observe(max(0.0, age))
            message = Numbered(item.seq, data, item.sender_id, item.temp_id)
            stored.setdefault(item.conversation_id, []).append(message)

    def _handle(self, item: fanout.Item, data: bytes) -> None:
        match item:
            case fanout.MessageUpdated():
                self._message_updated(item, data)
            case fanout.Reply():
                self._ingress.answer(item.command_id, item)
            case fanout.Typing():
                if item.active:
                    self.typing.started(item.conversation_id, item.user_id, item.user_name)
                else:
                    self.typing.stopped(item.conversation_id, item.user_id)
            case fanout.ConversationUpdated():
                self._conversation_updated(item, data)
            case fanout.Presence():
                self.presence.heard(item)
            case fanout.PresenceChosen():
                self.presence.heard_choice(item)
            case fanout.ReadUpdated():
                self._read_updated(item, data)
            case fanout.SettingsChanged():
                self._tell_all(list(self.hub.of([item.user_id])), "conversation_updated", data)
            case fanout.Notification():
                self._notify(item, data)

    def _message_updated(self, item: fanout.MessageUpdated, data: bytes) -> None:
        asked = self.changing.answer(item)
        change = Changed(item.change_seq or 0, item.seq, item.change, data, asked, item.sender_id, item.temp_id)
        self.hub.change(item.conversation_id, change)

    def _conversation_updated(self, item: fanout.ConversationUpdated, data: bytes) -> None:
        room = self.hub.rooms.get(item.conversation_id)
        joined = set(room.members if room else ())
        told = set(self.hub.of(item.audience))
        told = told - joined if item.more else told | joined
        self._tell_all(told, "conversation_updated", data)
        self.hub.evict(item.conversation_id, item.removed or ())
        for user_id in item.removed or ():
            self.typing.stopped(item.conversation_id, user_id)
        if item.update_type == "deleted":
            self.presence.conversation_changed(item.conversation_id, (), item.audience)
        elif not item.more:
            self.presence.conversation_changed(item.conversation_id, item.audience, item.removed or ())
        if item.update_type == "deleted" and room is not None:
            for connection in [*room.members, *room.joining]:
                self.hub.leave(connection, item.conversation_id)

    def _read_updated(self, item: fanout.ReadUpdated, data: bytes) -> None:
        answered = self.reads.answer(item)
        told = set(self.hub.users.get(item.user_id, ()))
        room = self.hub.rooms.get(item.conversation_id)
        if room is not None and not item.private:
            # A joining one may have read the members before this moved.
            told |= {*room.members, *room.joining}
        told.difference_update(answered)
        if told:
            self._tell_all(told, "read_receipt", data)

    def _tell_all(self, connections: Collection[Connection], kind: str, data: bytes) -> None:
        frame = prepare(_stamped(kind, data))
        metrics.frames_out(kind).inc(len(connections))
        for connection in connections:
            connection.outbox.write(frame)

    def _notify(self, item: fanout.Notification, data: bytes) -> None:
        if item.id in self._notified:
            return
        self._notified[item.id] = None
        if len(self._notified) > REMEMBERED:
            self._notified.popitem(last=False)
        for user_id, unread in item.unread.items():
            for connection in list(self.hub.of([user_id])):
                if item.conversation_id not in connection.joined:
                    metrics.frames_out("notification").inc()
                    counted = data[:-1] + b',"unreadCount":' + str(unread).encode() + b"}"
                    connection.outbox.write(prepare(_stamped("notification", counted)))

    # ---------------------------------------------------------------------------------------------- healing

    async def _or_later(
        self,
        unhealed: Callable[[str], None],
        heal: Callable[[str, int, int], Awaitable[None]],
        conversation_id: str,
        above: int,
        below: int,
    ) -> None:
        """What fails for a reason of its own is tried again, too: with the next event, ping or reconnect."""
        try:
            await heal(conversation_id, above, below)
        except Exception:
            unhealed(conversation_id)
            raise

    async def _heal(self, conversation_id: str, above: int, below: int) -> None:
        try:
            async with reading():
                if below - above - 1 > self._settings.resume_limit:
                    self.hub.give_up(conversation_id, below - 1)
                    return
                until = min(below, above + 1 + HEAL_PORTION)
                found = await self._history.missed(conversation_id, above, until)
                await self._remove_absent(self._people([conversation_id]))
        except Refusal:
            await asyncio.sleep(HEAL_AGAIN)
            self.hub.unhealed(conversation_id)
            self.hub.behind(conversation_id, below - 1)
            return
        if len(found) < until - above - 1:
            # Stored messages have no holes, so the conversation was deleted meanwhile: there is nothing to wait for.
            self.hub.give_up(conversation_id, below - 1)
            return
        for message in found:
            # What was lost may have been the answer to one of our own.
            self._ingress.answer(
                message.id,
                fanout.Reply(
                    command_id=message.id, message_id=message.id, seq=message.seq, created_at=message.created_at
                ),
            )
        if until < below:
            await asyncio.sleep(HEAL_PAUSE)  # for the sockets to take the portion before
            self.hub.fill(conversation_id, [_numbered(message) for message in found])
            self.hub.behind(conversation_id, below - 1)
            return
        self.hub.fill(conversation_id, [_numbered(message) for message in found])
        metrics.HOLES.inc()
        logger().info("hole healed", conversation=conversation_id, up_to=below - 1)

    async def _heal_changes(self, conversation_id: str, above: int, below: int) -> None:
        most = self._settings.resume_limit
        try:
            async with reading():
                changed = self._history.changed
                if below - above - 1 > most and len(await changed(conversation_id, above, below - 1, most + 1)) > most:
                    self.hub.give_up_changes(conversation_id, below - 1)
                    return
                found = await changed(conversation_id, above, below - 1, HEAL_PORTION)
                await self._remove_absent(self._people([conversation_id]))
        except Refusal:
            await asyncio.sleep(HEAL_AGAIN)
            self.hub.unhealed_changes(conversation_id)
            self.hub.behind_changes(conversation_id, below - 1)
            return
        if len(found) == HEAL_PORTION:
            await asyncio.sleep(HEAL_PAUSE)  # for the sockets to take the portion before
            self.hub.fill_changes(conversation_id, found, found[-1].number)
            self.hub.behind_changes(conversation_id, below - 1)
            return
        self.hub.fill_changes(conversation_id, found, below - 1)
        metrics.HOLES.inc()
        logger().info("hole among changes healed", conversation=conversation_id, up_to=below - 1)

    async def _caught_up(self) -> bool:
        try:
            async with reading():
                await self._history.read_name()
                for people in _portions(self._people(self.hub.rooms)):
                    fronts = await self._directory.fronts(people)
                    await self._remove_absent(people)
                    for conversation_id, front in fronts.items():
                        self.hub.behind(conversation_id, front.seq)
                        self.hub.behind_changes(conversation_id, front.change)
        except Refusal:
            logger().warning("history away", rooms=len(self.hub.rooms))
            return False
        return True

    def _people(self, conversation_ids: Iterable[str]) -> dict[str, set[str]]:
        """Who is in these rooms now, or is about to be: a long join may have begun before what was not heard."""
        rooms = {c: room for c in conversation_ids if (room := self.hub.rooms.get(c)) is not None}
        return {c: {person.user_id for person in (*room.members, *room.joining)} for c, room in rooms.items()}

    async def _remove_absent(self, people: dict[str, set[str]]) -> None:
        """End memberships whose end was not heard. Between reading messages and telling them: whoever was removed before
        one of them is found."""
        if people:
            members = await self._directory.members_of(people)
            for conversation_id, users in people.items():
                self._remove(conversation_id, users - members[conversation_id])

    async def _catch_up_reads(self, since: datetime) -> None:
        """Tell what was read since then in the rooms of this gateway; whoever knows it already learns nothing new."""
        for people in _portions(self._people(self.hub.rooms)):
            try:
                async with reading():
                    marks = await self._directory.read_since(list(people), since)
            except Refusal:
                await asyncio.sleep(HEAL_AGAIN)
                self.in_background(self._catch_up_reads(since))
                return
            for mark in marks:
                room = self.hub.rooms.get(mark.conversation_id)
                told = {*self.hub.users.get(mark.user_id, ()), *(room.members if room else ())}
                self._tell_all(told, "read_receipt", mark.encode())

    def _remove(self, conversation_id: str, user_ids: set[str]) -> None:
        """These people were found to be no longer in it."""
        self.presence.removed(conversation_id, user_ids)
        for user_id in user_ids:
            logger().info("removal found", conversation=conversation_id, user=user_id)
            frame = frames.ConversationUpdated(
                conversation_id=conversation_id, update_type="member_removed", user_ids=[user_id]
            )
            for connection in list(self.hub.of([user_id])):
                if conversation_id in connection.joined:
                    connection.outbox.send(frame)
        self.hub.evict(conversation_id, user_ids)

    def in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something whose failure is logged."""
        task = asyncio.create_task(coroutine)
        self._healing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._healing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger().error("background work failed", exc_info=task.exception())


def _numbered(message: Message) -> Numbered:
    body = message.model_copy(update={"temp_id": None}).encode()
    return Numbered(message.seq, body, message.sender_id, message.temp_id)


def _portions(people: dict[str, set[str]]) -> Iterator[dict[str, set[str]]]:
    """Rooms and their people, as many at once as one read should ask for."""
    portion: dict[str, set[str]] = {}
    pairs = 0
    for conversation_id, users in people.items():
        if portion and (pairs + len(users) > PAIRS_AT_ONCE or len(portion) == HEADS_AT_ONCE):
            yield portion
            portion, pairs = {}, 0
        portion[conversation_id] = users
        pairs += len(users)
    if portion:
        yield portion


def _stamped(kind: str, data: bytes) -> bytes:
    """A server frame around fields that are JSON already."""
    return f'{{"type":"{kind}","timestamp":"{to_text(now())}",'.encode() + data[1:]

"""Take a batch, carry it out, tell everyone, acknowledge: the persister on one screen.

Nothing is ever requeued, since that would change the order: a batch whose database or broker is away is tried again until
it succeeds or the connection is gone, and then the broker delivers it again, to this process or the next in line. What
was done twice is found by its ids, so the command queue itself is the outbox. What is told is acknowledged when its
activity is noted too, which happens behind (`activity.py`), as all does that nobody waits for (`chores.py`).
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pydantic import ValidationError
from tenacity import retry_if_exception, retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import commands, events, fanout, lines, tracing
from contracts.commands import AnyCommand
from contracts.errors import ErrorCode, Refusal
from contracts.ids import partition_of
from contracts.limits import BATCH_BYTES, FANOUT_BYTES
from contracts.shape import complaint
from services.amqp import Broker, BrokerAway, Channel, Delivery, Inbox, Outgoing, Unroutable, dead_letter
from services.mongo import Database
from services.persister import (
    conversations,
    erasing,
    message_changes,
    messages,
    metrics,
    presence,
    profiles,
    reads,
    search_index,
)
from services.persister.activity import Activity
from services.persister.away import is_away, say_away
from services.persister.chores import Chores
from services.persister.outcome import Outcome, refused, to_itself
from services.persister.pauses import Pauses
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from services.persister.traces import CarryOut, Traces
from services.persister.unacknowledged import Behind, Unacknowledged
from services.telemetry import logger

TOGETHER = ({"message.send"}, {"message.react"}, {"read.mark"}, {"profile.store"}, {"presence.store"})
BEHIND = (commands.IndexMessages, commands.PurgeConversation)  # nobody waits for these
ATTEMPTS = 5  # of one command that fails for a reason of its own
FIRST_PAUSE = 0.01  # seconds before the second, and twice as many before each other: messages wait as long


Run = list[tuple[Delivery, list[AnyCommand]]]


class Consumer:
    """Handles batches of deliveries, one after the other."""

    def __init__(
        self, settings: Settings, broker: Broker, database: Database, inbox: Inbox, traces: Traces | None = None
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._database = database
        self._inbox = inbox
        self._failures: dict[str, int] = {}
        self._rooms = Rooms()
        self._channels: set[Channel] = set()
        self._stopping = False
        self._turn = asyncio.Lock()  # held while a batch is handled
        self._pauses = Pauses()
        self._activity = Activity(database, self._pauses)
        self._noted: Behind | None = None  # when the last activity is
        self._chores = Chores(self._pauses)
        self._unacknowledged = Unacknowledged(inbox)
        self._traces = traces
        self._do = self._do_and_tell if traces is None else traces.around(self._do_and_tell)

    async def run(self) -> None:
        """Handle what arrives, until cancelled or finished."""
        async with asyncio.TaskGroup() as group:
            behind = [group.create_task(part.run()) for part in (self._activity, self._chores)]
            await self._work()
            for part in behind:
                part.cancel()

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Between two batches, with everything acknowledged that was begun."""
        async with self._turn:
            with self._pauses.none():
                await self._unacknowledged.none_left()
            yield

    async def finish(self) -> None:
        """Begin no other batch, and return when everything is acknowledged that was begun."""
        async with self.at_rest():
            self._stopping = True

    async def _work(self) -> None:
        while True:
            deliveries = await self._inbox.take(self._settings.batch_size)
            metrics.WAITING.set(len(self._inbox))
            async with self._turn:
                if self._stopping:
                    return  # what was not begun goes back to its place in the queue, for the next in line
                self._trust(deliveries)
                for run in _runs([(delivery, await self._decode(delivery)) for delivery in deliveries]):
                    await self._begin(run)
                    if self._traces is not None:
                        self._traces.done(command for _, batch in run for command in batch)
                if self._unacknowledged.most > self._settings.prefetch // 2:
                    self._pauses.end()  # before the broker sends no more

    async def _begin(self, run: Run) -> None:
        """Handle these, but for what can be done behind."""
        if all(isinstance(command, BEHIND) for _, batch in run for command in batch):
            behind: Behind | None = await self._chores.add(partial(self._handle, run, self._do_chores))
        else:
            await self._handle(run, self._carry_out)
            behind = self._noted
        self._unacknowledged.add([delivery for delivery, _ in run], behind)

    def _trust(self, deliveries: Sequence[Delivery]) -> None:
        """A partition that comes over a new channel may have been with somebody else meanwhile.

        So may one over a channel that lasted, when something comes again: where the way between two nodes of the broker
        breaks, it gives the queue to the next in line and maybe back, and the channel learns of neither.
        """
        keys = {delivery.channel: delivery.routing_key for delivery in deliveries}
        anew = keys.keys() - self._channels
        if anew:
            self._channels = {channel for channel in self._channels | anew if channel.is_open}
            self._rooms.clear(self._comes_by({keys[channel] for channel in anew}))
        again = {d.routing_key for d in deliveries if d.redelivered and d.channel not in anew}
        if again:
            self._rooms.doubt(self._comes_by(again))

    def _comes_by(self, keys: Iterable[str]) -> Callable[[str], bool]:
        """Tells whether a conversation is of a partition of which something came by one of these routing keys."""
        names = {key.rpartition(".")[2] for key in keys}
        # What is sent to the queue itself has a key that ends so, too; by any other it may be of any partition.
        unknown = not all(name.isdecimal() for name in names)
        numbers = {int(name) for name in names if name.isdecimal()}
        partitions = self._settings.partitions
        return lambda conversation: unknown or partition_of(conversation, partitions) in numbers

    async def _handle(self, run: Run, carry_out: Callable[[Sequence[AnyCommand]], Awaitable[None]]) -> None:
        """All commands of these deliveries, in order, until they are done or somebody else has them."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(is_away),
            wait=wait_random_exponential(0.05, max=2),
            before_sleep=lambda state: say_away(state.outcome.exception() if state.outcome else None),
        ):
            with attempt:
                await carry_out([command for delivery, batch in run if delivery.live for command in batch])

    async def _carry_out(self, batch: Sequence[AnyCommand]) -> None:
        """Messages together, reactions, reads and people too, anything else by itself, each told before the next begins."""
        for is_message, run in itertools.groupby(batch, key=lambda c: isinstance(c, commands.SendMessage)):
            part = list(run)
            if is_message or {command.type for command in part} in TOGETHER:
                # One AMQP message may hold many commands, so a batch of them may be too much for one write.
                for start in range(0, len(part), self._settings.batch_size):
                    some = part[start : start + self._settings.batch_size]
                    await self._do(some, self._send if is_message else self._together)
            else:
                for command in part:
                    await self._do([command], self._alone)

    async def _do_chores(self, batch: Sequence[AnyCommand]) -> None:
        """Each by itself, and outside of the traces, which are of the batch in hand."""
        for command in batch:
            await self._do_and_tell([command], self._alone)

    async def _do_and_tell(self, part: Sequence[AnyCommand], how: CarryOut) -> None:
        outcomes = await how(part)
        if self._failures:
            for command in part:
                self._failures.pop(command.id, None)  # it is done, however often it failed before
        await self._publish(part, outcomes)
        self._rooms.mark_told(
            {command.conversation_id for command in part if isinstance(command, commands.SendMessage)}
        )

    async def _alone(self, part: Sequence[AnyCommand]) -> dict[str, Outcome]:
        return {command.id: await self._one(command) for command in part}

    async def _together(self, batch: Sequence[AnyCommand]) -> dict[str, Outcome]:
        """Reactions, reads, profiles, or presence."""
        try:
            outcomes = await message_changes.react_all(
                self._database, self._rooms, [c for c in batch if isinstance(c, commands.React)]
            )
            outcomes |= await reads.mark_all(
                self._database, self._rooms, [c for c in batch if isinstance(c, commands.MarkRead)]
            )
            outcomes |= await profiles.store_all(
                self._database, [c for c in batch if isinstance(c, commands.StoreProfile)]
            )
            outcomes |= await presence.store_all(
                self._database, [c for c in batch if isinstance(c, commands.StorePresence)]
            )
        except Exception as error:
            if is_away(error):
                raise
            return {command.id: await self._one(command) for command in batch}  # find the one that spoils the batch
        metrics.COMMANDS.labels(batch[0].type).inc(len(batch))
        return outcomes

    async def _send(self, batch: Sequence[AnyCommand]) -> dict[str, Outcome]:
        sends = [command for command in batch if isinstance(command, commands.SendMessage)]
        started = time.perf_counter()
        metrics.BATCH.observe(len(sends))
        try:
            return await messages.send_all(self._database, self._rooms, sends)
        except Exception as error:
            if is_away(error):
                raise
            if len(sends) > 1:  # find the one that spoils the batch
                halves = sends[: len(sends) // 2], sends[len(sends) // 2 :]
                return await self._send(halves[0]) | await self._send(halves[1])
            return {sends[0].id: await self._failed(sends[0])}
        finally:
            metrics.STORE.observe(time.perf_counter() - started)
            metrics.COMMANDS.labels("message.send").inc(len(sends))

    async def _one(self, command: AnyCommand) -> Outcome:
        metrics.COMMANDS.labels(command.type).inc()
        try:
            return await self._dispatch(command)
        except Refusal as refusal:
            return refused(command, refusal)
        except Exception as error:
            if is_away(error):
                raise
            return await self._failed(command)

    async def _dispatch(self, command: AnyCommand) -> Outcome:
        match command:
            case commands.StoreProfile():
                return (await profiles.store_all(self._database, [command]))[command.id]
            case commands.StorePresence():
                return (await presence.store_all(self._database, [command]))[command.id]
            case commands.MarkRead():
                return (await reads.mark_all(self._database, self._rooms, [command]))[command.id]
            case commands.React():
                return (await message_changes.react_all(self._database, self._rooms, [command]))[command.id]
            case commands.EditMessage():
                return await message_changes.edit(self._database, self._rooms, command, self._settings.edit_limit)
            case commands.DeleteMessage():
                return await message_changes.delete(self._database, self._rooms, command, self._settings.delete_limit)
            case commands.SendMessage():
                raise AssertionError("messages are handled in runs")
            case commands.PurgeConversation():
                return await erasing.erase(self._database, command, self._settings.purge_size)
            case commands.IndexMessages():
                return await search_index.index(self._database, command)
            case _:
                try:
                    return await conversations.change(self._database, command)
                finally:
                    self._rooms.forget([command.conversation_id])

    async def _failed(self, command: AnyCommand) -> Outcome:
        """A command that fails for a reason of its own: a few more chances, then out of the way, with its reason."""
        count = self._failures.get(command.id, 0) + 1
        logger().exception("command failed", command=command.id, type=command.type, attempt=count)
        if count < ATTEMPTS:
            self._failures[command.id] = count
            await asyncio.sleep(FIRST_PAUSE * 2 ** (count - 1))
            if isinstance(command, commands.SendMessage):
                return (await self._send([command]))[command.id]
            return await self._one(command)
        self._failures.pop(command.id, None)
        await self._set_aside(command.encode(), commands.routing_key(command, self._settings.partitions), "failed")
        return refused(command, Refusal(ErrorCode.INTERNAL))

    async def _decode(self, delivery: Delivery) -> list[AnyCommand]:
        """The commands of one delivery; a line that is none is set aside."""
        decoded = []
        for line in lines.unpack(delivery.body):
            try:
                command = commands.decode(line)
            except ValidationError as error:
                await self._set_aside_surely(line, delivery, f"undecodable: {complaint(error)}")
                continue
            decoded.append(command)
            if self._traces is not None:
                self._traces.came(command, line)
        return decoded

    async def _set_aside_surely(self, line: bytes, delivery: Delivery, reason: str) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((BrokerAway, Unroutable)), wait=wait_random_exponential(0.1, max=2)
        ):
            with attempt:
                if delivery.live:  # else somebody else sets it aside
                    await self._set_aside(line, delivery.routing_key, reason)

    async def _set_aside(self, body: bytes, routing_key: str, reason: str) -> None:
        metrics.DEAD.inc()
        logger().error("dead letter", routing_key=routing_key, reason=reason)
        topology = self._broker.topology
        back = (topology.commands.name, routing_key)
        await self._broker.publish(dead_letter(topology, "persister", body, routing_key, reason, back=back))

    async def _publish(self, batch: Sequence[AnyCommand], outcomes: dict[str, Outcome]) -> None:
        """Events, fan-out, replies and follow-ups, all confirmed."""
        started = time.perf_counter()
        topology = self._broker.topology
        ordered = [(command, outcomes[command.id]) for command in batch]
        if self._traces is not None:
            self._traces.tell(ordered)
        # Messages before replies: a retry in the same batch is answered after what it repeats.
        outgoing = _fanout(ordered, topology.fanout.name)
        outgoing += _replies(ordered, topology.replies.name)
        facts: list[bytes] = []
        for command, outcome in ordered:
            headers = {"traceparent": outcome.traceparent or tracing.untraced(command.id)}
            for key, event_id, body in outcome.events:
                if outcome.traceparent is not None:
                    body = tracing.carry(body, outcome.traceparent)
                facts.append(body)
                outgoing.append(
                    Outgoing(topology.events.name, key, body, events.CONTENT_TYPE, headers, event_id, mandatory=True)
                )
            outgoing += [to_itself(follow_up, topology) for follow_up in outcome.follow_ups]
        outgoing += [
            Outgoing(topology.batches.name, "", body, content_type="application/x-ndjson", mandatory=True)
            for body in lines.pack_all(facts, BATCH_BYTES)
        ]
        items = (item for _, outcome in ordered for item, _ in outcome.items)
        created = [item for item in items if isinstance(item, fanout.MessageCreated)]
        if created:
            self._noted = self._activity.add(created)
        await self._broker.publish_all(outgoing)
        metrics.PUBLISH.observe(time.perf_counter() - started)


def _runs(decoded: Run) -> list[Run]:
    """What is carried out and acknowledged together: deliveries of one such type; any other by itself."""
    runs: list[Run] = []
    last: set[str] = set()
    for delivery, batch in decoded:
        types: set[str] = {command.type for command in batch}
        if runs and types == last and types in TOGETHER:
            runs[-1].append((delivery, batch))
        else:
            runs.append([(delivery, batch)])
        last = types
    return runs


def _replies(ordered: Sequence[tuple[AnyCommand, Outcome]], exchange: str) -> list[Outgoing]:
    by_gateway: dict[str, list[tuple[fanout.Item, bytes]]] = {}
    for command, outcome in ordered:
        if outcome.reply is None:
            continue
        if outcome.reply.code is not None:
            metrics.REFUSALS.labels(outcome.reply.code).inc()
            logger().info(
                "refused",
                command=command.id,
                type=command.type,
                conversation=getattr(command, "conversation_id", None),
                user=command.actor.user_id,
                code=outcome.reply.code,
            )
        by_gateway.setdefault(command.origin.gateway_id, []).append((outcome.reply, fanout.NULL))
    return [Outgoing(exchange, gateway, fanout.pack(items), persistent=False) for gateway, items in by_gateway.items()]


def _fanout(ordered: Sequence[tuple[AnyCommand, Outcome]], exchange: str) -> list[Outgoing]:
    items = ((item, data, outcome.traceparent) for _, outcome in ordered for item, data in outcome.items)
    return [Outgoing(exchange, "", body, persistent=False) for body in fanout.pack_all(items, FANOUT_BYTES)]

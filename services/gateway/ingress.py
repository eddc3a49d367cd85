"""Commands on their way to the persister, and who waits for each answer.

They leave in rounds: one write with an AMQP message for each partition that has some, and while its confirms are awaited,
the next round gathers. So the order of a conversation is the order of arrival, and batches grow by themselves when there is
much to do; then rounds also keep a little apart, since an AMQP message costs the broker as much as twenty commands. A
command keeps its id however often it is published: the persister finds it again.
"""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import uuid_utils

from contracts import commands, fanout, lines, shape
from contracts.commands import AnyCommand, NotifierCommand
from contracts.errors import ErrorCode, Refusal
from contracts.limits import BATCH_BYTES, BATCH_COMMANDS
from services.amqp import Broker, BrokerAway, Outgoing, Unroutable
from services.gateway import metrics
from services.gateway.settings import Settings
from services.gateway.traces import Traces
from services.telemetry import logger

Answer = fanout.Reply | fanout.MessageCreated
TICK = 0.1  # seconds between looks for commands that were given up
ROUND = 0.02  # seconds from one round to the next, while there are many commands
BUSY = 12  # commands within such a time: from then on it is worth waiting for others
PAUSE = 0.2  # seconds before what could not be published is tried again


@dataclass(slots=True)
class Pending:
    """A command without its answer yet."""

    answered: Callable[[Answer | Refusal], None]
    deadline: float
    size: int  # bytes of its JSON
    handed_over: bool = False


def new_id() -> str:
    """An id that rises with time: 32 hexadecimal digits of a UUIDv7 (RFC 9562)."""
    return uuid_utils.uuid7().hex


class Queued(NamedTuple):
    """A command that is JSON already."""

    id: str
    routing_key: str
    line: bytes

    @property
    def partition(self) -> str:
        """Whose order it belongs to; for the notifier, the verb."""
        return self.routing_key.rpartition(".")[2]


class Ingress:
    """Publishes commands, and gives up those that are not answered in time."""

    def __init__(self, settings: Settings, broker: Broker, gateway_id: str, traces: Traces | None = None) -> None:
        self._settings = settings
        self._broker = broker
        self._gateway_id = gateway_id
        self._traces = traces
        self._pending: dict[str, Pending] = {}  # in the order of their deadlines, since all have the same time
        self._pending_bytes = 0
        self._queue: deque[Queued] = deque()
        self._some = asyncio.Event()

    @property
    def gateway_id(self) -> str:
        """Where answers go."""
        return self._gateway_id

    @property
    def pending(self) -> int:
        """How many commands wait for their answer."""
        return len(self._pending)

    def awaits(self, command_ids: Iterable[str]) -> bool:
        """Whether one of these commands waits for its answer here."""
        return not self._pending.keys().isdisjoint(command_ids)

    def origin(self, connection_id: str | None) -> commands.Origin:
        """This gateway, for a connection or (None) for REST."""
        return commands.Origin(gateway_id=self._gateway_id, connection_id=connection_id)

    def submit(self, command: AnyCommand | NotifierCommand, answered: Callable[[Answer | Refusal], None]) -> None:
        """Hand a command over; `answered` is called once, with its answer or a refusal.

        Raises:
            Refusal: UNAVAILABLE, when too many wait already.
        """
        settings = self._settings
        if len(self._pending) >= settings.max_pending or self._pending_bytes >= settings.max_pending_bytes:
            raise Refusal(ErrorCode.UNAVAILABLE, "Too many requests wait for their answer.")
        routing_key = commands.routing_key(command, settings.partitions)
        line = command.encode()
        if self._traces is not None and self._traces.samples(command.id):
            line, answered = self._traces.begin(command, routing_key, line, answered)
        self._queue.append(Queued(command.id, routing_key, line))
        self._some.set()
        self._pending[command.id] = Pending(answered, time.monotonic() + settings.send_timeout, len(line))
        self._pending_bytes += len(line)
        metrics.PENDING.set(len(self._pending))

    async def request(self, command: AnyCommand | NotifierCommand) -> Answer:
        """Submit, and wait for the answer.

        Raises:
            Refusal: what the persister said, TIMEOUT or UNAVAILABLE.
        """
        future: asyncio.Future[Answer | Refusal] = asyncio.get_running_loop().create_future()

        def answered(answer: Answer | Refusal) -> None:
            if not future.done():
                future.set_result(answer)

        self.submit(command, answered)
        answer = await future
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def expires_at(self) -> datetime:
        """When a command that is made now must be done."""
        return shape.now() + timedelta(seconds=self._settings.send_timeout)

    def answer(self, command_id: str, answer: Answer) -> None:
        """An answer came, from the fan-out or by reply; a second one for the same command is dropped."""
        pending = self._no_longer_pending(command_id)
        if pending is None:
            return
        if isinstance(answer, fanout.Reply) and answer.code is not None:
            pending.answered(Refusal(answer.code, answer.detail))
        else:
            pending.answered(answer)

    async def settled(self) -> None:
        """Returns when nobody waits any more."""
        while self._pending:
            await asyncio.sleep(0.02)  # only while draining

    async def run(self) -> None:
        """Publish what is submitted, until cancelled."""
        recent, last = 0.0, 0.0
        while True:
            if not self._queue:
                self._some.clear()
                await self._some.wait()
            begun = time.monotonic()
            taken = await self._publish_round()
            recent = recent * math.exp((last - begun) / ROUND) + taken
            last = begun
            if recent >= BUSY:
                await asyncio.sleep(begun + ROUND - time.monotonic())

    async def give_up_late(self) -> None:
        """Answer TIMEOUT (or UNAVAILABLE, if it surely never left) when the time is up; until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            # Apart: a loop's variables would keep what it saw last, a connection's memory among it, for as long as we run.
            self._give_up(time.monotonic())

    def _give_up(self, now: float) -> None:
        late = []
        for command_id, pending in self._pending.items():
            if pending.deadline > now:
                break
            late.append(command_id)
        for command_id in late:
            if (gone := self._no_longer_pending(command_id)) is not None:
                gone.answered(Refusal(ErrorCode.TIMEOUT if gone.handed_over else ErrorCode.UNAVAILABLE))
        if late:
            logger().warning("commands given up", count=len(late))

    def _no_longer_pending(self, command_id: str) -> Pending | None:
        """Whoever waits for this command, for the last time."""
        pending = self._pending.pop(command_id, None)
        if pending is not None:
            self._pending_bytes -= pending.size
            metrics.PENDING.set(len(self._pending))
        return pending

    async def _publish_round(self) -> int:
        """Everything that waits, in one write; returns how many. What could not be published goes back to the head."""
        parts = _parts(self._queue, self._pending)
        try:
            left = await self._publish_parts(parts)
        except Exception:
            # Whatever is wrong with these, those behind them go on.
            logger().exception("commands failed", count=sum(map(len, parts)))
            for queued in itertools.chain.from_iterable(parts):
                pending = self._no_longer_pending(queued.id)
                if pending is not None:
                    pending.answered(Refusal(ErrorCode.INTERNAL))
            return 0
        if left:
            self._queue.extendleft(queued for part in reversed(left) for queued in reversed(part))
            await asyncio.sleep(PAUSE)
        return sum(map(len, parts))

    async def _publish_parts(self, parts: list[list[Queued]]) -> list[list[Queued]]:
        """Publish each part as one AMQP message; those that could not be."""
        if not parts:
            return []
        connected = self._broker.publisher.up.is_set()
        if connected:
            for queued in itertools.chain.from_iterable(parts):
                pending = self._pending.get(queued.id)
                if pending is not None:  # else it was answered while others of its round were published again
                    pending.handed_over = True
        exchange = self._broker.topology.commands.name
        try:
            await self._broker.publish_all(
                [
                    Outgoing(
                        exchange,
                        part[0].routing_key,
                        lines.pack([queued.line for queued in part]),
                        content_type="application/x-ndjson",
                        mandatory=True,
                    )
                    for part in parts
                ],
                timeout=self._settings.send_timeout,
            )
        except (BrokerAway, Unroutable) as error:
            if isinstance(error, Unroutable) and len(parts) > 1:
                # One partition has no queue: the others need not wait for it.
                return [part for single in parts for part in await self._publish_parts([single])]
            if connected:
                logger().warning("commands not published", count=sum(map(len, parts)), reason=str(error))
            return parts
        for part in parts:
            metrics.COMMAND_BATCH.observe(len(part))
        if self._traces is not None:
            self._traces.sent(queued.id for queued in itertools.chain.from_iterable(parts))
        return []


def _parts(queue: deque[Queued], wanted: Container[str]) -> list[list[Queued]]:
    """Take everything that is still wanted: what can share an AMQP message together, each partition in its order."""
    parts: list[list[Queued]] = []
    last: dict[str, tuple[list[Queued], int]] = {}  # of each partition, with its size
    while queue:
        queued = queue.popleft()
        if queued.id not in wanted:
            continue
        partition = queued.partition
        part, size = last.get(partition, ([], 0))
        size += len(queued.line)
        # One of another type has another key.
        if not part or part[0].routing_key != queued.routing_key or len(part) == BATCH_COMMANDS or size > BATCH_BYTES:
            part, size = [], len(queued.line)
            parts.append(part)
        part.append(queued)
        last[partition] = part, size
    return parts

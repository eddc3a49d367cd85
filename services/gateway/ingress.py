"""Commands on their way to the persister, and who waits for each answer.

For each partition one AMQP message is in flight; commands that come meanwhile leave together in the next one. So the order
of a conversation is the order of arrival, and batches grow by themselves when there is much to do. A command keeps its id
however often it is published: the persister finds it again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import uuid_utils

from contracts import commands, fanout, ids, shape
from contracts.commands import AnyCommand
from contracts.errors import ErrorCode, Refusal
from contracts.limits import BATCH_BYTES, BATCH_COMMANDS
from services.amqp import Broker, BrokerAway, Outgoing, Unroutable
from services.gateway import metrics
from services.gateway.settings import Settings
from services.telemetry import logger

Answer = fanout.Reply | fanout.MessageCreated
TICK = 0.1  # seconds between looks for commands that were given up
PAUSE = 0.2  # seconds before a batch that could not be published is tried again


@dataclass(slots=True)
class Pending:
    """A command without its answer yet."""

    answered: Callable[[Answer | Refusal], None]
    deadline: float
    handed_over: bool = False


def new_id() -> str:
    """An id that rises with time: 32 hexadecimal digits of a UUIDv7 (RFC 9562)."""
    return uuid_utils.uuid7().hex


class Queued(NamedTuple):
    """A command that is JSON already."""

    id: str
    type: str
    routing_key: str
    line: bytes


class Ingress:
    """Publishes commands, and gives up those that are not answered in time."""

    def __init__(self, settings: Settings, broker: Broker, gateway_id: str) -> None:
        self._settings = settings
        self._broker = broker
        self._gateway_id = gateway_id
        self._pending: dict[str, Pending] = {}  # in the order of their deadlines, since all have the same time
        self._queues: dict[int, deque[Queued]] = {}
        self._publishing: set[asyncio.Task[None]] = set()

    @property
    def gateway_id(self) -> str:
        """Where answers go."""
        return self._gateway_id

    @property
    def pending(self) -> int:
        """How many commands wait for their answer."""
        return len(self._pending)

    def origin(self, connection_id: str | None) -> commands.Origin:
        """This gateway, for a connection or (None) for REST."""
        return commands.Origin(gateway_id=self._gateway_id, connection_id=connection_id)

    def submit(self, command: AnyCommand, answered: Callable[[Answer | Refusal], None]) -> None:
        """Hand a command over; `answered` is called once, with its answer or a refusal.

        Raises:
            Refusal: UNAVAILABLE, when too many wait already.
        """
        if len(self._pending) >= self._settings.max_pending:
            raise Refusal(ErrorCode.UNAVAILABLE, "Too many requests wait for their answer.")
        partition = ids.partition_of(command.key, self._settings.partitions)
        routing_key = commands.routing_key(command, self._settings.partitions)
        queued = Queued(command.id, command.type, routing_key, command.encode())
        self._pending[command.id] = Pending(answered, time.monotonic() + self._settings.send_timeout)
        metrics.PENDING.set(len(self._pending))
        queue = self._queues.get(partition)
        if queue is not None:
            queue.append(queued)
            return
        self._queues[partition] = deque([queued])
        task = asyncio.create_task(self._publish(partition))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def request(self, command: AnyCommand) -> Answer:
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
        pending = self._pending.pop(command_id, None)
        if pending is None:
            return
        metrics.PENDING.set(len(self._pending))
        if isinstance(answer, fanout.Reply) and answer.code is not None:
            pending.answered(Refusal(answer.code, answer.detail))
        else:
            pending.answered(answer)

    async def settled(self) -> None:
        """Returns when nobody waits any more."""
        while self._pending:
            await asyncio.sleep(0.02)  # only while draining

    async def give_up_late(self) -> None:
        """Answer TIMEOUT (or UNAVAILABLE, if it surely never left) when the time is up; until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            late = []
            for command_id, pending in self._pending.items():
                if pending.deadline > now:
                    break
                late.append(command_id)
            for command_id in late:
                pending = self._pending.pop(command_id)
                pending.answered(Refusal(ErrorCode.TIMEOUT if pending.handed_over else ErrorCode.UNAVAILABLE))
            if late:
                metrics.PENDING.set(len(self._pending))
                logger().warning("commands given up", count=len(late))

    async def _publish(self, partition: int) -> None:
        queue = self._queues[partition]
        while queue:
            batch = [queued for queued in _next_batch(queue) if queued.id in self._pending]
            try:
                if batch and not await self._publish_batch(batch):
                    queue.extendleft(reversed(batch))
                    await asyncio.sleep(PAUSE)
            except Exception:
                # Whatever is wrong with these, those behind them go on.
                logger().exception("commands failed", count=len(batch))
                for queued in batch:
                    pending = self._pending.pop(queued.id, None)
                    if pending is not None:
                        pending.answered(Refusal(ErrorCode.INTERNAL))
        del self._queues[partition]

    async def _publish_batch(self, batch: list[Queued]) -> bool:
        connected = self._broker.publisher.up.is_set()
        if connected:
            for queued in batch:
                self._pending[queued.id].handed_over = True
        try:
            await self._broker.publish(
                Outgoing(
                    self._broker.topology.commands.name,
                    batch[0].routing_key,
                    commands.pack([queued.line for queued in batch]),
                    content_type="application/x-ndjson",
                    mandatory=True,
                ),
                timeout=self._settings.send_timeout,
            )
        except (BrokerAway, Unroutable) as error:
            if connected:
                logger().warning("commands not published", count=len(batch), reason=str(error))
            return False
        metrics.COMMAND_BATCH.observe(len(batch))
        return True


def _next_batch(queue: deque[Queued]) -> list[Queued]:
    """The commands at the head of the queue that can share an AMQP message: of one type, not too many."""
    batch = [queue.popleft()]
    size = len(batch[0].line)
    while queue and len(batch) < BATCH_COMMANDS and queue[0].type == batch[0].type:
        size += len(queue[0].line)
        if size > BATCH_BYTES:
            break
        batch.append(queue.popleft())
    return batch

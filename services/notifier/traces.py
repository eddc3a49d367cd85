"""Traces at a notifier: the first look at a traced event, and a traced command."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from contracts.topology import Topology
from contracts.tracing import carried, sampled
from services import tracing
from services.amqp import Broker
from services.mongo import Database
from services.notifier.batches import Came, Handle
from services.tracing import Tracing

CarryOut = Callable[[Broker, Database, bytes, str, Mapping[str, Any]], Awaitable[None]]


class Traces:
    """Goes on with traces that others began."""

    def __init__(self, tracing: Tracing, topology: Topology) -> None:
        self._tracing = tracing
        self._batches = topology.batches.name
        self._commands = topology.commands.name

    def looking(self, handle: Handle) -> Handle:
        """Handles events; the span of each traced one lasts as long."""

        async def traced(came: Sequence[Came]) -> None:
            spans = [
                self._tracing.processing(
                    context,
                    self._batches,
                    {
                        "messaging.message.id": event.id,
                        "messaging.batch.message_count": len(came),
                        "palabre.conversation.id": event.subject,
                    },
                )
                for event, _ in came
                if (context := sampled(event.traceparent)) is not None
            ]
            with tracing.working(spans):
                await handle(came)

        return traced

    def carrying_out(self, carry_out: CarryOut) -> CarryOut:
        """Carries a command out."""

        async def traced(
            broker: Broker, database: Database, line: bytes, key: str, handlers: Mapping[str, Any]
        ) -> None:
            spans = []
            if (context := carried(line)) is not None:
                about: tracing.Attributes = {"messaging.rabbitmq.destination.routing_key": key}
                spans = [self._tracing.processing(context, self._commands, about)]
            with tracing.working(spans):
                await carry_out(broker, database, line, key, handlers)

        return traced

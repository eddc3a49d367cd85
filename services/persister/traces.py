"""Traces at a persister: each traced command of a batch, and what is told of it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from contracts.commands import AnyCommand
from contracts.topology import Topology
from contracts.tracing import carried
from services import tracing
from services.persister.outcome import Outcome
from services.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CarryOut = Callable[[Sequence[AnyCommand]], Awaitable[dict[str, Outcome]]]
Work = Callable[[Sequence[AnyCommand], CarryOut], Awaitable[None]]


class Traces:
    """Of the batch that is handled: a persister handles one after the other."""

    def __init__(self, tracing: Tracing, topology: Topology) -> None:
        self._tracing = tracing
        self._commands = topology.commands.name
        self._events = topology.events.name
        self._contexts: dict[str, str] = {}  # of traced commands in hand, by their ids
        self._processing: dict[str, Span] = {}
        self._telling: list[Span] = []

    def came(self, command: AnyCommand, line: bytes) -> None:
        """A command was read from this line."""
        if (context := carried(line)) is not None:
            self._contexts[command.id] = context

    def done(self, commands: Iterable[AnyCommand]) -> None:
        """These are told, or somebody else has them."""
        if self._contexts:
            for command in commands:
                self._contexts.pop(command.id, None)

    def around(self, work: Work) -> Work:
        """Carries commands out, and tells; the span of each traced one lasts as long. Another try has another span."""

        async def traced(part: Sequence[AnyCommand], how: CarryOut) -> None:
            self._processing = {
                command.id: self._tracing.processing(
                    context,
                    self._commands,
                    {"messaging.message.id": command.id, "messaging.batch.message_count": len(part)},
                )
                for command in part
                if (context := self._contexts.get(command.id)) is not None
            }
            self._telling = []
            with tracing.working(self._telling), tracing.working([*self._processing.values()]):
                await work(part, how)

        return traced

    def tell(self, ordered: Iterable[tuple[AnyCommand, Outcome]]) -> None:
        """These are to be told now: gives what follows from a traced command the context to go on with."""
        if not self._processing:
            return
        for command, outcome in ordered:
            if (processing := self._processing.get(command.id)) is None:
                continue
            if outcome.reply is not None and outcome.reply.code is not None:
                processing.set_attribute("palabre.code", outcome.reply.code)
            about: tracing.Attributes = {}
            if outcome.events:
                key, event_id, _ = outcome.events[0]
                about = {"messaging.rabbitmq.destination.routing_key": key, "messaging.message.id": event_id}
            # One for events and fan-out: they leave in one write, and are confirmed together.
            telling = self._tracing.sending(processing, self._events, about)
            self._telling.append(telling)
            outcome.traceparent = tracing.traceparent(telling)

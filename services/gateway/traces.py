"""Traces at a gateway: from a client's request to its answer, and what is told to the clients here."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from contracts.commands import AnyCommand, NotifierCommand
from contracts.errors import ErrorCode, Refusal
from contracts.fanout import MessageCreated, Reply
from contracts.topology import Topology
from contracts.tracing import carry, sampled
from services import tracing
from services.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Answered = Callable[[MessageCreated | Reply | Refusal], None]
# Refusals that are our failure; all others are the client's.
OURS = {ErrorCode.TIMEOUT, ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL}


class Traces:
    """Begins traces, and goes on with those that come back by the fan-out."""

    def __init__(self, tracing: Tracing, ratio: float, topology: Topology) -> None:
        self._tracing = tracing
        self._below = int(ratio * 2**32)
        self._commands = topology.commands.name
        self._fanout = topology.fanout.name
        self._sending: dict[str, Span] = {}  # commands on their way to RabbitMQ
        self._delivering: list[Span] = []  # items of the AMQP message that is read

    def samples(self, command_id: str) -> bool:
        """Whether this is one of those that are traced: by the last 32 bits of its UUIDv7, of which all are random."""
        return int(command_id[24:], 16) < self._below

    def begin(
        self, command: AnyCommand | NotifierCommand, routing_key: str, line: bytes, answered: Answered
    ) -> tuple[bytes, Answered]:
        """A command that is traced is submitted: the line to send for it, and whom to tell of its answer."""
        about = _about(command)
        root = self._tracing.root(command.id, command.type, about)
        sending = self._tracing.sending(
            root,
            self._commands,
            {"messaging.rabbitmq.destination.routing_key": routing_key, "messaging.message.id": command.id},
        )
        self._sending[command.id] = sending

        def told(answer: MessageCreated | Reply | Refusal) -> None:
            self.sent([command.id])  # its confirm may come after the answer, or never
            if isinstance(answer, Refusal):
                root.set_attribute("palabre.code", answer.code)
                if answer.code in OURS:
                    tracing.fail(root, answer.code)
            elif answer.seq is not None:
                root.set_attribute("palabre.seq", answer.seq)
            with tracing.working([root]):
                answered(answer)

        return carry(line, tracing.traceparent(sending)), told

    def sent(self, command_ids: Iterable[str]) -> None:
        """RabbitMQ has confirmed these."""
        if self._sending:
            for command_id in command_ids:
                if (span := self._sending.pop(command_id, None)) is not None:
                    span.end()

    def noticing(self, concerns: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
        """Looks at the headers of items, and begins a span for each traced one that concerns somebody here."""

        def wanted(header: dict[str, Any]) -> bool:
            if not concerns(header):
                return False
            if (context := sampled(header.get("traceparent"))) is not None:
                about = {"palabre.item": str(header.get("kind"))}
                if isinstance(conversation := header.get("conversationId"), str):
                    about["palabre.conversation.id"] = conversation
                self._delivering.append(self._tracing.processing(context, self._fanout, {**about}))
            return True

        return wanted

    def delivering(self, read: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Reads an AMQP message of the fan-out; the spans of its items end when all of them are told."""

        def traced(body: bytes) -> None:
            self._delivering = []
            with tracing.working(self._delivering):
                read(body)

        return traced


def _about(command: AnyCommand | NotifierCommand) -> tracing.Attributes:
    about: tracing.Attributes = {
        "user.id": command.actor.user_id,
        "network.protocol.name": "http" if command.origin.connection_id is None else "websocket",
    }
    if (conversation := getattr(command, "conversation_id", None)) is not None:
        about["palabre.conversation.id"] = conversation
    return about

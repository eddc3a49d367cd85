"""What each step costs, as `make bench ARGS="--report FILE"` measured it. All CPU is in µs of one core of that machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPORT = Path(__file__).with_name("costs.json")
KINDS = ("gateway", "persister", "notifier", "rabbitmq", "mongodb")

# The loads of the bench that are read.
GATEWAYS = 2
CALM, BUSY = 500.0, 1000.0  # messages a second of `persisters`
ROOMS, ROOM, CALM_ROOM = 10, 10, 4  # rooms and members, all connected, of `throughput`; members of `persisters`
CROWDED = 500  # members, all connected, of `fanout`
FEW, MANY = 20, 10_000  # members of the two channels of `crowd`

# Measured, but no figure of a report.
PRESENCE_NAME = 1.5  # µs to read that somebody is still there (docs/decisions/0009-presence.md)
PRESENCE_BYTES = 320  # of somebody who is anywhere, in each gateway (the same)
COMMAND = 210.0  # RabbitMQ's µs for a command that has an AMQP message to itself (bench/README.md, What helped)
GATEWAY_BYTES = 128 * 2**20  # of a gateway after the bench, without sockets (bench/README.md, memory)


class MissingFigure(Exception):
    """A report lacks a figure that the model needs."""


@dataclass(frozen=True)
class Stage:
    """CPU µs of one kind of process for a message whose batch is long, and what a batch of its own adds."""

    message: float
    batch: float

    def each(self, length: float) -> float:
        """For a message in a batch of so many."""
        return self.message + self.batch / length


@dataclass(frozen=True)
class Costs:
    """CPU in µs, sizes in bytes.

    Attributes:
        stages: of a message, by kind of process; that of gateways is the sender's, without frames.
        frame: a frame to a socket that gets no other in the same turn.
        together: a frame of several that leave in one write.
        event, notice, typing: a gateway's for an item that concerns nobody on it.
        typing_broker: RabbitMQ's for an item of typing, to two gateways, with the rounds of one that is busy.
        member: of each who is to be told of a message and is not connected, by kind; of each gateway.
        change: a reaction, by kind. Marks of reading go the same way.
        delivery: RabbitMQ's for one queue more that an AMQP message goes to.
        stream: events a second that one queue and one stream took together.
        connect: a gateway's, authenticated and joined.
        socket: memory of an idle one.
        stored, indexed: a message as it is, and in all indexes.
        turn: seconds that messages gather in while a batch is stored.
        busy: messages a second at which a message with a long batch was measured.
        several: by how much a message costs more where several persisters share them.
    """

    stages: Mapping[str, Stage]
    frame: float
    together: float
    event: float
    notice: float
    typing: float
    typing_broker: float
    member: Mapping[str, float]
    change: Mapping[str, float]
    delivery: float
    stream: float
    connect: float
    socket: float
    stored: float
    indexed: float
    turn: float
    busy: float
    several: float


def read(file: Path = REPORT) -> dict[str, float]:
    """The figures of a report."""
    return {name: entry["value"] for name, entry in json.loads(file.read_text(encoding="utf-8")).items()}


def from_figures(figures: Mapping[str, float]) -> Costs:
    """The costs that these figures mean.

    Raises:
        MissingFigure: naming it.
    """

    def figure(name: str) -> float:
        try:
            return figures[name]
        except KeyError:
            raise MissingFigure(f"no figure {name!r}: run make bench with --report") from None

    trickle = figure(f"room of {CROWDED}: gateway CPU µs a frame, at a trickle")
    together = figure(f"room of {CROWDED}: gateway CPU µs a frame, flat out")
    length = figure(f"messages a batch, one persister, {CALM:,.0f}/s")
    # A frame at a trickle bears its part of its message, which comes alone; and a message of a calm system bears the
    # frames of its room. Both equations together:
    sent = figure("gateway: CPU µs a message, 8 in flight") - ROOM * together
    calm = figure(f"gateway: CPU µs a message, one persister, {CALM:,.0f}/s")
    frame = (trickle - (sent + (calm - sent) * length) / CROWDED) / (1 - CALM_ROOM * length / CROWDED)
    frame = max(frame, together)
    event = figure("gateway CPU µs a message elsewhere, rooms of 1")

    def stage(kind: str) -> Stage:
        busy = figure(f"{kind}: CPU µs a message, 8 in flight")
        calm = figure(f"{kind}: CPU µs a message, one persister, {CALM:,.0f}/s")
        if kind == "gateway":
            busy, calm = busy - ROOM * together, calm - CALM_ROOM * frame
        return Stage(busy, max(0.0, calm - busy) * length)

    def slope(kind: str) -> float:
        many, few = (figure(f"channel of {members:,}: {kind}'s CPU µs a message") for members in (MANY, FEW))
        return max(0.0, many - few) / (MANY - FEW) / (GATEWAYS if kind == "gateway" else 1)

    return Costs(
        stages={kind: stage(kind) for kind in KINDS},
        frame=frame,
        together=together,
        event=event,
        notice=max(0.0, figure("gateway CPU µs a message elsewhere, rooms of 2") - event),
        typing=figure("gateway: CPU µs an item of typing elsewhere"),
        typing_broker=figure("rabbitmq: CPU µs an item of typing elsewhere"),
        member={kind: slope(kind) for kind in KINDS},
        change={kind: figure(f"1,000 reactions on one message: {kind}'s CPU µs each") for kind in KINDS},
        delivery=max(0.0, figure("floor: AMQP delivery to one more queue of a fan-out, broker's CPU µs")),
        stream=figure("floor: AMQP messages/s, 100 in flight"),
        connect=figure("gateway: CPU µs a connect (authenticated and joined)"),
        socket=figure("KiB an idle socket") * 1024,
        stored=figure("a stored message: bytes as it is"),
        indexed=figure("a stored message: bytes in indexes"),
        turn=figure(f"messages a batch, one persister, {BUSY:,.0f}/s") / BUSY,
        busy=figure("acked/s, 8 in flight"),
        several=max(1.0, figure("2 persisters to what their batches explain: ratio")),
    )

"""The tables of docs/scale.md, as Markdown. Numbers have two digits that mean something: the model has no more."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import ceil, floor, inf, log10

from bench.report import Table, markdown
from bench.scale import costs as measured
from bench.scale import model, sizes
from bench.scale.costs import CALM_ROOM, FEW, KINDS, MANY, ROOM, Costs
from bench.scale.model import AS_IT_IS, Machines, Outcome, Setup, evaluate, limits
from bench.scale.people import Life, spread

SIZES = (1e4, 1e5, 1e6, 1e7, 1e8)
CHANNELS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CELL = 1e6  # people of one
CONVERSATIONS = 20  # of somebody who is connected, and of nobody else on the same gateway
DIVIDED = {  # what is divided by which of the two
    "shards": (model.DATABASE_CPU, model.DATABASE_CACHE, model.DATABASE_DISK),
    "clusters": (model.BROKER_CPU, model.BROKER_LINE, model.STREAM),
}
EVERYTHING = Setup("all switches", addressed=True, watched=True)
# One by one, each with those before it, in the order in which they are wanted.
SHARDS = Setup("64 shards", shards=64)
CLUSTERS = replace(SHARDS, name="16 clusters", clusters=16)
ADDRESSED = replace(CLUSTERS, name="addressed fan-out", addressed=True)
WATCHED = replace(ADDRESSED, name="presence where it is watched", watched=True)
STEPS = (AS_IT_IS, SHARDS, CLUSTERS, ADDRESSED, WATCHED, replace(WATCHED, name="ten cells", cells=10))


def tables(costs: Costs, figures: Mapping[str, float], life: Life | None = None) -> dict[str, Table]:
    """All, by the name under which docs/scale.md has them."""
    life = life or Life()
    return {
        "one": one_of_each(costs),
        "as-it-is": by_size(costs, life, SIZES, lambda people: AS_IT_IS),
        "limits": first_full(costs, life),
        "steps": steps(costs, life),
        "switched": by_size(costs, life, SIZES, lambda people: enough(people, costs, life, EVERYTHING)),
        "cells": by_size(costs, life, SIZES[2:], lambda people: in_cells(people, costs, life)),
        "channels": channels(costs),
        "cut": cut_by_partition(),
        "doubt": doubt(costs, life),
        "checked": checked(costs, figures),
        "costs": of_costs(costs),
    }


def printed(tables: Mapping[str, Table]) -> dict[str, str]:
    """As they stand in the document: without their titles, which are there as prose."""
    return {name: markdown(table).partition("\n\n")[2] for name, table in tables.items()}


def rough(value: float) -> str:
    """Two digits: 1,700,000 is 1.7 M, 0.0123 is 0.012."""
    if value in (0, inf):
        return "0" if value == 0 else "none suffices"
    digits = floor(log10(abs(value)))
    value = round(value, 1 - digits)
    for unit, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= unit:
            scale = 1e3 if unit == 1e4 else unit
            return f"{value / scale:,.{max(0, 1 - floor(log10(abs(value) / scale)))}f}{name}"
    return f"{value:,.{max(0, 1 - floor(log10(abs(value))))}f}"


def whole(value: float) -> str:
    """A number of processes."""
    return rough(value) if value == inf or value >= 100 else str(ceil(value - 1e-6))


# ------------------------------------------------------------------------------------------------------ one of each


def one_of_each(costs: Costs) -> Table:
    """What one process or node takes before it is full, from its cost alone."""
    machines = Machines()
    full = machines.full / model.US
    long = 1 / costs.turn  # batches a second of a busy persister
    persister = (full - long * costs.stages["persister"].batch) / costs.stages["persister"].message
    notifier = (full - long * costs.stages["notifier"].batch) / costs.stages["notifier"].message
    room = machines.gateway_bytes - measured.GATEWAY_BYTES
    broker, database = machines.broker_cores, machines.database_cores
    found: dict[str, list[tuple[str, float]]] = {
        "gateway": [
            ("idle sockets in 2 GiB", room / costs.socket),
            ("frames/s, each alone", full / costs.frame),
            ("frames/s, several in a write", full / costs.together),
            ("messages/s of its own people, without frames", full / costs.stages["gateway"].message),
            ("messages/s of everybody, if it only passed them over", full / (costs.event + costs.notice)),
            ("beginnings and ends of typing/s, likewise", full / costs.typing),
            ("connects/s", full / costs.connect),
        ],
        "persister": [("messages/s", persister)],
        "notifier": [
            ("messages/s in small conversations", notifier),
            (f"messages/s into channels of {MANY:,}", full / (MANY * costs.member["notifier"])),
        ],
        f"RabbitMQ node, {broker} cores": [
            ("events/s, one quorum queue and one stream", costs.stream * machines.full),
            ("AMQP messages/s to gateways' queues", broker * full / costs.delivery),
        ],
        f"MongoDB shard, {database} cores": [
            ("messages/s in small conversations", database * full / costs.stages["mongodb"].message),
            ("messages in 1 TB of disk, not compressed", 1e12 / (costs.stored + costs.indexed)),
            ("messages whose indexes fill 128 GB of cache", machines.cache / costs.indexed),
        ],
    }
    rows: list[tuple[str, ...]] = [(who, what, rough(at)) for who, some in found.items() for what, at in some]
    return Table("What one of each carries", ("one", "what", "full at"), rows)


# ---------------------------------------------------------------------------------------------------------- by size


def by_size(costs: Costs, life: Life, sizes: tuple[float, ...], chosen: Callable[[float], Setup]) -> Table:
    """What it takes at these numbers of people."""
    setups = [chosen(people) for people in sizes]
    outcomes = [evaluate(people, costs, life, setup) for people, setup in zip(sizes, setups, strict=True)]
    lines: list[tuple[str, Callable[[Outcome, Setup], str]]] = [
        ("messages/s, at the busiest moment", lambda o, s: rough(o.messages)),
        ("sockets", lambda o, s: rough(life.sockets(o.people))),
        ("frames/s to sockets", lambda o, s: rough(o.frames)),
        ("gateways", lambda o, s: whole(o.gateways)),
        ("… as many because of", lambda o, s: o.bound if o.gateways < inf else "reading"),
        ("share of all that is told which a gateway gets", lambda o, s: rough(o.heard)),
        ("persisters, notifiers", lambda o, s: f"{whole(o.persisters)}, {whole(o.notifiers)}"),
        ("cells; clusters of RabbitMQ, shards in each", lambda o, s: f"{s.cells}; {s.clusters}, {s.shards}"),
        ("AMQP messages/s to gateways' queues", lambda o, s: rough(o.deliveries)),
        ("MB/s out of one node of RabbitMQ", lambda o, s: rough(o.node_bytes / 1e6)),
        ("writes/s to one shard", lambda o, s: rough(o.writes)),
        ("GB a year, one copy", lambda o, s: rough(o.year / 1e9)),
        *(
            (f"cores: {kind}", lambda o, s, kind=kind: "-" if o.gateways == inf else rough(o.cores[kind]))
            for kind in KINDS
        ),
        ("cores for 1,000 people", lambda o, s: "-" if o.gateways == inf else rough(o.all_cores / o.people * 1000)),
        ("GB a year for 1,000 people, three copies", lambda o, s: rough(o.year * 3 / 1e9 / o.people * 1000)),
        ("used up", lambda o, s: "; ".join(name for name, part in o.used.items() if part > 1) or "nothing"),
    ]
    rows = [(name, *(show(o, s) for o, s in zip(outcomes, setups, strict=True))) for name, show in lines]
    return Table("By people", ("people", *(rough(people) for people in sizes)), rows)


def enough(people: float, costs: Costs, life: Life, setup: Setup) -> Setup:
    """As many shards and clusters as these people take."""
    used = evaluate(people, costs, life, setup).used
    needed = {name: max(1, ceil(max(used[resource] for resource in of))) for name, of in DIVIDED.items()}
    return replace(setup, shards=needed["shards"], clusters=needed["clusters"])


def in_cells(people: float, costs: Costs, life: Life) -> Setup:
    """Cells of a million, with nothing switched but as many shards and clusters as that takes."""
    cells = max(1, ceil(people / CELL))
    return enough(people, costs, life, Setup("cells", cells=cells))


# ----------------------------------------------------------------------------------------------- what is full first


def first_full(costs: Costs, life: Life) -> Table:
    """As it is: at how many people each resource is used up."""
    rows: list[tuple[str, ...]] = [
        (resource, _people(people), "-" if people == inf else rough(life.messages(people)))
        for resource, people in limits(costs, life).items()
    ]
    return Table("What is full first", ("resource", "people", "messages/s"), rows)


def steps(costs: Costs, life: Life) -> Table:
    """Each switch with those before it: until when nothing is used up, and what is then."""
    rows: list[tuple[str, ...]] = []
    for number, setup in enumerate(STEPS):
        resource, people = next(iter(limits(costs, life, setup).items()))
        at = evaluate(1e6, costs, life, setup)
        each = "-" if at.gateways == inf else rough(at.all_cores / 1000)
        rows.append((f"{'+ ' if number else ''}{setup.name}", _people(people), resource, rough(at.heard), each))
    columns = ("switch", "enough for", "then full", "a gateway gets", "cores for 1,000 of a million")
    return Table("One switch after the other", columns, rows)


def doubt(costs: Costs, life: Life) -> Table:
    """How the first limits move when an assumption is wrong by two, or all CPU is."""
    crowds = tuple(replace(k, share=k.share * 5) if k.name == "a crowd" else k for k in life.kinds)
    doubled = {kind: measured.Stage(s.message * 2, s.batch * 2) for kind, s in costs.stages.items()}
    cases: list[tuple[str, Costs, Life]] = [
        ("as assumed", costs, life),
        ("half the messages", costs, replace(life, a_day=life.a_day / 2)),
        ("twice the messages", costs, replace(life, a_day=life.a_day * 2)),
        ("twice as many connected", costs, replace(life, connected=life.connected * 2)),
        ("no typing", costs, replace(life, typing=0.0)),
        ("twice the marks of reading", costs, replace(life, marks=life.marks * 2)),
        ("five times as much said in crowds", costs, replace(life, kinds=crowds)),
        ("indexes four times as large", replace(costs, indexed=costs.indexed * 4), life),
        ("twice the CPU a message, everywhere", replace(costs, stages=doubled), life),
    ]
    watched = (model.DATABASE_CACHE, model.STREAM, model.BROKER_CPU, model.BROKER_LINE, model.READING)
    rows: list[tuple[str, ...]] = []
    for name, these, lives in cases:
        found = limits(these, lives)
        rows.append((name, *(_people(found[resource]) for resource in watched)))
    return Table("If an assumption is wrong", ("assumption", *watched), rows)


def _people(people: float) -> str:
    return f"above {rough(model.MOST_PEOPLE)}" if people == inf else rough(people)


# ------------------------------------------------------------------------------------------- what does not multiply


def channels(costs: Costs) -> Table:
    """What one message costs by the members of its conversation, of whom nobody is connected."""
    full = Machines().full / model.US
    rows: list[tuple[str, ...]] = []
    for members in CHANNELS:
        notices = ceil(members / 500)
        notifier = costs.stages["notifier"].message + members * costs.member["notifier"]
        reading = costs.event + notices * costs.notice + members * costs.member["gateway"]
        told = sizes.CREATED + notices * sizes.NOTICE + members * sizes.TOLD
        rows.append(
            (
                f"{members:,}",
                rough(notifier / 1000),
                rough(members * costs.member["mongodb"] / 1000),
                rough(reading / 1000),
                rough(told / 1000),
                rough(full / notifier),
                rough(full / reading),
            )
        )
    columns = (
        "members",
        "notifier, ms",
        "MongoDB, ms",
        "each gateway, ms",
        "to each gateway, kB",
        "messages/s that fill a notifier",
        "that fill every gateway",
    )
    return Table("One message", columns, rows)


def cut_by_partition() -> Table:
    """Which share of all messages a gateway gets that binds only the partitions of its people's conversations."""
    parts = (16, 100, 1_024, 65_536)
    rows: list[tuple[str, ...]] = [
        (f"{people:,}", *(f"{spread(people * CONVERSATIONS, part) / part:.1%}" for part in parts))
        for people in (10, 100, 1_000, 10_000)
    ]
    return Table("A fan-out that is cut by partition", ("people on a gateway", *(f"{p:,} parts" for p in parts)), rows)


# ------------------------------------------------------------------------------------------------------ whether it is so


def checked(costs: Costs, figures: Mapping[str, float]) -> Table:
    """What the model says beside what was measured and not used for it."""
    rows: list[tuple[str, ...]] = [
        (what, rough(said), rough(figures[name]), f"{said / figures[name] - 1:+.0%}")
        for what, name, said in predictions(costs, figures)
        if name in figures
    ]
    return Table("The model beside what was measured", ("what, µs", "model", "measured", "off by"), rows)


def predictions(costs: Costs, figures: Mapping[str, float]) -> Iterator[tuple[str, str, float]]:
    """(what, figure, what the model says) of each measurement that no cost is taken from."""
    stages = costs.stages
    length = figures.get("messages a batch, one persister, 1,000/s", costs.turn * measured.BUSY)
    for kind in KINDS:
        frames = CALM_ROOM * costs.frame if kind == "gateway" else 0.0
        name = f"{kind}: CPU µs a message, one persister, 1,000/s"
        yield f"32 rooms of 4, 1,000 messages/s: {kind}", name, stages[kind].each(length) + frames
    slow = max(1.0, figures.get("acked/s, 1 in flight", 0.0) * costs.turn)
    for kind in KINDS:
        frames = ROOM * costs.frame if kind == "gateway" else 0.0
        name = f"{kind}: CPU µs a message, 1 in flight"
        yield f"10 rooms of 10, 1 in flight each: {kind}", name, stages[kind].each(slow) + frames
    own = sum(stages[kind].message for kind in ("gateway", "persister", "notifier"))
    yield "200 conversations without anybody: ours", "our CPU µs a message, 200 conversations", own
    idle = figures.get("gateway CPU ms a second while nothing happens", 0.0) * 1000 * measured.GATEWAYS / 20
    alone = stages["gateway"].each(1) + FEW * costs.frame + idle
    yield f"channel of {FEW}, 20 messages/s: gateways", f"channel of {FEW}: gateway's CPU µs a message", alone
    for kind in ("gateway", "notifier", "mongodb"):
        few = figures.get(f"channel of {FEW}: {kind}'s CPU µs a message", 0.0)
        each = costs.member[kind] * (measured.GATEWAYS if kind == "gateway" else 1)
        yield f"channel of 3,000: {kind}", f"channel of 3,000: {kind}'s CPU µs a message", few + (3000 - FEW) * each
    trickle = costs.frame + stages["gateway"].each(1) / 100
    yield "room of 100, a frame at a trickle", "room of 100: gateway CPU µs a frame, at a trickle", trickle
    yield "room of 100, a frame flat out", "room of 100: gateway CPU µs a frame, flat out", costs.together
    yield "500 who type: a frame", "500 who type: gateways' CPU µs a frame", costs.together


def of_costs(costs: Costs) -> Table:
    """Every cost that the model has."""
    rows: list[tuple[str, ...]] = [
        *(
            (
                f"a message: {kind}",
                f"{rough(stage.message)} µs, and {rough(stage.batch)} µs a batch",
                "`throughput`, `persisters`",
            )
            for kind, stage in costs.stages.items()
        ),
        ("a frame, alone / with others", f"{rough(costs.frame)} / {rough(costs.together)} µs", "`fanout`"),
        ("a message elsewhere, its notification", f"{rough(costs.event)}, {rough(costs.notice)} µs", "`elsewhere`"),
        (
            "typing elsewhere: a gateway, RabbitMQ",
            f"{rough(costs.typing)}, {rough(costs.typing_broker)} µs",
            "`elsewhere`",
        ),
        (
            "a member who is not connected: each gateway, notifier, MongoDB",
            f"{rough(costs.member['gateway'])}, {rough(costs.member['notifier'])}, {rough(costs.member['mongodb'])} µs",
            "`crowd`",
        ),
        (
            "a reaction; a mark of reading is taken for the same",
            ", ".join(f"{kind} {rough(cost)}" for kind, cost in costs.change.items()) + " µs",
            "`crowd`",
        ),
        ("one more queue of a fan-out: RabbitMQ", f"{rough(costs.delivery)} µs", "`floor`"),
        ("events/s into a quorum queue and a stream", rough(costs.stream), "`floor`"),
        ("a connect; memory of a socket", f"{rough(costs.connect)} µs; {rough(costs.socket / 1024)} KiB", "`idle`"),
        ("a stored message; in indexes", f"{rough(costs.stored)}; {rough(costs.indexed)} bytes", "`growth`"),
        ("messages gather for", f"{rough(costs.turn * 1000)} ms", "`persisters`"),
        ("several persisters take", f"{costs.several:.2f} times the CPU", "`persisters`"),
        (
            "a name of presence; somebody's, in memory",
            f"{measured.PRESENCE_NAME} µs; {measured.PRESENCE_BYTES} bytes",
            "decision 9",
        ),
        ("a command alone in its AMQP message: RabbitMQ", f"{measured.COMMAND:.0f} µs", "bench/README.md"),
        (
            "bytes: command, event, item of a message, of typing, each who is told",
            f"{sizes.COMMAND}, {sizes.EVENT}, {sizes.CREATED}, {sizes.TYPING}, {sizes.TOLD:.0f}",
            "`contracts`",
        ),
    ]
    return Table("What the model multiplies", ("what", "cost", "measured by"), rows)

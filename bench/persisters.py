"""What a second persister costs: CPU a message of every process with one and with two, under the same load.

Two share the messages, in shorter batches, and a batch has a price of its own. One persister at two loads tells what a
message and what a batch cost; from these follows what two should take, and anything above is what the second adds.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.load import fixed_rate, idling, measure
from bench.palabre import SETTINGS, folder
from bench.report import Result, Table, number
from bench.room import Room, empty, fill, settle
from bench.target import BenchError, Target
from deploy.local.process import free_port
from deploy.local.supervisor import Service

RATE = 1000.0  # messages a second
ROOMS, MEMBERS, SENDERS = 32, 4, 2  # enough rooms for every persister to have some
APART = 0.2  # by which part the batches of two loads must differ to tell what one costs
SPREAD = 30.0  # seconds for two persisters to agree who has what
FIRST, SECOND = "persister-1", "persister-2"
KINDS = ("persister", "gateway", "notifier", "rabbitmq", "mongodb")


@dataclass(frozen=True)
class Handled:
    """What one persister has done since it started."""

    messages: float = 0.0
    batches: float = 0.0

    def since(self, before: "Handled") -> "Handled":
        """The difference."""
        return Handled(self.messages - before.messages, self.batches - before.batches)

    @property
    def length(self) -> float:
        """Messages of a batch, in the mean."""
        return self.messages / self.batches if self.batches else 0.0


@dataclass(frozen=True)
class Cost:
    """CPU µs a message of each kind of process, and the batches for one message that it was at."""

    batches: float
    each: list[float]


async def persisters(target: Target, seconds: float) -> Result:
    """One at half of the load, one at the load, two at the load; the second is started for it, and stopped."""
    result = Result(f"Persisters: {ROOMS} rooms of {MEMBERS}, {RATE:,.0f} messages/s, with one and with two")
    if SECOND in target.pids or FIRST not in target.services or None in (target.amqp, target.mongodb):
        result.rows = [("CPU a message", "unknown: it takes one persister on this machine")]
        return result
    columns = ("persisters", "messages/s", "messages a batch", *(f"{kind}, µs" for kind in KINDS))
    table = Table("CPU a message above idling", columns, [])
    result.tables = [table]
    await _spread(target, result)
    half = await _measure(target, "one", RATE / 2, seconds, result, table)
    one = await _measure(target, "one", RATE, seconds, result, table)
    async with _second(target) as both:
        await _spread(both, result)
        two = await _measure(both, "two", RATE, seconds, result, table)
    for name, cost in (("1 persister", one), ("2 persisters", two)):
        result.figures[f"persister: CPU µs a message, {name}"] = cost.each[0]
    if expected := explained(half, one, two.batches):
        table.rows.append(("two, as their batches explain", "", "", *(number(value) for value in expected)))
        result.figures["2 persisters to what their batches explain: ratio"] = two.each[0] / expected[0]
    return result


def explained(one: Cost, other: Cost, batches: float) -> list[float] | None:
    """What so many batches a message should cost, on the line through the two; None when those are too close."""
    step = one.batches - other.batches
    if abs(step) < APART * other.batches:
        return None
    part = (batches - other.batches) / step
    return [last + part * (first - last) for first, last in zip(one.each, other.each, strict=True)]


async def _measure(target: Target, name: str, rate: float, seconds: float, result: Result, table: Table) -> Cost:
    """Adds to the result and a row for all persisters together, and one for each."""
    rooms = await _rooms(target)
    part = Result("")
    try:
        idle = await idling(target)
        before = await _handled(target)
        senders = [room.members[n] for n in range(SENDERS) for room in rooms]
        await measure(target, part, rooms, lambda: fixed_rate(senders, rate, seconds))
        after = await _handled(target)
    finally:
        empty(rooms)
    done = {process: after[process].since(before[process]) for process in after}
    result.faults += part.faults
    result.messages, result.cpu = part.messages, part.cpu  # those of the last are shown
    total = Handled(sum(each.messages for each in done.values()), sum(each.batches for each in done.values()))
    if total.messages != part.messages:
        result.faults.append(f"{total.messages:,.0f} commands were handled for {part.messages:,} messages")
    costs = [part.cpu_above(idle, kind) * 1e6 / max(part.messages, 1) for kind in KINDS]
    load = f"{name} persister, {rate:,.0f}/s" if len(done) == 1 else f"{name} persisters, {rate:,.0f}/s"
    result.figures[f"messages a batch, {load}"] = total.length
    result.figures |= {f"{kind}: CPU µs a message, {load}": cost for kind, cost in zip(KINDS, costs, strict=True)}
    table.rows.append((name, f"{rate:,.0f}", f"{total.length:,.1f}", *(number(cost) for cost in costs)))
    for process, each in done.items() if len(done) > 1 else ():
        if not each.messages:
            result.faults.append(f"{process} had no message")
        own = part.cpu_above(idle, process) * 1e6 / max(each.messages, 1)
        share = each.messages / total.messages * rate
        rest = ("",) * (len(KINDS) - 1)
        table.rows.append((process, f"{share:,.0f}", f"{each.length:,.1f}", number(own), *rest))
    return Cost(total.batches / max(total.messages, 1), costs)


async def _rooms(target: Target) -> list[Room]:
    people = await target.people(ROOMS * MEMBERS)
    return [await fill(target, f"bench {n}", people[n * MEMBERS : (n + 1) * MEMBERS]) for n in range(ROOMS)]


async def _spread(target: Target, result: Result) -> None:
    """Until each persister has some of the messages, and the same share of them twice."""
    deadline = time.perf_counter() + SPREAD
    rooms = await _rooms(target)
    last: dict[str, float] = {}
    try:
        while True:
            before = await _handled(target)
            for room in rooms:
                room.members[0].send()
            await settle(rooms)
            after = await _handled(target)
            share = {process: after[process].since(before[process]).messages for process in after}
            if share == last and all(share.values()):
                break
            if time.perf_counter() > deadline:
                raise BenchError(f"The partitions did not spread over {', '.join(share)} within {SPREAD:.0f} s.")
            last = share
    finally:
        empty(rooms)
    result.faults += [fault for room in rooms for fault in room.check()]


@asynccontextmanager
async def _second(target: Target) -> AsyncIterator[Target]:
    """The same system with one persister more."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        **SETTINGS,
        "HTTP_PORT": str(port),
        "AMQP_URL": target.amqp or "",
        "MONGODB_URL": target.mongodb or "",
    }
    service = Service(SECOND, "services.persister", url, settings, folder() / "second")
    await service.start()
    try:
        assert service.pid is not None
        yield target.joined_by(SECOND, service.pid, url)
    finally:
        await service.stop()


async def _handled(target: Target) -> dict[str, Handled]:
    """What each persister says of itself."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        return {
            name: read((await client.get(f"{url}/metrics")).text)
            for name, url in target.services.items()
            if name.startswith("persister")
        }


def read(metrics: str) -> Handled:
    """What a persister's metrics say of messages."""
    samples: Mapping[str, float] = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.labels in ({}, {"type": "message.send"})
    }
    return Handled(
        samples.get("palabre_persister_commands_total", 0.0), samples.get("palabre_persister_batch_commands_count", 0.0)
    )

"""The four measurements. Each makes its own rooms, is bounded in time, and returns rows for the report."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.processes import CpuMeter, resident_bytes
from bench.room import Member, Room, empty, fill, refuse_limits, settle
from bench.target import AT_ONCE, Person, Target
from bench.wire import Frame, Wire

ROOMS, MEMBERS, SENDERS = 10, 10, 2  # senders of each room
MOST_MESSAGES = 1_000_000  # of one measurement, whatever the seconds


@dataclass
class Result:
    """Rows of (what, value), CPU seconds by process, and what was violated."""

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    messages: int = 0
    faults: list[str] = field(default_factory=list)


async def throughput(target: Target, seconds: float, in_flight: int) -> Result:
    """As many messages as are stored with so many on the way per sender."""
    result = Result(f"Throughput: {ROOMS} rooms of {MEMBERS}, {ROOMS * SENDERS} senders, {in_flight} in flight each")
    rooms = await _rooms(target)
    try:
        elapsed = await _measure(target, result, rooms, lambda: _closed_loop(rooms, SENDERS, in_flight, seconds))
    finally:
        empty(rooms)
    deliveries = sum(len(room.to_delivered) for room in rooms)
    result.rows += [
        ("messages stored", f"{result.messages:,}"),
        ("stored /s", f"{result.messages / elapsed:,.0f}"),
        ("delivered /s", f"{deliveries / elapsed:,.0f}"),
        *_latencies("send → sent", [delay for room in rooms for delay in room.to_sent]),
    ]
    return result


async def latency(target: Target, seconds: float, rate: float) -> Result:
    """How long a message takes at a rate that the system is at ease with."""
    result = Result(f"Latency at {rate:g} messages/s in {ROOMS} rooms of {MEMBERS}")
    rooms = await _rooms(target)
    senders = [member for n in range(SENDERS) for room in rooms for member in [room.members[n]]]
    try:
        await _measure(target, result, rooms, lambda: _fixed_rate(senders, rate, seconds))
    finally:
        empty(rooms)
    result.rows += [
        *_latencies("send → sent", [delay for room in rooms for delay in room.to_sent]),
        *_latencies("send → delivered", [delay for room in rooms for delay in room.to_delivered]),
    ]
    return result


async def fanout(target: Target, seconds: float, members: int, rate: float) -> Result:
    """One large room: first at a fixed rate for the latency, then as fast as it goes."""
    result = Result(f"Fan-out: one room of {members}, {rate:g} messages/s, then 10 in flight")
    people = await target.people(members)
    calm = await fill(target, "bench fan-out", people)
    try:
        await _measure(target, Result(""), [calm], lambda: _fixed_rate(calm.members[:1], rate, seconds / 2))
    finally:
        empty([calm])
    busy = await fill(target, "bench fan-out", people)
    try:
        elapsed = await _measure(target, result, [busy], lambda: _closed_loop([busy], 1, 10, seconds / 2))
    finally:
        empty([busy])
    result.faults = calm.faults + busy.faults
    result.rows += [
        *_latencies("send → delivered", calm.to_delivered),
        *_latencies(f"send → the last of {members}", list(calm.last_delivery.values())),
        ("stored /s, 10 in flight", f"{result.messages / elapsed:,.0f}"),
        ("delivered /s, 10 in flight", f"{len(busy.to_delivered) / elapsed:,.0f}"),
    ]
    return result


async def idle(target: Target, sockets: int) -> Result:
    """What an authenticated connection that does nothing costs a gateway."""
    result = Result(f"Memory: {sockets} idle connections")
    people = await target.people(min(sockets, 100))
    before = _resident(target)
    wires = await _connect_idle(target, people, sockets, result.faults)
    try:
        await asyncio.sleep(2)  # for what is allocated just after
        after = _resident(target)
    finally:
        for wire in wires:
            wire.close()
    if before and after:
        result.rows = [
            ("gateways before", f"{before / 2**20:,.1f} MiB"),
            ("gateways after", f"{after / 2**20:,.1f} MiB"),
            ("per connection", f"{(after - before) / sockets / 1024:,.1f} KiB"),
        ]
    else:
        result.rows = [("per connection", "unknown: the gateways are not processes of this machine")]
    return result


# ------------------------------------------------------------------------------------------------------- load


async def _closed_loop(rooms: list[Room], senders: int, in_flight: int, seconds: float) -> None:
    """Each sender sends again as soon as one of its messages is answered, until the time is over."""
    deadline = time.perf_counter() + seconds
    each = MOST_MESSAGES // len(rooms)

    def keep_going(room: Room, member: Member) -> Callable[[Frame], None]:
        def answered(frame: Frame) -> None:
            # An error ends its slot: a loop of refusals would measure nothing.
            if frame["type"] == "message_sent" and time.perf_counter() < deadline and len(room.sent_at) < each:
                member.send()

        return answered

    for room in rooms:
        for member in room.members[:senders]:
            member.answered = keep_going(room, member)
            for _ in range(in_flight):
                member.send()
    while time.perf_counter() < deadline and any(room.unanswered for room in rooms):
        await asyncio.sleep(0.05)
        refuse_limits(rooms)


async def _fixed_rate(senders: list[Member], rate: float, seconds: float) -> None:
    """Delays count from when a message was due, so that waiting to send is not left out of the measure."""
    start = time.perf_counter()
    for number in range(min(int(rate * seconds), MOST_MESSAGES)):
        due = start + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        senders[number % len(senders)].send(due)


async def _measure(target: Target, result: Result, rooms: list[Room], load: Callable[[], Awaitable[None]]) -> float:
    """Apply the load, wait until all has arrived, check it; returns the seconds until the last answer."""
    meter = CpuMeter(target.pids)
    meter.start()
    start = time.perf_counter()
    await load()
    await settle(rooms)
    result.cpu = meter.stop()
    refuse_limits(rooms)
    result.messages = sum(len(room.acknowledged) for room in rooms)
    result.faults = [fault for room in rooms for fault in room.check()]
    return max(max(room.last_answer for room in rooms) - start, 0.001)


async def _rooms(target: Target) -> list[Room]:
    people = await target.people(ROOMS * MEMBERS)
    return [await fill(target, f"bench {n}", people[n * MEMBERS : (n + 1) * MEMBERS]) for n in range(ROOMS)]


async def _connect_idle(target: Target, people: list[Person], sockets: int, faults: list[str]) -> list[Wire]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(number: int, url: str) -> Wire:
        authenticated: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "authenticated":
                authenticated.set_result(None)

        wire = Wire(on_frame, lambda why: faults.append(f"an idle connection ended: {why}"))
        async with gate, asyncio.timeout(30):
            await wire.connect(url)
            wire.send({"type": "authenticate", "token": people[number % len(people)].token})
            await authenticated
        return wire

    urls = target.sockets()
    return list(await asyncio.gather(*(connect(number, next(urls)) for number in range(sockets))))


def _resident(target: Target) -> int:
    return sum(resident_bytes(pid) or 0 for pid in target.gateway_pids)


def _latencies(name: str, delays: list[float]) -> list[tuple[str, str]]:
    if not delays:
        return [(name, "no message")]
    ordered = sorted(delays)
    at = (ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000 for part in (0.5, 0.9, 0.99))
    return [(f"{name}, p50 / p90 / p99", " / ".join(f"{value:,.1f}" for value in at) + " ms")]

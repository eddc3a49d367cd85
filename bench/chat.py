"""People who talk: throughput, latency, and one large room."""

import asyncio
import time

from bench.load import closed_loop, fixed_rate, idling, measure
from bench.report import PROCESSES, Result, latencies, percentile
from bench.room import Room, empty, fill
from bench.target import FRONT, BenchError, Target

ROOMS, MEMBERS, SENDERS = 10, 10, 2  # senders of each room
TYPED = 400.0  # times a second that somebody begins or stops to type: as on a gateway that is busy
TYPISTS = 200


async def throughput(target: Target, seconds: float, in_flight: int) -> Result:
    """As many messages as are stored with so many on the way per sender."""
    result = Result(f"Throughput: {ROOMS} rooms of {MEMBERS}, {ROOMS * SENDERS} senders, {in_flight} in flight each")
    rooms = await _rooms(target)
    try:
        elapsed = await measure(target, result, rooms, lambda: closed_loop(rooms, SENDERS, in_flight, seconds))
    finally:
        empty(rooms)
    deliveries = sum(len(room.to_delivered) for room in rooms)
    result.rows += [
        ("messages stored", f"{result.messages:,}"),
        ("stored /s", f"{result.messages / elapsed:,.0f}"),
        ("delivered /s", f"{deliveries / elapsed:,.0f}"),
        *latencies("send → sent", [delay for room in rooms for delay in room.to_sent]),
    ]
    result.figures[f"acked/s, {in_flight} in flight"] = result.messages / elapsed
    for kinds in (*((kind,) for kind in PROCESSES), PROCESSES):
        if used := result.cpu_of(*kinds):
            name = kinds[0] if len(kinds) == 1 else "all processes"
            result.figures[f"{name}: CPU µs a message, {in_flight} in flight"] = used * 1e6 / max(result.messages, 1)
    return result


async def latency(target: Target, seconds: float, rate: float, name: str = "") -> Result:
    """How long a message takes at a rate that the system is at ease with."""
    name = name or f"at {rate:g} messages/s"
    result = Result(f"Latency {name} ({rate:,.0f}/s) in {ROOMS} rooms of {MEMBERS}")
    rooms = await _rooms(target)
    senders = [member for n in range(SENDERS) for room in rooms for member in [room.members[n]]]
    try:
        await measure(target, result, rooms, lambda: fixed_rate(senders, rate, seconds))
    finally:
        empty(rooms)
    delivered = [delay for room in rooms for delay in room.to_delivered]
    result.rows += [
        *latencies("send → sent", [delay for room in rooms for delay in room.to_sent]),
        *latencies("send → delivered", delivered),
    ]
    if delivered:
        result.figures[f"send → delivered p50, ms, {name}"] = percentile(delivered, 0.5) * 1000
        result.figures[f"send → delivered p99, ms, {name}"] = percentile(delivered, 0.99) * 1000
    return result


async def fanout(target: Target, seconds: float, members: int, rate: float) -> Result:
    """One large room: first at a fixed rate for the latency, then as fast as it goes."""
    result = Result(f"Fan-out: one room of {members}, {rate:g} messages/s, then 10 in flight")
    people = await target.people(members)
    trickle = Result("")
    calm = await fill(target, "bench fan-out", people)
    try:
        idle = await idling(target)
        await measure(target, trickle, [calm], lambda: fixed_rate(calm.members[:1], rate, seconds / 2))
    finally:
        empty([calm])
    busy = await fill(target, "bench fan-out", people)
    try:
        elapsed = await measure(target, result, [busy], lambda: closed_loop([busy], 1, 10, seconds / 2))
    finally:
        empty([busy])
    result.faults = calm.faults + busy.faults
    flat_out = len(busy.to_delivered)
    result.rows += [
        *latencies("send → delivered", calm.to_delivered),
        *latencies(f"send → the last of {members}", list(calm.last_delivery.values())),
        ("stored /s, 10 in flight", f"{result.messages / elapsed:,.0f}"),
        ("delivered /s, 10 in flight", f"{flat_out / elapsed:,.0f}"),
    ]
    result.figures[f"room of {members}: frames/s, flat out"] = flat_out / elapsed
    for phase, frames, used in (
        ("at a trickle", len(calm.to_delivered), trickle.cpu_above(idle, *FRONT)),
        ("flat out", flat_out, result.cpu_of(*FRONT)),
    ):
        if used and frames:
            result.rows.append((f"gateways' CPU a frame, {phase}", f"{used * 1e6 / frames:,.2f} µs"))
            result.figures[f"room of {members}: gateway CPU µs a frame, {phase}"] = used * 1e6 / frames
    return result


async def elsewhere(target: Target, seconds: float, members: int) -> Result:
    """What a gateway spends on the messages of rooms that have no member there. A room of one has nobody to notify."""
    result = Result(f"Elsewhere: rooms of {members} on the first gateway, and what their messages cost the second")
    second = "gateway-2"
    if len(target.urls) < 2 or second not in target.pids:
        result.rows = [("CPU a message", "unknown: it takes two gateways on this machine")]
        return result
    people = await target.people(ROOMS * members)
    first = [target.urls[0][1]]
    groups = [people[n * members : (n + 1) * members] for n in range(ROOMS)]
    rooms = [await fill(target, f"bench elsewhere {n}", group, first) for n, group in enumerate(groups)]
    try:
        idle = await idling(target)
        elapsed = await measure(target, result, rooms, lambda: closed_loop(rooms, SENDERS, 8, seconds))
    finally:
        empty(rooms)
    if second not in idle or second not in result.cpu:
        raise BenchError(f"{second} ended meanwhile.")
    each = result.cpu_above(idle, second) * 1e6 / max(result.messages, 1)
    result.rows += [
        ("stored /s", f"{result.messages / elapsed:,.0f}"),
        ("second gateway's CPU a second, before", f"{idle[second] * 1000:,.1f} ms"),
        ("second gateway's CPU a message, above that", f"{each:,.1f} µs"),
    ]
    result.figures["gateway CPU ms a second while nothing happens"] = idle[second] * 1000
    result.figures[f"gateway CPU µs a message elsewhere, rooms of {members}"] = each
    return result


async def typing_elsewhere(target: Target, seconds: float) -> Result:
    """The same of people who type: each beginning and each end is an item of its own, of which a round tells together."""
    result = Result(f"Elsewhere: {TYPED:,.0f} times a second somebody types on the first gateway, or stops")
    second = "gateway-2"
    if len(target.urls) < 2 or second not in target.pids:
        result.rows = [("CPU an item", "unknown: it takes two gateways on this machine")]
        return result
    room = await fill(target, "bench typing elsewhere", await target.people(TYPISTS), [target.urls[0][1]])

    async def load() -> None:
        start = time.perf_counter()
        for number in range(int(TYPED * seconds)):
            await asyncio.sleep(max(start + number / TYPED - time.perf_counter(), 0))
            kind = "typing_stop" if number // TYPISTS % 2 else "typing_start"
            room.members[number % TYPISTS].post({"type": kind, "conversationId": room.id})
            result.count += 1

    try:
        idle = await idling(target)
        await measure(target, result, [room], load)
    finally:
        empty([room])
    result.unit = "item"
    for kind, name in ((second, "gateway"), ("rabbitmq", "rabbitmq")):
        each = result.cpu_above(idle, kind) * 1e6 / max(result.count, 1)
        result.rows.append((f"{kind}'s CPU an item, above idling", f"{each:,.1f} µs"))
        result.figures[f"{name}: CPU µs an item of typing elsewhere"] = each
    return result


async def _rooms(target: Target) -> list[Room]:
    people = await target.people(ROOMS * MEMBERS)
    return [await fill(target, f"bench {n}", people[n * MEMBERS : (n + 1) * MEMBERS]) for n in range(ROOMS)]

"""Load on rooms: closed loops and fixed rates, bounded in time and in messages, and measured until all has arrived."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable

from bench.processes import CpuMeter
from bench.report import Result
from bench.room import Member, Room, refuse_limits, settle
from bench.target import Target
from bench.wire import Frame

MOST_MESSAGES = 1_000_000  # of one measurement, whatever the seconds
IDLING = 3.0  # seconds
SETTLING = 5.0  # seconds until what came with the connections is done: who is here is told, profiles are stored


async def closed_loop(rooms: list[Room], senders: int, in_flight: int, seconds: float) -> None:
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


async def fixed_rate(senders: list[Member], rate: float, seconds: float) -> None:
    """Delays count from when a message was due, so that waiting to send is not left out of the measure."""
    start = time.perf_counter()
    for number in range(min(int(rate * seconds), MOST_MESSAGES)):
        due = start + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        senders[number % len(senders)].send(due)


async def measure(target: Target, result: Result, rooms: list[Room], load: Callable[[], Awaitable[None]]) -> float:
    """Apply the load, wait until all has arrived, check it; returns the seconds until the last answer."""
    meter = CpuMeter(target.pids)
    gc.collect()
    gc.disable()  # while it looks at all that is kept of so many messages, nothing is sent and nothing is seen to arrive
    try:
        meter.start()
        start = time.perf_counter()
        await load()
        await settle(rooms)
        result.cpu, result.seconds = meter.stop(), time.perf_counter() - start
    finally:
        gc.enable()
    refuse_limits(rooms)
    result.messages = sum(len(room.acknowledged) for room in rooms)
    result.faults = [fault for room in rooms for fault in room.check()]
    return max(max(room.last_answer for room in rooms) - start, 0.001)


async def idling(target: Target) -> dict[str, float]:
    """CPU seconds that each process uses in a second in which nothing is sent: probes, heartbeats."""
    await asyncio.sleep(SETTLING)
    meter = CpuMeter(target.pids)
    meter.start()
    await asyncio.sleep(IDLING)
    return {name: used / IDLING for name, used in meter.stop().items()}

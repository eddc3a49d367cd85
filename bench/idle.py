"""Sockets that authenticate, join and then do nothing: how fast they come, and what each costs."""

import asyncio
import time

from bench.processes import CpuMeter, resident_bytes
from bench.report import Result
from bench.target import FRONT, Person, Target
from bench.wire import Frame, Wire

PEOPLE = 1000  # who share the sockets
ROOM = 100  # members of each room
AT_ONCE = 100  # sockets that are being opened at the same time
MEMORY = "KiB an idle socket"


async def idle(target: Target, sockets: int) -> Result:
    """Open them all, leave them alone, look at the gateways."""
    result = Result(f"Idle: {sockets} sockets authenticate, join a room and do nothing")
    people = await target.people(min(sockets, PEOPLE))
    rooms = [
        (await target.room(f"bench idle {start // ROOM}", people[start : start + ROOM]))
        for start in range(0, len(people), ROOM)
    ]
    before = _resident(target)
    meter = CpuMeter(target.pids)
    meter.start()
    start = time.perf_counter()
    wires = await _connect(target, people, rooms, sockets, result.faults)
    elapsed = time.perf_counter() - start
    result.cpu, result.unit, result.count = meter.stop(), "socket", sockets
    try:
        await asyncio.sleep(2)  # for what is allocated just after
        after = _resident(target)
    finally:
        for wire in wires:
            wire.close()
    result.rows = [(f"seconds for {sockets:,}", f"{elapsed:,.1f}"), ("connects /s", f"{sockets / elapsed:,.0f}")]
    result.figures["connects/s (authenticated and joined)"] = sockets / elapsed
    if used := result.cpu_of(*FRONT):
        result.figures["gateway: CPU µs a connect (authenticated and joined)"] = used * 1e6 / sockets
    if before and after:
        each = (after - before) / sockets / 1024
        result.rows += [
            ("gateways before", f"{before / 2**20:,.1f} MiB"),
            ("gateways after", f"{after / 2**20:,.1f} MiB"),
            ("per socket", f"{each:,.1f} KiB"),
        ]
        result.figures[MEMORY] = each
    else:
        result.rows.append(("per socket", "unknown: the gateways are not processes of this machine"))
    return result


async def _connect(
    target: Target, people: list[Person], rooms: list[str], sockets: int, faults: list[str]
) -> list[Wire]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(number: int, url: str) -> Wire:
        person = number % len(people)
        joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "authenticated":
                wire.send({"type": "join_conversation", "conversationId": rooms[person // ROOM], "limit": 1})
            elif frame["type"] == "joined_conversation":
                joined.set_result(None)
            elif frame["type"] in ("error", "auth_error") and not joined.done():
                joined.set_exception(OSError(f"{frame['code']}: {frame['error']}"))

        def on_close(why: str) -> None:
            faults.append(f"an idle socket ended: {why}")
            if not joined.done():
                joined.set_exception(OSError(why))

        wire = Wire(on_frame, on_close)
        async with gate, asyncio.timeout(30):
            await wire.connect(url)
            wire.send({"type": "authenticate", "token": people[person].token})
            await joined
        return wire

    urls = target.sockets()
    return list(await asyncio.gather(*(connect(number, next(urls)) for number in range(sockets))))


def _resident(target: Target) -> int:
    return sum(resident_bytes(pid) or 0 for pid in target.gateway_pids)

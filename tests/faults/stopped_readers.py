"""What people notice of others who do not read: their p99 with and without them, and what the gateways need for them."""

import asyncio
import itertools
import re
import statistics
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.exceptions import WebSocketException

from tests.faults.clients import intruder
from tests.faults.people import Person
from tests.faults.stage import Stage

READERS = 16  # stopped connections of the members of one room
SECONDS = 25.0
NOISE = 10.0  # milliseconds that a busy machine may add to any p99
LONG = "é" * 4000  # 8,000 bytes
TOO_SLOW = re.compile(r'palabre_gateway_closes_total\{code="4001"\}')
RATE = 60.0  # of these a second, so that what a stopped reader is owed passes its bound, and the kernel's, soon


@dataclass(frozen=True)
class Comparison:
    """Milliseconds from sending to `message_sent`, MiB of the largest gateway; `closed` were sent away (4001)."""

    before_p99: float
    beside_p99: float
    readers: int
    closed: int
    memory_before: float
    memory_most: float

    @property
    def problem(self) -> str | None:
        """What is not as promised."""
        if not self.closed:
            return "stopped readers: nobody was sent away"
        if self.beside_p99 > 1.5 * self.before_p99 + NOISE:
            return f"stopped readers: p99 {self.beside_p99:.0f} ms beside them, {self.before_p99:.0f} ms before"
        if self.memory_most - self.memory_before > 2 * self.readers:
            return f"stopped readers: a gateway grew from {self.memory_before:.0f} to {self.memory_most:.0f} MiB"
        return None


async def compare(stage: Stage) -> Comparison:
    """The same talk twice in one room: first alone, then beside those who joined and read nothing."""
    await stage.crowd.hush()
    room = stage.crowd.rooms[0]
    people = [person for person in stage.crowd.people if room in person.conversations]
    shouting = asyncio.create_task(_shout(people, room))
    try:
        await asyncio.sleep(SECONDS / 4)
        before = await _p99(people, SECONDS)
        memory = most = _memory(stage)
        closed = await _too_slow(stage)
        async with AsyncExitStack() as stack:
            readers = []
            for number in range(READERS):
                with suppress(OSError, WebSocketException):
                    person = people[number % len(people)]
                    reader = await intruder(person, stage.doors[number % len(stage.doors)], stack, replayed=False)
                    await asyncio.sleep(0.2)  # joined, or nearly
                    reader.transport.pause_reading()
                    readers.append(reader)
            measuring = asyncio.create_task(_p99(people, SECONDS))
            while not measuring.done():
                most = max(most, _memory(stage))
                await asyncio.sleep(0.2)
            closed = await _too_slow(stage) - closed
            for reader in readers:
                reader.transport.abort()
    finally:
        shouting.cancel()
        stage.crowd.talk()
    return Comparison(before, measuring.result(), len(readers), int(closed), memory, most)


async def _shout(people: list[Person], room: str) -> None:
    under_way: set[asyncio.Task[None]] = set()
    for person in itertools.cycle(people):
        task = asyncio.create_task(person.say(room, LONG))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await asyncio.sleep(1 / RATE)


async def _too_slow(stage: Stage) -> float:
    """How many connections the gateways have closed with 4001."""
    total = 0.0
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for gateway in stage.gateways:
            text = (await client.get(f"{gateway.url}/metrics")).text
            total += sum(float(line.split()[-1]) for line in text.splitlines() if TOO_SLOW.match(line))
    return total


async def _p99(people: list[Person], seconds: float) -> float:
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    delays = [took for person in people for at, took in person.delays if at >= begun]
    return 1000 * statistics.quantiles(delays, n=100)[98]


def _memory(stage: Stage) -> float:
    """MiB of the largest gateway."""
    return max(resident(gateway.pid) for gateway in stage.gateways)


def resident(pid: int) -> float:
    """MiB of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0

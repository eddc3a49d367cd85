"""Hours in minutes: people talk, small things go wrong, and no process may grow."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.performance import Performance
from tests.faults.stopped_readers import resident

SAMPLE = 5.0
BETWEEN = 20.0  # seconds from one fault to the next
# Those that end no process of ours, so that whatever grows has the time to.
SMALL = (
    "connections to RabbitMQ cut",
    "RabbitMQ slow",
    "MongoDB's primary steps down",
    "MongoDB hangs up",
    "clients lose their network",
    "clients reconnect in a loop",
    "readers stop",
    "half frames and rubbish",
    "partition queue purged",
    "poison in every queue",
)
MEMORY, DESCRIPTORS = 1.1, 1.1  # what the last third may be of the middle one, at most
SLACK_MIB, SLACK_DESCRIPTORS = 8.0, 10.0


class Samples:
    """Memory (MiB) and open file descriptors of each process over time."""

    def __init__(self) -> None:
        self.memory: dict[str, list[float]] = defaultdict(list)
        self.descriptors: dict[str, list[float]] = defaultdict(list)

    def take(self, name: str, pid: int) -> None:
        """One of each."""
        self.memory[name].append(resident(pid))
        self.descriptors[name].append(len(list(Path(f"/proc/{pid}/fd").iterdir())))

    def growth(self) -> list[str]:
        """What is higher in the last third than in the middle one; the first is for warming up."""
        found = []
        for what, samples, factor, slack in (
            ("MiB", self.memory, MEMORY, SLACK_MIB),
            ("descriptors", self.descriptors, DESCRIPTORS, SLACK_DESCRIPTORS),
        ):
            for name, values in samples.items():
                middle, last = thirds(values)
                if last > middle * factor + slack:
                    found.append(f"{name} grew from {middle:.0f} to {last:.0f} {what}")
        return found

    def rows(self) -> list[tuple[str, str, str]]:
        """Process, memory and descriptors, each in the middle and in the end."""
        return [
            (name, *("{:.0f} → {:.0f}".format(*thirds(values)) for values in (memory, self.descriptors[name])))  # type: ignore[misc]
            for name, memory in self.memory.items()
        ]


def thirds(values: list[float]) -> tuple[float, float]:
    """The medians of the middle and the last third."""
    third = max(len(values) // 3, 1)
    return statistics.median(values[third : 2 * third] or values), statistics.median(values[-third:])


async def soak(performance: Performance, seconds: float, say: Callable[[str], None]) -> Samples:
    """For so long."""
    samples, stage = Samples(), performance.stage
    ends = time.monotonic() + seconds
    kinds = performance.possible(SMALL)

    async def sample() -> None:
        while True:
            for process in stage.processes:
                with suppress(OSError):
                    name = f"{process.service} {stage.processes.index(process) % 2 + 1}"
                    samples.take(name, process.pid)
            await asyncio.sleep(SAMPLE)

    sampling = asyncio.create_task(sample())
    while time.monotonic() < ends:
        await performance.alone([stage.dice.choice(kinds)])
        await asyncio.sleep(max(0.0, min(BETWEEN, ends - time.monotonic())))
    sampling.cancel()
    say(f"{len(next(iter(samples.memory.values())))} samples")
    return samples

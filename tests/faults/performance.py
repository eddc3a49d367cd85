"""A run: which faults happen when, and what became of the people meanwhile."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.rabbitmq import RabbitMQ
from tests.faults import broker, clients, database, processes  # noqa: F401  (they register their kinds)
from tests.faults.kinds import KINDS, Kind
from tests.faults.stage import NotRecovered, Stage
from tests.support.system import Process

CALM = 0.5  # seconds between two faults, in which nothing is wrong
LONGEST = 240.0  # seconds that a fault and its recovery may take
ALIVE = 10.0  # seconds without a death after which there is no place left to die at
RARE = {"persister believed dead", "RabbitMQ killed", "RabbitMQ restarted"}  # these take long


@dataclass
class Record:
    """What a kind did, each time: seconds until every room worked, and whether it was alone."""

    alone: list[float] = field(default_factory=list)
    among_others: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How often it happened."""
        return len(self.alone) + len(self.among_others)


class Performance:
    """Faults on a stage, and their records by name."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.records: dict[str, Record] = defaultdict(Record)
        self.failures: list[str] = []
        self.places: list[str] = []
        self._say = say

    @property
    def faults(self) -> int:
        """How many there were."""
        return sum(record.count for record in self.records.values())

    def possible(self, names: Collection[str] = ()) -> list[Kind]:
        """Those of these kinds (of all) for which there is what they need."""
        unknown = set(names) - KINDS.keys()
        if unknown:
            raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}. There are: {', '.join(KINDS)}")
        has = {"database"}
        if self.stage.broker.pid is not None:
            has.add("broker")
        if isinstance(self.stage.broker, RabbitMQ):
            has.add("rabbitmqctl")
        if processes.FAKETIME.exists():
            has.add("libfaketime")
        return [kind for name, kind in KINDS.items() if set(kind.needs) <= has and (not names or name in names)]

    async def alone(self, kinds: Sequence[Kind], timed: bool = True) -> None:
        """Each of these by itself; if it is `timed`, whoever is too slow then is a failure."""
        for kind in kinds:
            took = await self._happen(kind)
            if took is not None:
                self.records[kind.name].alone.append(took)
                self._say(f"{kind.name}: {took:.2f} s, {self.stage.crowd.acked:,} messages")
                if timed and kind.within is not None and took > kind.within:
                    self.failures.append(f"{kind.name}: {took:.1f} s, where {kind.within:.0f} are promised")
            await asyncio.sleep(CALM)

    async def mixed(self, kinds: Sequence[Kind], more: Callable[[], bool]) -> None:
        """Up to three at a time, of different domains, for as long as `more` says so."""
        dice = self.stage.dice
        while more():
            together: dict[str, Kind] = {}
            weights = [0.2 if kind.name in RARE else 1.0 for kind in kinds]
            for kind in dice.choices(kinds, weights, k=dice.choice((1, 2, 2, 3))):
                together.setdefault(kind.domain, kind)
            took = await asyncio.gather(*(self._happen(kind) for kind in together.values()))
            for kind, seconds in zip(together.values(), took, strict=True):
                if seconds is not None:
                    self.records[kind.name].among_others.append(seconds)
            names = " + ".join(kind.name for kind in together.values())
            self._say(f"{names}: {self.faults} faults, {self.stage.crowd.acked:,} messages")
            with suppress(NotRecovered):
                await self.stage.whole()
            await asyncio.sleep(CALM)

    async def _happen(self, kind: Kind) -> float | None:
        try:
            async with asyncio.timeout(LONGEST):
                return await kind.happens(self.stage)
        except (NotRecovered, TimeoutError) as error:
            self.failures.append(f"{kind.name}: {error!r}")
            self._say(f"{kind.name}: FAILED, {error!r}")
            return None

    async def deaths(self, service: str, most: int | None = None) -> None:
        """Both processes of this service die at every await of theirs, once each (`mortal.py`)."""
        stage, name = self.stage, f"{service} dies at an await"
        file = stage.folder / f"places-{service}"
        regular: list[Process] = getattr(stage, f"{service}s")
        mortals = [
            stage.another(service, "tests.faults.mortal", MORTAL_SERVICE=service, MORTAL_PLACES=str(file))
            for _ in regular
        ]
        watching = [asyncio.create_task(self._keep_alive(process, name)) for process in mortals]
        if service == "gateway":
            stage.doors = [*mortals]
        for process in regular:
            await process.stop()
        last, since = -1, time.monotonic()
        while time.monotonic() - since < ALIVE and (most is None or last < most):
            await asyncio.sleep(0.2)
            for task in watching:
                if task.done():
                    task.result()
            if self.records[name].count != last:
                last, since = self.records[name].count, time.monotonic()
        for process in regular:
            await process.start()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await stage.whole()
        if service == "gateway":
            stage.doors = [*regular]
        for process in mortals:
            if process.alive:
                process.kill()
                await process.wait()
        await stage.recovery()
        self.places += [f"{service} {place}" for place in places_of(file)]
        self._say(f"{name}: {last} times, {stage.crowd.acked:,} messages")

    async def _keep_alive(self, process: Process, name: str) -> None:
        await process.start()
        while True:
            code = await process.wait()
            if code != -signal.SIGKILL:
                raise RuntimeError(f"{process.service} ended by itself with {code}: {process.log}")
            self.records[name].alone.append(0.0)
            await process.start()


def places_of(file: Path) -> list[str]:
    """Where somebody died."""
    return file.read_text().splitlines() if file.exists() else []

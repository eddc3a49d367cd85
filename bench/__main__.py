"""`python -m bench`: the measurements that are asked for, one after the other, and one table of all figures."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bench import chat, floor, palabre
from bench.crowd import crowd
from bench.draining import drain
from bench.growth import MEMBERS, SLOWEST, growth
from bench.history import history
from bench.idle import idle
from bench.persisters import persisters
from bench.presence import presence
from bench.processes import resident
from bench.profiling import profile
from bench.report import Result, heading, keep, memory, show, summary
from bench.scale.__main__ import main as scale
from bench.search import search
from bench.target import BenchError, Target, allow_many_sockets, from_urls, read_state
from deploy.local.process import StartError, interrupted_by_sigterm

LONGEST = 300.0  # seconds that one measurement may take in all, but for what it puts into the database before
SLOWEST_SEEDING = 5000  # documents a second
DRAINED = 2000  # sockets: as many as a gateway of a busy deployment may have to send away
EIGHT = 8  # in flight per sender: half of what is reached there is the second rate of the latency


class What(StrEnum):
    """The measurements. Memory comes first: it is measured in gateways that have not grown yet."""

    idle = "idle"
    throughput = "throughput"
    latency = "latency"
    fanout = "fanout"
    elsewhere = "elsewhere"
    persisters = "persisters"
    growth = "growth"
    history = "history"
    search = "search"
    crowd = "crowd"
    floor = "floor"
    drain = "drain"
    presence = "presence"  # last, since it kills a gateway


HERE = (
    What.persisters,
    What.growth,
    What.history,
    What.search,
    What.crowd,
    What.drain,
)  # these need the servers, not just the gateways


@dataclass(frozen=True)
class Options:
    """What was asked for; nothing in `what` means all that is possible."""

    what: list[What]
    seconds: float
    in_flight: list[int]
    rate: float
    members: int
    fanout_rate: float
    sockets: int
    messages: int
    conversations: int
    stored: int
    crowd: int
    profile: bool
    report: Path | None


@dataclass
class Run:
    """One run: its figures so far."""

    target: Target
    options: Options
    figures: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    faultless: bool = True

    async def all(self) -> None:
        """Everything that was asked for, in the order of `What`."""
        steps: dict[What, Callable[[], Awaitable[object]]] = {
            What.idle: lambda: self._add(idle(self.target, self.options.sockets)),
            What.throughput: self._throughput,
            What.latency: self._latency,
            What.fanout: lambda: self._add(
                chat.fanout(self.target, self.options.seconds, self.options.members, self.options.fanout_rate)
            ),
            What.elsewhere: self._elsewhere,
            What.persisters: lambda: self._add(persisters(self.target, self.options.seconds)),
            What.growth: self._growth,
            What.history: lambda: self._add(history(self.target, self.options.messages)),
            What.search: lambda: self._add(search(self.target, self.options.messages)),
            What.crowd: lambda: self._add(crowd(self.target, self.options.seconds, self.options.crowd)),
            What.floor: self._floor,
            What.drain: lambda: self._add(drain(self.target, min(self.options.sockets, DRAINED))),
            What.presence: lambda: self._add(presence(self.target, self.options.sockets)),
        }
        possible = [what for what in What if self.target.mongodb is not None or what not in HERE]
        head, before = heading(), resident(self.target.pids)
        for what, step in steps.items():
            if what in (self.options.what or possible):
                await step()
        summary(head, self.figures | self.floor, floor.ratios(self.figures, self.floor))
        memory(before, resident(self.target.pids))
        if self.options.report is not None:
            keep(self.options.report, head, self.figures | self.floor)

    async def _add(self, measurement: Awaitable[Result], longest: float = LONGEST) -> Result:
        async with asyncio.timeout(longest):
            result = await measurement
        show(result)
        self.figures |= result.figures
        self.faultless = self.faultless and not result.faults
        return result

    async def _throughput(self) -> None:
        for in_flight in self.options.in_flight:
            load = partial(chat.throughput, self.target, self.options.seconds, in_flight)
            result = await self._add(load())
            if self.options.profile:
                await self._add(profile(self.target, load, result))

    async def _latency(self) -> None:
        await self._add(chat.latency(self.target, self.options.seconds, self.options.rate))
        most = self.figures.get(f"acked/s, {EIGHT} in flight")
        if most is not None:
            await self._add(chat.latency(self.target, self.options.seconds, most / 2, "at half of the maximum"))

    async def _elsewhere(self) -> None:
        for members in (1, 2):
            await self._add(chat.elsewhere(self.target, self.options.seconds, members))
        await self._add(chat.typing_elsewhere(self.target, self.options.seconds))

    async def _growth(self) -> None:
        conversations, stored = self.options.conversations, self.options.stored
        seeded = conversations * (1 + MEMBERS) + stored
        await self._add(
            growth(self.target, self.options.seconds, conversations, stored),
            LONGEST + seeded / SLOWEST_SEEDING + conversations / SLOWEST,
        )

    async def _floor(self) -> None:
        async with asyncio.timeout(LONGEST):
            result = await floor.floor(self.target)
        show(result)
        self.floor = result.figures


def main(
    what: Annotated[list[What] | None, typer.Argument(help="Which; all by default.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=120, help="How long each load lasts.")] = 5,
    in_flight: Annotated[
        list[int] | None, typer.Option(min=1, max=1000, help="throughput: on the way per sender.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="latency: messages a second.")] = 100,
    members: Annotated[int, typer.Option(min=2, max=1000, help="fanout: members of the room.")] = 500,
    fanout_rate: Annotated[float, typer.Option(min=1, max=500, help="fanout: messages a second.")] = 5,
    sockets: Annotated[
        int, typer.Option(min=1, max=19_000, help="idle, presence; drain, up to 2,000: connections.")
    ] = 5000,
    messages: Annotated[
        int, typer.Option(min=100, max=10_000_000, help="history, search: of the conversation.")
    ] = 100_000,
    conversations: Annotated[int, typer.Option(min=10, max=100_000, help="growth: the larger number.")] = 2000,
    stored: Annotated[int, typer.Option(min=0, max=100_000_000, help="growth: messages that are there before.")] = 0,
    crowd_members: Annotated[
        int, typer.Option("--crowd", min=100, max=1_000_000, help="crowd: members of the channel.")
    ] = 10_000,
    profile_too: Annotated[
        bool, typer.Option("--profile", help="throughput: once more under py-spy, to see where the time goes.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Add all figures to this JSON file.")] = None,
    url: Annotated[list[str] | None, typer.Option(help="A gateway; again for more. Default: --state.")] = None,
    state: Annotated[Path | None, typer.Option(help="What `make run` wrote; .run/state.json by default.")] = None,
) -> None:
    """Measure Palabre, and check that every message arrives once and in order. `scale`: what it means for many people.

    The system is the one at --url, or that of `make run`, or, where none runs, one that is started and stopped here.
    """
    options = Options(
        what or [],
        seconds,
        in_flight or [1, EIGHT],
        rate,
        members,
        fanout_rate,
        sockets,
        messages,
        conversations,
        stored,
        crowd_members,
        profile_too,
        report,
    )
    interrupted_by_sigterm()
    try:
        allow_many_sockets()
        faultless = uvloop.run(_run(options, url, state))
    except (BenchError, StartError, OSError, TimeoutError, ValueError) as error:
        print(f"Stopped: {str(error) or 'it took too long'}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if faultless else 1)


async def _run(options: Options, urls: list[str] | None, state: Path | None) -> bool:
    async with _target(urls, state) as target:
        run = Run(target, options)
        await run.all()
    return run.faultless


@asynccontextmanager
async def _target(urls: list[str] | None, state: Path | None) -> AsyncIterator[Target]:
    """The system that is meant."""
    file = state or Path(os.environ.get("RUN_DIR") or ".run") / "state.json"
    if urls:
        yield from_urls(urls)
    elif state is not None or file.exists():
        yield read_state(file)
    else:
        async with palabre.started() as target:
            yield target


if __name__ == "__main__":
    if sys.argv[1:2] == ["scale"]:  # measures nothing, and has options of its own
        del sys.argv[1]
        typer.run(scale)
    else:
        typer.run(main)

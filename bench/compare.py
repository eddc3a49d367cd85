"""`python -m bench.compare`: Palabre and a peer under the same load, in turn, in one run; medians of several rounds."""

import asyncio
import statistics
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import typer
import uvloop

from bench import chat, palabre
from bench.history import pages
from bench.idle import MEMORY, idle
from bench.peers import node
from bench.report import Result, comparison, heading
from bench.target import BenchError, Target, allow_many_sockets
from deploy.local.process import StartError, interrupted_by_sigterm

LONGEST = 120.0  # seconds that one measurement may take in all


class What(StrEnum):
    """The measurements that both can take."""

    idle = "idle"
    throughput = "throughput"
    latency = "latency"
    fanout = "fanout"
    history = "history"


@dataclass
class Side:
    """One of the two, and its figures of every round."""

    name: str
    target: Target
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """One more measurement."""
        for name, value in result.figures.items():
            # Memory that a process once had it uses again, so only the first round tells what a socket takes.
            if name != MEMORY or not self.figures[name]:
                self.figures[name].append(value)
        self.faults += result.faults

    @property
    def medians(self) -> dict[str, float]:
        """Of every figure."""
        return {name: statistics.median(values) for name, values in self.figures.items()}


def main(
    what: Annotated[list[What] | None, typer.Argument(help="Which; all by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=9, help="Of each, in turn.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="How long each load lasts.")] = 3,
    members: Annotated[int, typer.Option(min=2, max=1000, help="fanout: members of the room.")] = 500,
    sockets: Annotated[int, typer.Option(min=1, max=19_000, help="idle: connections.")] = 2000,
    messages: Annotated[int, typer.Option(min=100, max=1_000_000, help="history: of the conversation.")] = 100_000,
) -> None:
    """Measure Palabre beside a Node server of the same purpose. Both are started for it, and stopped."""
    loads: dict[What, list[Callable[[Target], Awaitable[Result]]]] = {
        What.idle: [lambda target: idle(target, sockets)],
        What.throughput: [
            lambda target: chat.throughput(target, seconds, 1),
            lambda target: chat.throughput(target, seconds, 8),
        ],
        What.latency: [lambda target: chat.latency(target, seconds, 100)],
        What.fanout: [lambda target: chat.fanout(target, seconds, members, 5)],
        What.history: [lambda target: pages(target, messages)],
    }
    chosen = [load for name, some in loads.items() if not what or name in what for load in some]
    interrupted_by_sigterm()
    try:
        allow_many_sockets()
        faultless = uvloop.run(_run(chosen, rounds))
    except (BenchError, StartError, OSError, TimeoutError) as error:
        print(f"Stopped: {str(error) or 'it took too long'}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if faultless else 1)


async def _run(loads: list[Callable[[Target], Awaitable[Result]]], rounds: int) -> bool:
    head = heading()
    # The peer first: what it lacks is known before the larger system is started.
    async with node.started() as peer, palabre.started() as ours:
        sides = [Side("Palabre", ours), Side("Node, seed's design", peer)]
        for number in range(1, rounds + 1):
            for load in loads:
                for side in sides if number % 2 else reversed(sides):
                    async with asyncio.timeout(LONGEST):
                        result = await load(side.target)
                    side.add(result)
                    print(f"  round {number} of {rounds}  {side.name:<20} {result.title}", flush=True)
    comparison(head, {side.name: side.medians for side in sides}, rounds)
    for side in sides:
        for fault in side.faults:
            print(f"  VIOLATED by {side.name}: {fault}")
        if not side.faults:
            print(f"  Checked, {side.name}: nothing lost, repeated or out of order.")
    return not sides[0].faults


if __name__ == "__main__":
    typer.run(main)

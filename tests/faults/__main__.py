"""`make faults` and `make soak`: see `--help` and docs/reliability.md."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.process import StartError, interrupted_by_sigterm
from deploy.local.servers import rabbitmq
from tests.faults import replica_set, stopped_readers
from tests.faults.performance import Performance
from tests.faults.replica_set import ReplicaSet
from tests.faults.report import Report
from tests.faults.soak import soak as soak_for
from tests.faults.stage import SERVICES, Stage
from tests.faults.verdict import verdict

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
STARTED = time.monotonic()

Seed = Annotated[int, typer.Option(help="of every choice that is made")]
Rooms = Annotated[int, typer.Option(help="conversations, of seven people each")]
Pace = Annotated[float, typer.Option(help="seconds that somebody thinks before the next message")]
Figures = Annotated[Path | None, typer.Option(help="a file for the figures, as JSON")]
Folder = Annotated[Path | None, typer.Option(help="where data and logs are kept; by default they are not")]


@app.command()
def faults(
    seed: Seed = 1,
    rounds: Annotated[int, typer.Option(help="times that each kind happens alone")] = 2,
    count: Annotated[int, typer.Option(help="faults, at least; what is missing comes mixed")] = 200,
    messages: Annotated[int, typer.Option(help="messages acknowledged, at least; so too")] = 100_000,
    only: Annotated[list[str] | None, typer.Option(help="this kind; may be given again")] = None,
    deaths: Annotated[bool, typer.Option(help="also let every service die at each of its awaits")] = True,
    readers: Annotated[bool, typer.Option(help="also compare what stopped readers cost the others")] = True,
    rooms: Rooms = 8,
    pace: Pace = 0.1,
    figures: Figures = None,
    folder: Folder = None,
) -> None:
    """Break everything, alone and together, while people talk; then look whether anything was lost."""

    async def play(stage: Stage) -> Report:
        performance = Performance(stage, say)
        kinds = performance.possible(only or ())
        compared = await stopped_readers.compare(stage) if readers else None
        for _ in range(rounds):
            await performance.alone(kinds)
        for service in SERVICES if deaths else ():
            await performance.deaths(service)
        await performance.mixed(kinds, lambda: performance.faults < count or stage.crowd.acked < messages)
        say("quiet")
        return Report(stage, performance, await verdict(stage), time.monotonic() - STARTED, compared)

    finish(asyncio.run(on_a_stage(play, folder, seed, rooms, pace)), figures)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="how long")] = 30,
    seed: Seed = 1,
    rooms: Rooms = 8,
    pace: Pace = 0.25,
    figures: Figures = None,
    folder: Folder = None,
) -> None:
    """Let people talk for long, with small faults; then look at memory and file descriptors too."""

    async def play(stage: Stage) -> Report:
        performance = Performance(stage, say)
        samples = await soak_for(performance, minutes * 60, say)
        return Report(stage, performance, await verdict(stage), time.monotonic() - STARTED, samples=samples)

    finish(asyncio.run(on_a_stage(play, folder, seed, rooms, pace)), figures)


async def on_a_stage(
    play: Callable[[Stage], Awaitable[Report]], folder: Path | None, seed: int, rooms: int, pace: float
) -> Report:
    """Start everything, let people talk, and stop it in the end."""
    program = replica_set.available()
    if program is None:
        raise StartError("the replica set needs a mongod on this machine")
    with tempfile.TemporaryDirectory(prefix="palabre-faults-") as scratch:
        where = folder.resolve() if folder is not None else Path(scratch)
        where.mkdir(parents=True, exist_ok=True)
        say(f"starting RabbitMQ, MongoDB and every service (seed {seed})")
        async with (
            rabbitmq(where / "rabbitmq") as broker,
            ReplicaSet(program, where / "mongodb") as database,
            Stage(broker, database, where, seed, rooms=rooms, pace=pace) as stage,
        ):
            stage.crowd.talk()
            await stage.recovery()
            say(f"{len(stage.crowd.everybody)} people talk")
            return await play(stage)


def finish(report: Report, figures: Path | None) -> None:
    """Print, write, and say by the exit code whether it was good."""
    print(report.text())
    if figures is not None:
        report.write(figures)
    sys.exit(0 if report.good else 1)


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:6.0f} s  {text}", flush=True)


if __name__ == "__main__":
    interrupted_by_sigterm()
    try:
        app()
    except StartError as failure:
        sys.exit(str(failure))

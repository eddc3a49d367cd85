"""`python -m bench`: the measurements that are asked for, one after the other."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bench import measurements
from bench.measurements import Result
from bench.target import BenchError, Target, allow_many_sockets, from_urls, read_state

LONGEST = 300.0  # seconds that one measurement may take in all


class What(StrEnum):
    """The measurements. Memory comes first: it is measured in gateways that have not grown yet."""

    idle = "idle"
    throughput = "throughput"
    latency = "latency"
    fanout = "fanout"


def main(
    what: Annotated[list[What] | None, typer.Argument(help="Which; all by default.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=120, help="How long each load lasts.")] = 10,
    in_flight: Annotated[int, typer.Option(min=1, max=1000, help="throughput: on the way per sender.")] = 10,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="latency: messages a second.")] = 100,
    members: Annotated[int, typer.Option(min=2, max=1000, help="fanout: members of the room.")] = 500,
    fanout_rate: Annotated[float, typer.Option(min=1, max=500, help="fanout: messages a second.")] = 5,
    sockets: Annotated[int, typer.Option(min=1, max=20_000, help="idle: connections.")] = 1000,
    url: Annotated[list[str] | None, typer.Option(help="A gateway; again for more. Default: --state.")] = None,
    state: Annotated[Path | None, typer.Option(help="What `make run` wrote; .run/state.json by default.")] = None,
) -> None:
    """Measure a running Palabre, and check that every message arrives once and in order."""
    state = state or Path(os.environ.get("RUN_DIR") or ".run") / "state.json"
    calls: dict[What, Callable[[Target], Awaitable[Result]]] = {
        What.idle: lambda target: measurements.idle(target, sockets),
        What.throughput: lambda target: measurements.throughput(target, seconds, in_flight),
        What.latency: lambda target: measurements.latency(target, seconds, rate),
        What.fanout: lambda target: measurements.fanout(target, seconds, members, fanout_rate),
    }
    chosen = [call for name, call in calls.items() if not what or name in what]
    try:
        target = from_urls(url) if url else read_state(state)
        allow_many_sockets()
        faultless = uvloop.run(_run(target, chosen))
    except (BenchError, OSError, TimeoutError) as error:
        print(f"Stopped: {str(error) or 'it took too long'}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if faultless else 1)


async def _run(target: Target, calls: list[Callable[[Target], Awaitable[Result]]]) -> bool:
    faultless = True
    for call in calls:
        async with asyncio.timeout(LONGEST):
            result = await call(target)
        _print(result)
        faultless = faultless and not result.faults
    return faultless


def _print(result: Result) -> None:
    print(f"\n{result.title}")
    for name, value in result.rows:
        print(f"  {name:<34} {value:>24}")
    if result.cpu:
        print(f"  {'CPU':<34} {'seconds':>12} {'µs/message':>11}")
        for name, used in result.cpu.items():
            print(f"    {name:<32} {used:>12.2f} {used * 1e6 / max(result.messages, 1):>11,.0f}")
    for fault in result.faults:
        print(f"  VIOLATED  {fault}")
    if not result.faults:
        print("  Checked: nothing lost, repeated or out of order." if result.messages else "  Checked.")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)

"""A Palabre of the bench's own: `make run` with limits off, in a folder and on ports of its own, fresh each time."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.target import BenchError, Target, read_state
from deploy.local.process import POLL, Process, end_leftover, free_port, port_is_free
from deploy.local.servers import run_dir

READY = 180.0  # seconds; the first time server programs may have to be fetched
GRACE = 60.0
GATEWAYS = 2
SETTINGS = {
    "RATE_LIMITS": "0",
    "MAX_CONNECTIONS_PER_USER": "0",
    "LOG_LEVEL": "warning",
    "GATEWAYS": str(GATEWAYS),
    "PERSISTERS": "1",
    "NOTIFIERS": "1",
    "AUTH_DEV": "1",
    "JWT_SECRET": "a secret of the bench, long enough for HS256",  # one that a further gateway knows too
    "HOST": "127.0.0.1",
}


def folder() -> Path:
    """Where the bench keeps what it starts."""
    return run_dir() / "bench"


@asynccontextmanager
async def started() -> AsyncIterator[Target]:
    """Started with empty data; stopped in the end."""
    home = folder() / "palabre"
    process = Process("palabre", folder() / "palabre.pid.json", folder() / "palabre.log")
    await end_leftover(process.pid_file)
    _clear(home)
    environment = os.environ | SETTINGS | {"RUN_DIR": str(home), "PORT": str(_free_ports())}
    state = home / "state.json"
    print("Starting a Palabre of our own", flush=True)
    await process.start([sys.executable, "-m", "deploy.local.run"], environment)
    try:
        try:
            async with asyncio.timeout(READY):
                while not state.exists():
                    if not process.running:
                        raise BenchError(f"Palabre ended while starting:\n{process.tail()}")
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise BenchError(f"Palabre was not ready within {READY:.0f} s:\n{process.tail()}") from None
        yield replace(read_state(state), ours=True)
    finally:
        await process.stop(GRACE)


def _clear(home: Path) -> None:
    """Empty data, but server programs that were fetched once are kept, for all runs of this checkout."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "state.json").unlink(missing_ok=True)  # of a run that was killed: nobody listens there any more
    for part in ("rabbitmq", "mongodb"):
        if not (home / part / "pid.json").exists():  # else it was left behind, and is ended by who starts the next
            shutil.rmtree(home / part, ignore_errors=True)
    shared = run_dir() / "cache"
    shared.mkdir(parents=True, exist_ok=True)
    if not (home / "cache").exists():
        (home / "cache").symlink_to(shared, target_is_directory=True)


def _free_ports() -> int:
    """The first of as many free ports as there are gateways; any, so that two of us rarely choose the same."""
    for _ in range(100):
        port = free_port()
        if all(port_is_free(port + number) for number in range(GATEWAYS)):
            return port
    raise BenchError("There are no free ports for the gateways.")

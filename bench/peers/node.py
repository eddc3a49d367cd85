"""The peer in `seed/`: one Node process and its PostgreSQL, started and stopped."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bench.palabre import folder
from bench.peers.postgresql import PostgreSQL
from bench.target import BenchError, Target
from deploy.local.process import POLL, Process, free_port

SOURCE = Path(__file__).with_name("seed")
START_DEADLINE = 30.0
STOP_GRACE = 10.0
OLDEST = 20  # major version of Node


@asynccontextmanager
async def started() -> AsyncIterator[Target]:
    """Started with an empty database; stopped in the end."""
    program = await asyncio.to_thread(_installed)
    home = folder() / "seed"
    database = PostgreSQL(home / "postgresql")
    print("Starting the peer: Node and PostgreSQL", flush=True)
    await database.start()
    try:
        async with _server(program, home, database) as target:
            yield target
    finally:
        await database.stop()


@asynccontextmanager
async def _server(program: str, home: Path, database: PostgreSQL) -> AsyncIterator[Target]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = Process("seed", home / "pid.json", home / "seed.log")
    environment = os.environ | database.environment | {"PORT": str(port), "NODE_ENV": "production"}
    await process.start([program, str(SOURCE / "server.js")], environment)
    try:
        async with asyncio.timeout(START_DEADLINE), httpx.AsyncClient(base_url=url, trust_env=False) as client:
            while not await _answers(client):
                if not process.running:
                    raise BenchError(f"The peer ended while starting:\n{process.tail()}")
                await asyncio.sleep(POLL)
        pids = {"node": process.pid, "postgresql": database.pid}
        yield Target(
            [(url, f"ws{url.removeprefix('http')}/ws/chat")],
            {name: pid for name, pid in pids.items() if pid is not None},
        )
    finally:
        await process.stop(STOP_GRACE)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _installed() -> str:
    """Node's path; the packages of the peer are installed when they are not there, or not those of the lock."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise BenchError(
            f"The peer needs Node {OLDEST} or newer with npm; the system's own bench, `make bench`, does not."
        )
    stamp = SOURCE / "node_modules" / ".wanted"
    wanted = (SOURCE / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=SOURCE, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"`npm ci` failed in {SOURCE}:\n{done.stderr[-1000:]}")
        stamp.write_text(wanted)
    return program

"""The peer in `seed/`: one Node process and its PostgreSQL, started and stopped."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx

from bench.palabre import folder
from bench.peers.postgresql import PostgreSQL
from bench.room import FILLER
from bench.target import BenchError, Person, Target
from deploy.local.process import POLL, Process, free_port

SOURCE = Path(__file__).with_name("seed")
START_DEADLINE = 30.0
STOP_GRACE = 10.0
OLDEST = 20  # major version of Node
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)  # when the messages of a filled conversation begin
FILL = """
    INSERT INTO messages
    SELECT gen_random_uuid(), :'conversation', :'sender', n || ' ' || :'text', :'begin'::timestamptz + n * interval '1 s'
    FROM generate_series(1, :count) AS n;
    ANALYZE messages;
"""


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
            archive=_Archive(database),
        )
    finally:
        await process.stop(STOP_GRACE)


class _Archive:
    """Messages have no numbers here: one second each, and the page before a moment."""

    def __init__(self, database: PostgreSQL) -> None:
        self._database = database

    async def fill(self, conversation_id: str, count: int, sender: Person) -> None:
        await self._database.execute(
            FILL, conversation=conversation_id, sender=sender.user_id, begin=BEGIN.isoformat(), count=count, text=FILLER
        )

    def page(self, conversation_id: str, before: int, limit: int) -> str:
        moment = quote((BEGIN + timedelta(seconds=before)).isoformat())
        return f"/api/conversations/{conversation_id}/messages?before={moment}&limit={limit}"


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

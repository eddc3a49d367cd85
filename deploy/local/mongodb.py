"""A private MongoDB: one `mongod`, a replica set of one, all that it has in one folder, on 127.0.0.1."""

import asyncio
import os
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.process import POLL, Process, StartError, claim_ports, end_leftover, read_ports

START_DEADLINE = 60.0
STOP_GRACE = 20.0
NOT_YET_INITIALIZED = 94


class MongoDB:
    """Start, stop, kill and start again: the port and the data stay the same."""

    def __init__(self, program: str, folder: Path, cache_gb: float = 0.5) -> None:
        self.folder = folder.resolve()
        self.cache_gb = cache_gb
        self._program = program
        self._process = Process("mongodb", self.folder / "pid.json", self.folder / "log" / "mongod.log")
        self._ports: dict[str, int] = {}

    @property
    def url(self) -> str:
        return set_url(self._ports["mongodb"])

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def start(self) -> None:
        await end_leftover(self._process.pid_file)
        if not self._ports:
            remembered = self.folder / "ports.json"
            self._ports = claim_ports(remembered, read_ports(remembered, "mongodb"))
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        try:
            await self._process.start(self._command(), os.environ)
            async with asyncio.timeout(START_DEADLINE):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise StartError(self._why(f"was not writable within {START_DEADLINE:.0f} s")) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._process.stop(STOP_GRACE)

    async def kill(self) -> None:
        """As a crash would: without a chance to tidy up."""
        await self._process.kill()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def wait(self) -> int:
        return await self._process.wait()

    def _command(self) -> list[str]:
        return [
            self._program,
            f"--dbpath={self.folder / 'data'}",
            f"--port={self._ports['mongodb']}",
            "--bind_ip=127.0.0.1",
            "--nounixsocket",  # it would be in /tmp, outside of our folder
            "--replSet=rs0",
            "--oplogSize=1024",
            f"--wiredTigerCacheSizeGB={self.cache_gb}",
            "--quiet",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            # No query here reads the past. Of a dropped collection the files stay open for as long as one could; a test
            # run drops tens of thousands.
            "--setParameter=minSnapshotHistoryWindowInSeconds=0",
            # There is no other member that could take over while it waits.
            "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0",
        ]

    async def _ready(self) -> None:
        while not await writable(self._ports["mongodb"]):
            if not self._process.running:
                raise StartError(self._why("ended while starting"))
            await asyncio.sleep(POLL)

    def _why(self, what: str) -> str:
        return f"MongoDB {what}. Its log is {self._process.log_file}.\n{self._process.tail(5)}"


def set_url(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"


async def writable(port: int) -> bool:
    """Whether the set of one takes writes; on the way there it is initiated, or told of its new port."""
    member = f"127.0.0.1:{port}"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        member, directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=5000
    )
    async with client:
        try:
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary") and hello.get("me") == member:
                return True
            await _configure(client, member)
        except PyMongoError:
            pass  # it is still starting, or electing itself
    return False


async def _configure(client: AsyncMongoClient[dict[str, Any]], member: str) -> None:
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as failure:
        if failure.code != NOT_YET_INITIALIZED:
            raise
        config = {"_id": "rs0", "members": [{"_id": 0, "host": member}]}
        await client.admin.command("replSetInitiate", config)
        return
    if config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        await client.admin.command("replSetReconfig", config, force=True)


async def answers(url: str) -> bool:
    """Whether a client with this URL finds a server that takes writes."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url, serverSelectionTimeoutMS=2000)
    async with client:
        try:
            async with asyncio.timeout(5):  # a paused server makes a client wait past its own time-outs
                hello = await client.admin.command("hello")
        except (PyMongoError, TimeoutError):
            return False
    return bool(hello.get("isWritablePrimary"))

"""MongoDB as in production: three members, one of which may go; and with the test commands that make writes fail."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from deploy.local.install import mongod
from deploy.local.process import Process, StartError, free_port
from deploy.local.servers import run_dir

MEMBERS = 3
DEADLINE = 60.0
STOP_GRACE = 20.0
# The set notices within this time that its primary is gone. Production's default is 10 s; these tests have more to do
# than wait, and nothing of ours depends on it.
ELECTION_MS = 2000


def available() -> str | None:
    """The `mongod` to be used, or None."""
    return mongod(run_dir() / "cache")


class Member:
    """One `mongod`."""

    def __init__(self, program: str, folder: Path, number: int) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._folder = folder / f"member-{number}"
        self._process = Process(f"mongod-{number}", self._folder / "pid.json", self._folder / "mongod.log")
        self._command = [
            program,
            f"--dbpath={self.data}",
            f"--port={self.port}",
            "--bind_ip=127.0.0.1",
            "--nounixsocket",
            "--replSet=faults",
            "--oplogSize=1024",
            "--wiredTigerCacheSizeGB=0.25",
            "--quiet",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            "--setParameter=enableTestCommands=1",
            "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0",
        ]

    @property
    def data(self) -> Path:
        """Its files."""
        return self._folder / "data"

    @property
    def pid(self) -> int:
        """Of `mongod`."""
        assert self._process.pid is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it with the data that it has."""
        self.data.mkdir(parents=True, exist_ok=True)
        await self._process.start(self._command, os.environ)

    async def stop(self) -> None:
        """In order."""
        await self._process.stop(STOP_GRACE)

    async def kill(self) -> None:
        """kill -9."""
        await self._process.kill()

    def client(self) -> AsyncMongoClient[dict[str, Any]]:
        """For this member alone."""
        return AsyncMongoClient(
            self.address, directConnection=True, serverSelectionTimeoutMS=2000, socketTimeoutMS=5000
        )


class ReplicaSet:
    """Runs inside its block."""

    def __init__(self, program: str, folder: Path) -> None:
        self.members = [Member(program, folder, number) for number in range(MEMBERS)]

    @property
    def url(self) -> str:
        """For services."""
        return f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet=faults"

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(member.start() for member in self.members))
        try:
            async with asyncio.timeout(DEADLINE):
                await self._initiate()
                await self.primary()
        except TimeoutError:
            await self.__aexit__()
            raise StartError("the replica set has no primary") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(member.stop() for member in self.members))

    async def primary(self) -> Member:
        """The member that takes writes, as soon as there is one; the caller sets the deadline."""
        while True:
            for member in self.members:
                with suppress(PyMongoError, TimeoutError):
                    hello = await self.command(member, "hello", timeout=1)
                    if hello.get("isWritablePrimary"):
                        return member
            await asyncio.sleep(0.1)

    async def whole(self) -> None:
        """Until there is a primary and all others follow; the caller sets the deadline."""
        while True:
            with suppress(PyMongoError, TimeoutError):
                status = await self.command(await self.primary(), "replSetGetStatus")
                if {m["stateStr"] for m in status["members"]} == {"PRIMARY", "SECONDARY"}:
                    return
            await asyncio.sleep(0.2)

    async def command(
        self, member: Member, name: str, value: Any = 1, timeout: float = 5, **more: Any
    ) -> dict[str, Any]:
        """An administrative command to one member."""
        async with asyncio.timeout(timeout), member.client() as client:
            return dict(await client.admin.command(name, value, **more))

    async def _initiate(self) -> None:
        config = {
            "_id": "faults",
            "members": [{"_id": number, "host": member.address} for number, member in enumerate(self.members)],
            "settings": {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500},
        }
        while True:
            with suppress(PyMongoError, TimeoutError):
                await self.command(self.members[0], "replSetInitiate", config, timeout=20)
                return
            await asyncio.sleep(0.2)

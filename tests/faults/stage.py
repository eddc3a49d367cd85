"""A small production: every process twice, the servers underneath, a network to pull the plug of, and people who talk."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import httpx
from aio_pika.abc import AbstractChannel

from contracts.topology import Topology
from deploy.local.servers import Server
from tests.faults.people import Crowd
from tests.faults.replica_set import ReplicaSet
from tests.support.system import Process, System
from tests.support.tcp_proxy import TcpProxy

SERVICES = ("gateway", "persister", "notifier")
READY = 60.0  # seconds until everything must work again
SETTINGS = {
    "RATE_LIMITS": "0",
    "PARTITIONS": "8",
    "RECHECK_INTERVAL": "10",
    "SHUTDOWN_TIMEOUT": "15",
    "DRAIN_SPREAD": "1",
    "WEBHOOKS": "everybody",
    "CALL_NETWORKS": "127.0.0.0/8",
}


class NotRecovered(AssertionError):
    """Something does not work again, long after what was wrong has ended."""


class Stage:
    """Runs inside its block.

    Attributes:
        doors: the gateways that new connections are led to.
        notes: what was noticed and is no matter of the checker's: each is a failure of the run.
    """

    def __init__(
        self, broker: Server, database: ReplicaSet, logs: Path, seed: int = 0, *, rooms: int = 8, pace: float = 0.1
    ) -> None:
        self.broker = broker
        self.database = database
        self.dice = random.Random(seed)
        self.notes: list[str] = []
        self.proxies = {service: TcpProxy(broker.url) for service in SERVICES}
        self.folder = logs
        self.system = System(broker.url, database.url, logs=logs, **SETTINGS)
        self.topology = Topology(self.system.prefix, int(SETTINGS["PARTITIONS"]))
        self.gateways: list[Process] = []
        self.persisters: list[Process] = []
        self.notifiers: list[Process] = []
        self.doors: list[Process] = []
        self.crowd = Crowd(lambda: self.doors, seed, rooms, pace=pace)
        self._numbers = dict.fromkeys(SERVICES, 0)

    @property
    def processes(self) -> list[Process]:
        """All of ours that are to run."""
        return [*self.gateways, *self.persisters, *self.notifiers]

    @property
    def mongodb(self) -> tuple[str, str]:
        """URL and database."""
        return self.database.url, self.system.database

    def one_of(self, processes: list[Process]) -> Process:
        """Whose turn it is."""
        return self.dice.choice(processes)

    def another(self, service: str, module: str | None = None, **settings: str) -> Process:
        """A new process behind its proxy, not started yet."""
        self._numbers[service] += 1
        common = {"AMQP_URL": self.proxies[service].url, **settings}
        return self.system.process(service, self._numbers[service], module, **common)

    async def __aenter__(self) -> "Stage":
        for proxy in self.proxies.values():
            await proxy.__aenter__()
        self.gateways = [self.another("gateway") for _ in range(2)]
        self.persisters = [self.another("persister") for _ in range(2)]
        self.notifiers = [self.another("notifier") for _ in range(2)]
        self.doors = list(self.gateways)
        try:
            await asyncio.gather(*(process.start() for process in self.processes))
            await self.whole()
            async with asyncio.timeout(READY):
                await self.crowd.gather()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.crowd.leave()
        for process in self.processes:
            if process.alive:
                process.kill()
                await process.wait()
        for proxy in self.proxies.values():
            await proxy.__aexit__()

    # ---------------------------------------------------------------------------------------------- recovering

    async def whole(self) -> None:
        """Until every process is ready and the replica set complete. Raises NotRecovered."""
        try:
            async with asyncio.timeout(READY):
                await self.database.whole()
                await self._ready()
        except TimeoutError:
            raise NotRecovered(f"not ready within {READY:.0f} s: {await self._unready()}") from None

    async def _ready(self) -> None:
        while True:
            try:
                for process in self.processes:
                    await process.ready()
            except AssertionError:  # it has ended: maybe another fault is about to start it again, or has replaced it
                await asyncio.sleep(0.05)
            else:
                return

    async def recovery(self, since: float | None = None, within: float = READY) -> float:
        """Until a message that was sent after this moment (now) is acknowledged in every room; the seconds it took.

        Raises:
            NotRecovered: it took longer than `within`.
        """
        begun = time.monotonic() if since is None else since
        while waiting := self.crowd.waiting_rooms(begun):
            if time.monotonic() - begun > within:
                raise NotRecovered(f"no message is stored in {len(waiting)} rooms within {within:.0f} s")
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def _unready(self) -> list[str]:
        found = []
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for process in self.processes:
                try:
                    answer = await client.get(f"{process.url}/readyz")
                except httpx.HTTPError as error:
                    found.append(f"{process.service} {process.pid}: {error!r}")
                else:
                    if answer.status_code != httpx.codes.OK:
                        found.append(f"{process.service} {process.pid}: {answer.text}")
        return found

    # ------------------------------------------------------------------------------------------------ witnesses

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel of our own to RabbitMQ, around every proxy."""
        connection = await aio_pika.connect(self.broker.url, timeout=10)
        async with connection:
            yield await connection.channel()

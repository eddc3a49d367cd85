"""All services as processes of their own, on free ports, with a prefix and a database of their own."""

import asyncio
import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from deploy.local.process import free_port

JWT_SECRET = "a secret of the tests, long enough for HS256"
STOP_TIMEOUT = 20.0


class Process:
    """One service."""

    def __init__(self, service: str, port: int, environment: dict[str, str], log: Path) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws/chat"
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it; `ready` says when it works."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{self.service}",
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Returns when it answers 200 on /readyz; the caller sets the deadline."""
        assert self._process is not None
        async with httpx.AsyncClient() as client:
            while True:
                assert self._process.returncode is None, f"{self.service} ended:\n{self._log.read_text()[-3000:]}"
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                raise
        return self._process.returncode or 0


class System:
    """Two gateways, two persisters, a notifier."""

    def __init__(self, amqp_url: str, mongodb_url: str, *, logs: Path, **settings: str) -> None:
        unique = uuid.uuid4().hex[:8]
        self.amqp_url = amqp_url
        self.mongodb_url = mongodb_url
        self.prefix = f"{unique}."
        self.database = f"palabre_{unique}"
        common = {
            "AMQP_URL": amqp_url,
            "MONGODB_URL": mongodb_url,
            "MONGODB_DATABASE": self.database,
            "PREFIX": self.prefix,
            "HOST": "127.0.0.1",
            "AUTH_DEV": "1",
            "JWT_SECRET": JWT_SECRET,
            "LOG_FORMAT": "json",
            **settings,
        }

        def process(service: str, number: int, **more: str) -> Process:
            port = free_port()
            environment = {**common, "PORT": str(port), "HTTP_PORT": str(port), **more}
            return Process(service, port, environment, logs / f"{service}-{number}.log")

        self._process = process
        self.gateways = [process("gateway", number) for number in range(2)]
        self.persisters = [process("persister", number) for number in range(2)]
        self.notifiers = [process("notifier", 0)]

    def another_gateway(self, **settings: str) -> Process:
        """A third one with settings of its own; the caller starts and stops it."""
        return self._process("gateway", 2, **settings)

    @property
    def processes(self) -> list[Process]:
        """All of them, in the order in which they stop."""
        return [*self.gateways, *self.persisters, *self.notifiers]

    async def __aenter__(self) -> Self:
        for process in self.processes:
            await process.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            await process.stop()

    async def ready(self) -> None:
        """Returns when everything works; the caller sets the deadline."""
        for process in self.processes:
            await process.ready()

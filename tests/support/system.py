"""All services as processes of their own, on free ports, with a prefix and a database of their own."""

import asyncio
import os
import signal
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

    def __init__(
        self, service: str, port: int, environment: dict[str, str], log: Path, module: str | None = None
    ) -> None:
        self.service = service
        self.log = log
        self._module = module or f"services.{service}"
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws/chat"
        self.log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> int:
        """Until it has ended, by whoever's hand; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def start(self) -> None:
        """Start it; `ready` says when it works."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Returns when it answers 200 on /readyz; the caller sets the deadline."""
        assert self._process is not None
        async with httpx.AsyncClient() as client:
            while True:
                assert self._process.returncode is None, f"{self.service} ended:\n{self.log.read_text()[-3000:]}"
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
        self._logs = logs
        self._common = {
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

        self.gateways = [self.process("gateway", number) for number in range(2)]
        self.persisters = [self.process("persister", number) for number in range(2)]
        self.notifiers = [self.process("notifier", 0)]

    def process(self, service: str, number: int, module: str | None = None, **more: str) -> Process:
        """One more, with settings of its own; the caller starts and stops it."""
        port = free_port()
        environment = {**self._common, ("PORT" if service == "gateway" else "HTTP_PORT"): str(port), **more}
        return Process(service, port, environment, self._logs / f"{service}-{number}.log", module)

    def another_gateway(self, **settings: str) -> Process:
        """A third one with settings of its own; the caller starts and stops it."""
        return self.process("gateway", 2, **settings)

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

"""Parts of a running Palabre, servers and services alike: started together, kept alive, stopped together."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import httpx

from deploy.local.process import POLL, Process, StartError

READY_DEADLINE = 60.0
FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
STEADY = 60.0  # seconds: what ran for so long did not end because of how it was started


class Part(Protocol):
    @property
    def pid(self) -> int | None: ...
    async def start(self) -> None:
        """Returns when it takes work. Raises StartError."""

    async def stop(self) -> None: ...
    async def kill(self) -> None: ...
    async def wait(self) -> int:
        """Returns when it has ended."""


class Service:
    """One of our own processes, ready when it answers 200 on /readyz."""

    def __init__(self, name: str, module: str, url: str, settings: Mapping[str, str], run_dir: Path) -> None:
        self.url = url
        self._module = module
        self._settings = settings
        self._process = Process(name, run_dir / "pids" / f"{name}.json", run_dir / "logs" / f"{name}.log")
        # A service gives itself this long to finish what it has in hand; then it is our turn.
        self._grace = float(os.environ.get("SHUTDOWN_TIMEOUT") or 30) + 5

    @property
    def name(self) -> str:
        return self._process.name

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self._process.log_file

    async def start(self) -> None:
        try:
            await self._process.start([sys.executable, "-m", self._module], os.environ | self._settings)
            async with asyncio.timeout(READY_DEADLINE):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise StartError(self._why(f"was not ready within {READY_DEADLINE:.0f} s")) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._process.stop(self._grace)

    async def kill(self) -> None:
        await self._process.kill()

    async def wait(self) -> int:
        return await self._process.wait()

    async def _ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=5, trust_env=False) as client:
            while True:
                if not self._process.running:
                    raise StartError(self._why("ended while starting"))
                try:
                    if (await client.get("/readyz")).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(POLL)

    def _why(self, what: str) -> str:
        return f"{self.name} {what}. The end of {self.log_file}:\n{self._process.tail()}"


async def start(parts: Mapping[str, Part]) -> None:
    """All at the same time; the first that fails ends the start of the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts.values():
                group.create_task(part.start())
    except* StartError as failures:
        raise failures.exceptions[0] from None


async def stop(parts: Mapping[str, Part], say: Callable[[str], None]) -> None:
    """All at the same time; what cannot be stopped is told, and does not keep the others."""
    results = await asyncio.gather(*(part.stop() for part in parts.values()), return_exceptions=True)
    for name, result in zip(parts, results, strict=True):
        if isinstance(result, BaseException):
            say(f"{name} could not be stopped: {result}")


async def keep(parts: Mapping[str, Part], changed: Callable[[], None], say: Callable[[str], None]) -> None:
    """Start again what ends, for ever; `changed` is called when it is back with another pid."""
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(_keep_one(name, part, changed, say))


async def _keep_one(name: str, part: Part, changed: Callable[[], None], say: Callable[[str], None]) -> None:
    delay = FIRST_DELAY
    while True:
        since = time.monotonic()
        code = await part.wait()
        say(f"{name} ended {_manner(code)} and is started again")
        if time.monotonic() - since > STEADY:
            delay = FIRST_DELAY
        back = False
        while not back:
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
            try:
                await part.start()
                back = True
            except StartError as failure:
                say(f"{failure}\ntrying again in {delay:.1f} s")
        changed()
        say(f"{name} is back, pid {part.pid}")


def _manner(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"

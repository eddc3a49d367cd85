"""RabbitMQ and MongoDB from testcontainers, where a Docker engine has their images. Tests fetch none."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local import mongodb, rabbitmq
from deploy.local.process import POLL, free_port
from deploy.local.servers import Server

RABBITMQ_IMAGE = os.environ.get("RABBITMQ_IMAGE", "rabbitmq:4")
MONGODB_IMAGE = os.environ.get("MONGODB_IMAGE", "mongo:7")
START_DEADLINE = 60.0


def missing(*images: str) -> str | None:
    """Why these cannot be run here; None where an engine answers and has all of them."""
    try:
        client = docker.from_env(timeout=5)
    except (DockerException, OSError):
        return "no Docker engine runs here"
    try:
        for image in images:
            client.images.get(image)
    except ImageNotFound:
        return f"the Docker engine has no {image}"
    finally:
        client.close()
    return None


class Container:
    """One server with the handles of a private node. Its port is chosen once, since a restart would draw another."""

    def __init__(self, container: DockerContainer, url: str, ready: Callable[[], Awaitable[bool]]) -> None:
        self.url = url
        self.pid: int | None = None
        self._container = container
        self._ready = ready
        self._created = False

    @property
    def _wrapped(self) -> Any:
        return self._container.get_wrapped_container()

    async def start(self) -> None:
        """Returns when it takes work."""
        await asyncio.to_thread(self._wrapped.start if self._created else self._container.start)
        self._created = True
        await asyncio.to_thread(self._wrapped.reload)
        self.pid = self._wrapped.attrs["State"]["Pid"]
        async with asyncio.timeout(START_DEADLINE):
            while not await self._ready():
                await asyncio.sleep(POLL)

    async def stop(self) -> None:
        """Its data stay in it."""
        await asyncio.to_thread(self._wrapped.stop)

    async def kill(self) -> None:
        """As a crash would."""
        await asyncio.to_thread(self._wrapped.kill)

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def wait(self) -> int:
        """Returns when it has ended."""
        return int((await asyncio.to_thread(self._wrapped.wait))["StatusCode"])

    async def remove(self) -> None:
        """With its data."""
        if self._created:
            await asyncio.to_thread(self._container.stop)


@asynccontextmanager
async def servers() -> AsyncIterator[tuple[Server, Server]]:
    """RabbitMQ and MongoDB, started; removed in the end."""
    both = rabbitmq_container(RABBITMQ_IMAGE), _mongodb(free_port())
    try:
        await asyncio.gather(*(server.start() for server in both))
        yield both
    finally:
        await asyncio.gather(*(server.remove() for server in both))


def rabbitmq_container(image: str) -> Container:
    """RabbitMQ of this image, not started yet; the caller removes it."""
    testcontainers_config.ryuk_disabled = True  # one more image; we remove what we start
    port = free_port()
    container = DockerContainer(image).with_bind_ports(5672, port)
    container.with_kwargs(hostname="palabre")  # a node's data belong to its name
    container.with_volume_mapping(str(rabbitmq.ADVANCED), "/etc/rabbitmq/advanced.config")
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    return Container(container, url, lambda: rabbitmq.answers(url))


def _mongodb(port: int) -> Container:
    # The same port within and without: the one member of the set is known to itself and to us by one address.
    container = DockerContainer(MONGODB_IMAGE).with_bind_ports(port, port)
    container.with_command(["--replSet=rs0", "--bind_ip_all", f"--port={port}", "--wiredTigerCacheSizeGB=0.5"])
    return Container(container, mongodb.set_url(port), lambda: mongodb.writable(port))

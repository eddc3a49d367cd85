"""The system of deploy/compose.yaml, built and started for a test: its containers, and how its servers are asked."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import yaml
from aio_pika.abc import AbstractChannel

from contracts.topology import Topology
from deploy.local.process import free_port
from tests.faults.people import Crowd

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
OURS = ("gateway", "persister", "notifier")
TRIED = ("proxy", *OURS, "rabbitmq", "mongodb")
PASSWORD = "palabre"
MEMORY = 256 * 1024 * 1024  # bytes that each container of ours may take


def missing(rabbitmq: str) -> str | None:
    """Why nothing can be run here with this RabbitMQ. Tests fetch no image."""
    if shutil.which("docker") is None or not _answers("docker", "info"):
        return "no Docker engine runs here"
    if not _answers("docker", "compose", "version"):
        return "docker has no Compose here"
    base = os.environ.get("PYTHON_IMAGE", "python:3.12-slim-bookworm")
    for image in (base, rabbitmq, *(_image(SERVICES[name]["image"]) for name in ("proxy", "mongodb"))):
        if not _answers("docker", "image", "inspect", image):
            return f"the Docker engine has no {image}"
    return None


def _answers(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _image(text: str) -> str:
    """`${MONGODB_IMAGE:-mongo:7}` in this environment."""
    found = re.fullmatch(r"\$\{(\w+):-(.+)\}", text)
    assert found is not None
    return os.environ.get(found[1], found[2])


class Composed:
    """Runs inside its block, with bounds of memory and with its servers' ports open to this machine.

    Attributes:
        url, ws: of the proxy, the one way in.
    """

    def __init__(self, rabbitmq: str, folder: Path) -> None:
        self.project = f"palabre-test-{uuid4().hex[:8]}"
        proxy, self._amqp, self._mongodb = free_port(), free_port(), free_port()
        self.url, self.ws = f"http://127.0.0.1:{proxy}", f"ws://127.0.0.1:{proxy}/ws/chat"
        self.notes: list[str] = []
        self.topology = Topology(partitions=16)
        self.crowd = Crowd(lambda: [self], seed=0, rooms=4, pace=0.2)
        self._environment = {
            **os.environ,
            "IMAGE_PREFIX": f"{self.project}-",
            "TAG": "test",
            "PORT": str(proxy),
            "RABBITMQ_IMAGE": rabbitmq,
        }
        added = {
            **{name: {"mem_limit": MEMORY} for name in OURS},
            "rabbitmq": {"ports": [f"127.0.0.1:{self._amqp}:5672"]},
            "mongodb": {"ports": [f"127.0.0.1:{self._mongodb}:27017"]},
        }
        more = folder / "compose.yaml"
        more.write_text(yaml.safe_dump({"services": added}))
        self._compose = ["docker", "compose", f"--file={FILE}", f"--file={more}", f"--project-name={self.project}"]

    async def __aenter__(self) -> "Composed":
        try:
            await self.run(sys.executable, "-m", "deploy.images")
            await self.compose("up", "--wait", *TRIED)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.crowd.leave()
        print(await self.compose("logs", "--tail=20"))
        await self.compose("down", "--volumes", "--timeout=5")
        await self.run("docker", "rmi", *(f"{self.project}-{name}:test" for name in OURS))

    async def run(self, *command: str) -> str:
        """What a command prints; fails where that does."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode(errors="replace")
        assert process.returncode == 0, f"{command}: {output[-5000:]}"
        return output

    async def compose(self, *command: str) -> str:
        """`docker compose` of this project."""
        return await self.run(*self._compose, *command)

    async def containers(self, service: str) -> list[str]:
        """The ids of those that run."""
        return (await self.compose("ps", "--quiet", service)).split()

    async def inspected(self, container: str) -> dict[str, Any]:
        """What the engine knows of it."""
        return dict(json.loads(await self.run("docker", "inspect", container))[0])

    async def replace(self, service: str) -> None:
        """Every container by a new one, which works before the old one is asked to end: as Kubernetes rolls."""
        old = await self.containers(service)
        for container in old:
            await self.compose(
                "up", "--detach", "--wait", "--no-deps", "--no-recreate", f"--scale={service}={len(old) + 1}", service
            )
            await self.run("docker", "stop", "--time=40", container)
            if code := (await self.inspected(container))["State"]["ExitCode"]:
                self.notes.append(f"{service} ended with {code} on SIGTERM")
            await self.run("docker", "rm", container)

    # ----------------------------------------------------------------------------------- what the checker looks at

    @property
    def mongodb(self) -> tuple[str, str]:
        """URL and database."""
        return f"mongodb://127.0.0.1:{self._mongodb}/?directConnection=true", "palabre"

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """To RabbitMQ."""
        connection = await aio_pika.connect(f"amqp://palabre:{PASSWORD}@127.0.0.1:{self._amqp}/", timeout=10)
        async with connection:
            yield await connection.channel()

    async def whole(self) -> None:
        """Until every container is healthy."""
        await self.compose("up", "--wait", "--no-recreate", "--no-deps", *TRIED)

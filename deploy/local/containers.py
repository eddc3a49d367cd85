"""RabbitMQ or MongoDB in a container, where a Docker engine runs: the services of servers.compose.yaml."""

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.local import mongodb, rabbitmq
from deploy.local.process import POLL, StartError, claim_ports, read_ports

COMPOSE_FILE = Path(__file__).with_name("servers.compose.yaml")
START_DEADLINE = 120.0


def engine_runs() -> bool:
    return shutil.which("docker") is not None and all(
        subprocess.run(["docker", *command], capture_output=True, check=False).returncode == 0
        for command in (["info"], ["compose", "version"])
    )


class Container:
    """One service of the compose file, with the same handles as a private node."""

    def __init__(
        self, service: str, folder: Path, url: Callable[[int], str], ready: Callable[[int], Awaitable[bool]]
    ) -> None:
        self.service = service
        self.folder = folder.resolve()
        self.pid: int | None = None
        self._url = url
        self._ready = ready
        self._ports: dict[str, int] = {}

    @property
    def url(self) -> str:
        return self._url(self._ports[self.service])

    async def start(self) -> None:
        if not self._ports:
            await self._compose("down")  # what one of us left that was killed
            remembered = self.folder / "ports.json"
            self._ports = claim_ports(remembered, read_ports(remembered, self.service))
        print(f"Starting {self.service} in Docker; its image is fetched once", flush=True)
        try:
            await self._compose("create", self.service)  # may take as long as the network needs
            async with asyncio.timeout(START_DEADLINE):
                await self._compose("up", "--detach", self.service)
                while not await self._ready(self._ports[self.service]):
                    await asyncio.sleep(POLL)
        except TimeoutError:
            log = await self._compose("logs", "--tail=20", self.service)
            await self.stop()
            raise StartError(f"{self.service} in Docker did not answer in time\n{log}") from None
        except BaseException:
            await self.stop()
            raise
        container = await self._compose("ps", "--quiet", self.service)
        self.pid = int(await _output("docker", "inspect", "--format={{.State.Pid}}", container)) or None

    async def stop(self) -> None:
        await self._compose("down")  # the data are in a volume, and stay

    async def kill(self) -> None:
        await self._compose("kill", self.service)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def wait(self) -> int:
        """Until it ends, by whoever's hand."""
        return int(await _output("docker", "wait", await self._compose("ps", "--all", "--quiet", self.service)))

    async def _compose(self, *command: str) -> str:
        # A project per folder: two checkouts run side by side, and each server comes and goes by itself.
        project = f"palabre-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"
        ports = {f"{service.upper()}_PORT": str(port) for service, port in self._ports.items()}
        return await _output(
            "docker", "compose", f"--file={COMPOSE_FILE}", f"--project-name={project}", *command, **ports
        )


def rabbitmq_container(folder: Path) -> Container:
    def url(port: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port}/"

    return Container("rabbitmq", folder, url, lambda port: rabbitmq.answers(url(port)))


def mongodb_container(folder: Path) -> Container:
    return Container("mongodb", folder, mongodb.set_url, mongodb.writable)


async def _output(*command: str, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us alone
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise StartError(f"`{' '.join(command)}` failed:\n{errors.decode(errors='replace')[-2000:]}")
    return output.decode().strip()

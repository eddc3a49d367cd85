"""`make run`: RabbitMQ, MongoDB and every service on this machine, until Ctrl-C.

Its own settings are GATEWAYS, PERSISTERS, NOTIFIERS, PORT, HOST, RUN_DIR and RABBITMQ_MANAGEMENT. All of its
environment is passed on to the services, so each of their settings can be overridden too.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local import logs, supervisor
from deploy.local.process import (
    StartError,
    end_leftover,
    free_port,
    port_is_free,
    sole_use,
    write_atomically,
)
from deploy.local.servers import Server, find_mongodb, find_rabbitmq, run_dir
from deploy.local.supervisor import Part, Service
from deploy.local.welcome import addresses, invitation, prepare_room


@dataclass(frozen=True)
class Plan:
    """What is to run, from the environment."""

    folder: Path
    host: str
    ports: range
    persisters: int
    notifiers: int
    jwt_secret: str | None

    @property
    def address(self) -> str:
        """Where we reach what listens on `host`."""
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104


def read_plan(folder: Path) -> Plan:
    port = whole_number("PORT", 3000, 1, 65_000)
    return Plan(
        folder=folder,
        host=os.environ.get("HOST") or "127.0.0.1",
        ports=range(port, port + whole_number("GATEWAYS", 2, 1, 100)),
        persisters=whole_number("PERSISTERS", 1, 1, 100),
        notifiers=whole_number("NOTIFIERS", 1, 0, 100),
        jwt_secret=os.environ.get("JWT_SECRET") or (None if os.environ.get("JWT_JWKS_URL") else kept_secret(folder)),
    )


def whole_number(name: str, default: int, least: int, most: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise StartError(f"{name} must be a whole number from {least} to {most}, not {text!r}")
    return int(text)


def kept_secret(folder: Path) -> str:
    """The same at each run, so that tokens of yesterday are good today; readable by its owner only."""
    file = folder / "jwt-secret"
    if not file.exists():
        write_atomically(file, secrets.token_urlsafe(48))
    return file.read_text().strip()


class Launcher:
    """Three stages, started in this order and stopped in the reverse one: servers, workers, gateways."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state_file = plan.folder / "state.json"
        self.stopping = False
        self.servers: dict[str, Server] = {}
        self.workers: dict[str, Service] = {}
        self.gateways: dict[str, Service] = {}

    @property
    def services(self) -> dict[str, Service]:
        return self.workers | self.gateways

    @property
    def parts(self) -> dict[str, Part]:
        return {**self.servers, **self.services}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self.start_servers()
            self.name_services()
            async with asyncio.TaskGroup() as group:
                for name, service in self.services.items():
                    group.create_task(logs.follow(name, service.log_file, say))
                say(f"Starting {', '.join(self.services)}")
                await supervisor.start(self.services)
                self.write_state()
                await self.welcome()
                await supervisor.keep(self.parts, self.write_state, say)
        finally:
            self.stopping = True
            await self.stop()

    async def start_servers(self) -> None:
        self.servers["rabbitmq"] = find_rabbitmq(
            self.plan.folder / "rabbitmq", management=whole_number("RABBITMQ_MANAGEMENT", 0, 0, 1) == 1
        )
        self.servers["mongodb"] = find_mongodb(self.plan.folder / "mongodb")
        say("Starting RabbitMQ and MongoDB")
        await supervisor.start(self.servers)

    def name_services(self) -> None:
        plan = self.plan
        common = {
            "HOST": plan.host,
            "AMQP_URL": self.servers["rabbitmq"].url,
            "MONGODB_URL": self.servers["mongodb"].url,
        }
        for kind, number in (("persister", plan.persisters), ("notifier", plan.notifiers)):
            for name in numbered(kind, number):
                port = free_port(plan.host)
                self.workers[name] = self.service(name, kind, port, common | {"HTTP_PORT": str(port)})
        for name, port in zip(numbered("gateway", len(plan.ports)), plan.ports, strict=True):
            settings = common | {"PORT": str(port), "AUTH_DEV": os.environ.get("AUTH_DEV") or "1"}
            if plan.jwt_secret:
                settings["JWT_SECRET"] = plan.jwt_secret
            self.gateways[name] = self.service(name, "gateway", port, settings)

    def service(self, name: str, kind: str, port: int, settings: dict[str, str]) -> Service:
        url = f"http://{self.plan.address}:{port}"
        return Service(name, f"services.{kind}", url, settings, self.plan.folder)

    def state(self) -> dict[str, Any]:
        def described(services: dict[str, Service], kind: str) -> list[dict[str, Any]]:
            return [{"url": s.url, "pid": s.pid} for name, s in services.items() if name.startswith(kind)]

        return {
            "gateways": [
                {"url": s.url, "ws": f"ws{s.url.removeprefix('http')}/ws/chat", "pid": s.pid}
                for s in self.gateways.values()
            ],
            "persisters": described(self.workers, "persister"),
            "notifiers": described(self.workers, "notifier"),
            **{name: {"url": server.url, "pid": server.pid} for name, server in self.servers.items()},
            "jwtSecret": self.plan.jwt_secret,
        }

    def write_state(self) -> None:
        """For scripts: it is there while everything is ready, and names the processes that run now."""
        write_atomically(self.state_file, json.dumps(self.state(), indent=2))

    async def welcome(self) -> None:
        say(addresses(self.state(), self.plan.folder / "logs"))
        gateways = [gateway.url for gateway in self.gateways.values()]
        try:
            say(invitation(await prepare_room(gateways[0]), gateways))
        except httpx.HTTPError as error:
            say(f"  The conversation to try it out could not be made: {error}")

    async def stop(self) -> None:
        self.state_file.unlink(missing_ok=True)
        say("\nStopping the gateways, then the workers, then the servers")
        for stage in (self.gateways, self.workers, self.servers):
            await supervisor.stop(stage, say)
        say("Stopped")

    async def hurry(self) -> None:
        """Do not wait for the services any longer. Servers still end in order: they have data to keep."""
        await asyncio.gather(*(service.kill() for service in self.services.values()))


def numbered(kind: str, number: int) -> list[str]:
    return [f"{kind}-{n}" for n in range(1, number + 1)]


def say(text: str) -> None:
    print(text, flush=True)


async def clear_up(folder: Path) -> None:
    """After an earlier run, above all one that was killed."""
    (folder / "state.json").unlink(missing_ok=True)
    await asyncio.gather(*(end_leftover(pid_file) for pid_file in (folder / "pids").glob("*.json")))
    logs.set_aside(folder / "logs")


def check_ports(plan: Plan) -> None:
    """Better said now than after the servers were started."""
    busy = [str(port) for port in plan.ports if not port_is_free(port, plan.host)]
    if busy:
        raise StartError(
            f"Another program listens on port {' and '.join(busy)} of {plan.host}. "
            f"Choose the first of {len(plan.ports)} free ports with PORT, as in: PORT=3100 make run"
        )


async def launch() -> None:
    folder = run_dir()
    with sole_use(folder, f"`make run` runs already in this checkout ({folder}). Stop it, or set RUN_DIR and PORT."):
        await clear_up(folder)
        plan = read_plan(folder)
        check_ports(plan)
        launcher = Launcher(plan)
        running = asyncio.create_task(launcher.run())
        hurrying: list[asyncio.Task[None]] = []

        def on_signal() -> None:
            if launcher.stopping:
                hurrying.append(asyncio.create_task(launcher.hurry()))
            else:
                launcher.stopping = True
                running.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        await asyncio.wait([running])
        if not running.cancelled():  # a stop that was asked for is a normal end
            running.result()


def main() -> None:
    status = 0
    try:
        asyncio.run(launch())
    except* StartError as failures:
        failure: BaseException = failures
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        print(f"\n{failure}", file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()

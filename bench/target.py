"""The running system: its addresses and processes, and the people and rooms that a measurement needs."""

import asyncio
import itertools
import json
import resource
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from contracts import limits

FRONT = ("gateway", "node")  # whose names begin so hold the sockets
AT_ONCE = 20  # REST calls or connections that are made at the same time


class BenchError(Exception):
    """There is no measuring this; the message says what to do."""


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    user_id: str
    token: str


class Archive(Protocol):
    """How a system that is not Palabre gets a long conversation, and shows it."""

    async def fill(self, conversation_id: str, count: int, sender: Person) -> None:
        """Messages 1 to `count`, the number as the first word of each, into a conversation that has none."""

    def page(self, conversation_id: str, before: int, limit: int) -> str:
        """The address, without the host, of the messages before that one."""


@dataclass
class Target:
    """Gateways as (http, ws) pairs, and the pids of all processes that are known."""

    urls: list[tuple[str, str]]
    pids: dict[str, int] = field(default_factory=dict)
    mongodb: str | None = None  # for what is seeded straight into the database
    amqp: str | None = None
    ours: bool = False  # started for this alone, so that a process of it may be killed
    services: dict[str, str] = field(default_factory=dict)  # where workers tell of themselves: /metrics
    archive: Archive | None = None
    _people: list[Person] = field(default_factory=list)

    @property
    def gateway_pids(self) -> list[int]:
        """Of those that hold the sockets."""
        return [pid for name, pid in self.pids.items() if name.startswith(FRONT)]

    def joined_by(self, name: str, pid: int, url: str) -> "Target":
        """The same system with one worker more."""
        return replace(self, pids=self.pids | {name: pid}, services=self.services | {name: url})

    async def people(self, count: int) -> list[Person]:
        """So many people; the same ones at each call."""
        async with self._client() as client:
            gate = asyncio.Semaphore(AT_ONCE)

            async def person(number: int) -> Person:
                async with gate:
                    body = await _call(client, "/api/dev/token", {"userName": f"Bench {number}"})
                    return Person(body["userId"], body["token"])

            missing = range(len(self._people), count)
            self._people += await asyncio.gather(*(person(number) for number in missing))
        return self._people[:count]

    async def room(self, name: str, members: list[Person]) -> str:
        """A new conversation of these; returns its id."""
        if len(members) > limits.MEMBERS_IN_CALL:
            raise BenchError(f"A room has at most {limits.MEMBERS_IN_CALL} members here.")
        async with self._client() as client:
            client.headers["Authorization"] = f"Bearer {members[0].token}"
            body = {"type": "group", "name": name, "memberIds": [person.user_id for person in members]}
            return str((await _call(client, "/api/conversations", body))["id"])

    def sockets(self) -> "itertools.cycle[str]":
        """WebSocket addresses of all gateways in turn, for ever."""
        return itertools.cycle([ws for _, ws in self.urls])

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.urls[0][0], timeout=30, trust_env=False)


def read_state(path: Path) -> Target:
    """What `make run` wrote."""
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}. Start the system with `make run`, or give --url.") from None
    pids: dict[str, int | None] = {}
    for kind in ("gateway", "persister", "notifier"):
        pids |= {f"{kind}-{n}": part["pid"] for n, part in enumerate(state[f"{kind}s"], 1)}
    pids |= {name: state[name]["pid"] for name in ("rabbitmq", "mongodb")}
    return Target(
        [(gateway["url"], gateway["ws"]) for gateway in state["gateways"]],
        {name: pid for name, pid in pids.items() if pid is not None},
        state["mongodb"]["url"],
        state["rabbitmq"]["url"],
        services={
            f"{kind}-{n}": part["url"]
            for kind in ("persister", "notifier")
            for n, part in enumerate(state[f"{kind}s"], 1)
        },
    )


def from_urls(urls: list[str]) -> Target:
    """Gateways by address, without their processes."""
    bare = [url.rstrip("/") for url in urls]
    return Target([(url, f"ws{url.removeprefix('http')}/ws/chat") for url in bare])


def allow_many_sockets() -> None:
    """Raise our own bound on open files as far as we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _call(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = await client.post(path, json=body)
    except httpx.HTTPError as error:
        raise BenchError(f"{client.base_url}: {str(error) or type(error).__name__}") from None
    if answer.is_error:
        hint = " (the target needs AUTH_DEV=1)" if path == "/api/dev/token" and answer.status_code == 404 else ""
        raise BenchError(f"{path} answered {answer.status_code}{hint}: {answer.text[:200]}")
    return dict(answer.json())

"""SIGTERM to a gateway with many sockets, some of whom have just sent something: how it is left, and how they come back."""

import asyncio
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field

import httpx
import orjson

from bench.palabre import SETTINGS, folder
from bench.processes import CpuMeter
from bench.report import Result, percentile
from bench.sockets import AT_ONCE, until
from bench.target import BenchError, Person, Target
from bench.wire import Frame, Wire
from deploy.local.process import free_port
from deploy.local.supervisor import Service

ROOM = 50
SENDERS = 5  # of each room, who send as SIGTERM comes
DRAINED = re.compile(r"closed with 1012 '(.*)'")


@dataclass
class Client:
    """One person with one socket, which comes back when it is told to."""

    person: Person
    room: str
    elsewhere: str
    acked: dict[str, tuple[int, str]] = field(default_factory=dict)  # tempId → seq, message id
    sent: list[str] = field(default_factory=list)
    answered_before: int = 0
    closed_at: float = 0.0
    why: str = ""
    hint: float = 0.0  # seconds
    back_at: float = 0.0
    live: bool = False
    wire: Wire | None = None
    coming_back: asyncio.Task[None] | None = None

    async def connect(self, url: str) -> None:
        """Connect, and join by and by."""
        self.wire = Wire(self._receive, self._ended)
        await self.wire.connect(url)
        self.wire.send({"type": "authenticate", "token": self.person.token})

    def say(self, temp: str) -> None:
        """Send, or send again."""
        assert self.wire is not None
        if temp not in self.sent:
            self.sent.append(temp)
        self.wire.send({"type": "send_message", "conversationId": self.room, "content": temp, "tempId": temp})

    def _receive(self, frame: Frame) -> None:
        match frame["type"]:
            case "authenticated":
                assert self.wire is not None
                self.wire.send({"type": "join_conversation", "conversationId": self.room, "afterSeq": 0})
            case "joined_conversation":
                self.live = True
                if self.closed_at:
                    self.back_at = time.perf_counter()
                    for temp in self.sent:
                        if temp not in self.acked:
                            self.say(temp)
            case "message_sent":
                self.acked[frame["tempId"]] = frame["seq"], frame["messageId"]

    def _ended(self, why: str) -> None:
        self.closed_at, self.live = time.perf_counter(), False
        self.answered_before = len(self.acked)
        self.why = why
        if found := DRAINED.fullmatch(why):
            self.hint = orjson.loads(found[1])["reconnectInMs"] / 1000
        self.coming_back = asyncio.create_task(self._come_back())

    async def _come_back(self) -> None:
        await asyncio.sleep(self.hint)
        await self.connect(self.elsewhere)


async def drain(target: Target, sockets: int) -> Result:
    """A gateway of its own for this, which ends; the sockets come back to the first one."""
    result = Result(f"Drain: SIGTERM to a gateway with {sockets:,} sockets, while some send")
    if not target.ours:
        result.rows = [("unknown", "a further gateway knows the key of tokens only in a system of our own")]
        return result
    people = await target.people(sockets)
    rooms = [await target.room(f"bench drain {at}", people[at : at + ROOM]) for at in range(0, sockets, ROOM)]
    elsewhere = target.urls[0][1]
    clients = [Client(person, rooms[number // ROOM], elsewhere) for number, person in enumerate(people)]
    service = _third(target)
    await service.start()
    try:
        assert service.pid is not None
        gate = asyncio.Semaphore(AT_ONCE)

        async def enter(client: Client) -> None:
            async with gate:
                await client.connect(f"ws{service.url.removeprefix('http')}/ws/chat")

        await asyncio.gather(*(enter(client) for client in clients))
        await until(lambda: all(client.live or client.why for client in clients), "everybody to have joined")
        if refused := next((client.why for client in clients if client.why), None):
            raise BenchError(f"The gateway did not let everybody in: {refused}")
        meter = CpuMeter(target.pids | {"gateway-drained": service.pid})
        meter.start()
        for number, client in enumerate(clients):
            if number % ROOM < SENDERS:
                client.say(f"drain {number}")
        began = time.perf_counter()
        stopping = asyncio.create_task(service.stop())
        unready = await _until_unready(service.url)
        await stopping
        ended = time.perf_counter()
        senders = [client for client in clients if client.sent]
        await until(lambda: all(client.live for client in clients), "everybody to be back")
        await until(lambda: all(client.acked for client in senders), "everything to be stored")
        result.cpu, result.seconds = meter.stop(), time.perf_counter() - began
        result.unit, result.count = "socket", sockets
        result.faults = _faults(clients)
        closes = sorted(client.closed_at - began for client in clients)
        hints = [client.hint for client in clients]
        backs = [client.back_at - began for client in clients]
        answered = sum(client.answered_before for client in senders)
        result.rows = [
            ("not ready after", f"{unready - began:,.2f} s"),
            ("sent as SIGTERM came, answered before the close", f"{answered} of {len(senders)}"),
            ("first / last socket closed after", f"{closes[0]:,.2f} / {closes[-1]:,.2f} s"),
            (
                "reconnectInMs, p1 / p50 / p99",
                " / ".join(f"{percentile(hints, p) * 1000:,.0f}" for p in (0.01, 0.5, 0.99)),
            ),
            ("process ended after", f"{ended - began:,.2f} s"),
            ("half / all back and joined after", f"{percentile(backs, 0.5):,.2f} / {max(backs):,.2f} s"),
        ]
        result.figures["drain: seconds until the process ended"] = ended - began
        result.figures["drain: seconds until everybody is back"] = max(backs)
        return result
    finally:
        await service.stop()
        for client in clients:
            if client.coming_back is not None:
                client.coming_back.cancel()
            if client.wire is not None:
                client.wire.close()


def _third(target: Target) -> Service:
    port = free_port()
    servers = {"AMQP_URL": target.amqp or "", "MONGODB_URL": target.mongodb or ""}
    settings = {**SETTINGS, **servers, "PORT": str(port)}
    return Service("gateway-drained", "services.gateway", f"http://127.0.0.1:{port}", settings, folder() / "drained")


async def _until_unready(url: str) -> float:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while True:
            try:
                ready = (await client.get(f"{url}/readyz")).status_code == httpx.codes.OK
            except httpx.TransportError:
                ready = False  # it listens no more
            if not ready:
                return time.perf_counter()
            await asyncio.sleep(0.005)


def _faults(clients: list[Client]) -> list[str]:
    faults = [client.why for client in clients if not DRAINED.fullmatch(client.why)]
    numbers: dict[str, list[int]] = defaultdict(list)
    for client in clients:
        for seq, _ in client.acked.values():
            numbers[client.room].append(seq)
    for room, seqs in numbers.items():
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            faults.append(f"{room}: the acknowledged seqs are {sorted(seqs)}")
    return faults

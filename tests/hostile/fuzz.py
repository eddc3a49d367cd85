"""`make fuzz`: very many frames that nobody thought of, at a running system; nothing may fail, and memory stays flat.

Each frame is read: behind it the connection answers a ping, or it is the one that ended the connection. Limits of rates and
of invalid frames are off for that. Whatever is not read, or ends a connection without being made to, is told and a failure.
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from deploy.local.process import interrupted_by_sigterm
from deploy.local.servers import mongodb, rabbitmq
from tests.hostile.fuzzed_frames import Frames, Made, World
from tests.support.chat_client import Rest
from tests.support.logs import Logs
from tests.support.raw_socket import CLOSE, PING, PONG, TEXT, RawSocket, frame
from tests.support.system import Process, System

SETTINGS = {
    "RATE_LIMITS": "0",
    "MAX_INVALID_FRAMES": "0",
    "HEARTBEAT_INTERVAL": "600",
    "MAX_CONNECTIONS_PER_USER": "0",
    "READ_INTERVAL": "0.05",
    "WEBHOOKS": "everybody",
    "CALL_NETWORKS": "127.0.0.0/8",
}
PEOPLE = 8  # each with one connection, by turns to each gateway
ROOMS = 8
BATCH = 50
UNANSWERED = 40  # good frames of a connection that may wait for their answers
STEPS = 10  # memory is looked at so often
FLAT = 1.05  # memory grows by less from the middle to the end


@dataclass
class Report:
    """What was seen."""

    read: int = 0
    answered: int = 0  # good frames that were answered
    unread: int = 0  # behind one that ended the connection and was not made to
    unanswered: int = 0  # good frames whose connection ended before
    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    closes: Counter[int] = field(default_factory=Counter)
    unexpected: Counter[int] = field(default_factory=Counter)
    memory: list[dict[str, float]] = field(default_factory=list)  # MiB of each process, at each step

    @property
    def sent(self) -> int:
        """All frames that were made."""
        return self.read + self.unread


class Fuzzer:
    """One person's frames, over one connection after the other."""

    def __init__(self, process: Process, world: World, person: str, seed: int, report: Report) -> None:
        self._process = process
        self._world = world
        self._person = person
        self._frames = Frames(seed, world, person)
        self._report = report
        self._asked: set[str] = set()
        self._batches = 0

    async def run(self, count: int, progress: Callable[[], None] = lambda: None) -> None:
        """Send so many; `progress` is called after each batch."""
        left = count
        while left > 0:
            async with RawSocket.open(self._process.url) as socket:
                await self._begin(socket)
                going = True
                while going and (left > 0 or self._asked):
                    batch = self._batch(min(BATCH, left))
                    left -= len(batch)
                    if batch and batch[-1].may_close and self._batches % 2:
                        # Not always amid work, or much of it would have no answer.
                        *batch, last = batch
                        going = await self._send(socket, batch, all_answered=True)
                        batch = [last]
                    going = going and await self._send(socket, batch, all_answered=left == 0)
                    progress()
            self._report.unanswered += len(self._asked)
            self._asked.clear()

    async def _begin(self, socket: RawSocket) -> None:
        token = self._world.tokens[self._person]
        socket.write(frame(TEXT, json.dumps({"type": "authenticate", "token": token}).encode()))
        for room in self._world.rooms[:2]:
            socket.write(frame(TEXT, json.dumps({"type": "join_conversation", "conversationId": room}).encode()))

    def _batch(self, size: int) -> list[Made]:
        """Frames up to one that may end the connection, so that nothing is sent behind that."""
        batch: list[Made] = []
        while len(batch) < size and not (batch and batch[-1].may_close):
            batch.append(self._frames.next())
        return batch

    async def _send(self, socket: RawSocket, batch: list[Made], *, all_answered: bool) -> bool:
        """Send these, and take answers until they are read; whether the connection is still there."""
        self._batches += 1
        ping = f"ping-{self._batches}"
        asked = {made.request_id for made in batch if made.request_id}
        self._asked |= asked
        try:
            socket.write(*(made.data for made in batch))
            socket.write(frame(TEXT, b'{"type":"ping","requestId":"%b"}' % ping.encode()))
            pinged = False
            while not pinged or len(self._asked) > (0 if all_answered else UNANSWERED):
                found = await socket.frame()
                if found.opcode == CLOSE:
                    return self._ended(found.code or 1005, batch)
                if found.opcode == PING:
                    socket.write(frame(PONG, found.payload))
                elif found.opcode == TEXT:
                    pinged |= self._answered(found.payload) == ping
        except (asyncio.IncompleteReadError, ConnectionError):
            return self._ended(1006, batch)
        self._report.read += len(batch)
        return True

    def _ended(self, code: int, batch: list[Made]) -> bool:
        expected = bool(batch) and batch[-1].may_close
        self._report.closes[code] += 1
        if expected:
            self._report.read += len(batch)
        else:
            self._report.unread += len(batch)
            self._report.unexpected[code] += 1
        return False

    def _answered(self, payload: bytes) -> str | None:
        """Note what came; the request that it answers."""
        answer = json.loads(payload)
        self._report.answers[answer["type"]] += 1
        if "code" in answer:
            self._report.errors[answer["code"]] += 1
        if answer["type"] in ("message_sent", "new_message"):
            message = answer.get("message") or {"id": answer.get("messageId"), **answer}
            room, seq = message["conversationId"], message["seq"]
            if seq > self._world.heads[room]:
                self._world.heads[room] = seq
                self._world.messages[room].append(message["id"])
        request_id: str | None = answer.get("requestId")
        if request_id in self._asked:
            self._asked.discard(request_id)
            self._report.answered += 1
        return request_id


def resident(process: Process) -> float:
    """MiB of memory that a process has in use."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def judged(process: Process) -> int:
    """How many frames a gateway has judged by their type."""
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{process.url}/metrics")).text.splitlines()
    return int(sum(float(line.split()[1]) for line in lines if line.startswith("palabre_gateway_frames_in_total{")))


async def make_world(process: Process) -> World:
    """Some people, and groups of all of them."""
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Rest(process.url)) for _ in range(PEOPLE)]
        tokens = {}
        for number, person in enumerate(people):
            token = await person.login(f"Fuzzy {number}")
            tokens[person.user_id] = token
        rooms = [await people[0].create_conversation(list(tokens), f"room {number}") for number in range(ROOMS)]
        return World(tokens, [room["id"] for room in rooms])


async def fuzz(
    gateways: list[Process], world: World, seed: int, count: int, report: Report, memory: Callable[[], None]
) -> None:
    """Send so many frames of everybody; `memory` is called at each step."""
    steps = iter([count * step // STEPS for step in range(1, STEPS + 1)])
    due = next(steps)

    def progress() -> None:
        nonlocal due
        if report.sent >= due:
            memory()
            due = next(steps, sys.maxsize)

    shares = [count * (n + 1) // PEOPLE - count * n // PEOPLE for n in range(PEOPLE)]
    fuzzers = [
        Fuzzer(gateways[n % len(gateways)], world, person, seed * PEOPLE + n, report)
        for n, person in enumerate(world.tokens)
    ]
    await asyncio.gather(*(one.run(share, progress) for one, share in zip(fuzzers, shares, strict=True)))


def growth(memory: list[dict[str, float]]) -> dict[str, float]:
    """How much larger each process is in the end than in the middle."""
    middle, end = memory[len(memory) // 2], memory[-1]
    return {name: end[name] / middle[name] for name in end}


@asynccontextmanager
async def running() -> AsyncIterator[System]:
    """All services, with servers of their own."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            rabbitmq(folder / "rabbitmq") as broker,
            mongodb(folder / "mongodb") as database,
            System(broker.url, database.url, logs=folder, **SETTINGS) as system,
        ):
            async with asyncio.timeout(60):
                await system.ready()
            yield system


async def run(count: int, seed: int) -> bool:
    """So many frames; whether it was well."""
    report = Report()
    async with running() as system:
        logs = Logs(system.processes)
        names = {process.log.stem: process for process in system.processes}
        world = await make_world(system.gateways[0])
        started = time.monotonic()

        def look() -> None:
            report.memory.append({name: resident(process) for name, process in names.items()})
            sizes = ", ".join(f"{name} {size:.0f}" for name, size in report.memory[-1].items())
            print(f"{report.sent:,} frames, {time.monotonic() - started:.0f} s; MiB: {sizes}", flush=True)

        look()
        await fuzz(system.gateways, world, seed, count, report, look)
        seconds = time.monotonic() - started
        await system.ready()
        typed = sum([await judged(gateway) for gateway in system.gateways])
        faults = logs.faults()
    grown = growth(report.memory)
    print(
        f"{report.sent:,} frames in {seconds:,.0f} s, {report.sent / seconds:,.0f} a second, seed {seed}",
        f"read: {report.read:,}; {typed:,} had a type, by the gateways' own count with our pings",
        f"good ones that were answered: {report.answered:,}; {sum(world.heads.values()):,} messages are stored",
        f"not read: {report.unread:,}; their connection ended before their answer: {report.unanswered:,}",
        f"answers: {dict(report.answers.most_common())}",
        f"errors: {dict(report.errors.most_common())}",
        f"closes: {dict(report.closes)}, of these not expected: {dict(report.unexpected)}",
        "grown from the middle to the end: " + ", ".join(f"{name} {by - 1:+.1%}" for name, by in grown.items()),
        f"faults in the logs: {len(faults)}",
        *faults[:5],
        sep="\n",
    )
    return not (faults or report.errors["INTERNAL"] or report.unread or max(grown.values()) > FLAT)


async def run_calls(count: int, seed: int) -> bool:
    """So many calls of each operation of the OpenAPI document; whether it was well."""
    from tests.hostile.calls import examine, operations, things  # imports what frames need not wait for

    async with running() as system:
        logs, url, seen = Logs(system.processes), system.gateways[0].url, Counter[int]()
        async with Rest(url) as rest:
            token = await rest.login("Caller")
        for operation in operations().values():
            seen += await asyncio.to_thread(examine, operation, url, token, await things(url, token), count, seed)
        faults = logs.faults()
    print(f"{seen.total():,} calls, seed {seed}; by status: {dict(sorted(seen.items()))}")
    print(f"faults in the logs: {len(faults)}", *faults[:5], sep="\n")
    return not faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--calls", type=int, help="in place of frames: so many calls of each operation over REST")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    interrupted_by_sigterm()
    work = run_calls(arguments.calls, arguments.seed) if arguments.calls else run(arguments.frames, arguments.seed)
    sys.exit(0 if asyncio.run(work) else 1)

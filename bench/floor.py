"""The floor of this machine: what a send, a published message and an insert cost at least, with no chat around them."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from pamqp import commands
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from bench.palabre import folder
from bench.processes import cpu_seconds
from bench.report import Result, number
from bench.target import Target
from contracts.topology import Binding, Exchange, Queue
from services.amqp import Channel, Inbox, Outgoing, Subscription, connect
from services.amqp.declarations import exchange_declaration, queue_binding, queue_declaration

FRAME = b"\x81\x7e\x01\x2c" + b"x" * 300  # a message of ordinary length, prepared
SOCKETS, TOGETHER = 200, 8
PUBLISHED, PUBLISH_BATCH, ALONE = 5000, 100, 100
FANNED_OUT, FANNED_AT_ONCE = 2000, 20  # messages to many queues, and on the way at a time
FANOUT_QUEUES = (1, 20)
FANOUT_BODY = b"x" * 3000  # what a batch of some messages takes
INSERTS = {1: 300, 20: 100, 200: 30}  # documents of one insert: how many inserts
SYNCS = 200

SEND_ROUNDS, SEND_PAUSE, READER_TIMEOUT = 20, 0.02, 10.0
SEND = "floor: send of a frame, CPU µs"
SEND_WAITED = "floor: send of a frame to a reader that waits, CPU µs"
SEND_TOGETHER = f"floor: send of {TOGETHER} in one write, CPU µs a frame"
PUBLISH_ALONE = "floor: AMQP publish and confirm, one by one, ms"
PUBLISH_CLIENT = "floor: AMQP publish and confirm, our client's CPU µs"
PUBLISH_BROKER = "floor: AMQP publish and confirm, broker's CPU µs"
FANOUT_BROKER = "floor: AMQP delivery to one more queue of a fan-out, broker's CPU µs"
SYNC = "floor: fdatasync, ms"


def _insert(batch: int) -> str:
    return f"floor: MongoDB majority insert, {batch} at once, µs a document"


def _insert_cpu(batch: int, side: str) -> str:
    return f"floor: MongoDB majority insert, {batch} at once, {side}'s CPU µs"


async def floor(target: Target) -> Result:
    """All of it."""
    result = Result("The floor of this machine")
    figures = result.figures
    figures[SEND], figures[SEND_TOGETHER] = await asyncio.to_thread(_sends)
    figures[SEND_WAITED] = await asyncio.to_thread(_sends_waited)
    figures[SYNC] = await asyncio.to_thread(_sync) * 1000
    if target.amqp is not None:
        figures |= await _publishes(target.amqp, target.pids.get("rabbitmq"))
        figures |= await _fanouts(target.amqp, target.pids.get("rabbitmq"))
    if target.mongodb is not None:
        figures |= await _inserts(target.mongodb, target.pids.get("mongodb"))
    result.rows = [(name.removeprefix("floor: "), number(value)) for name, value in figures.items()]
    return result


def ratios(figures: dict[str, float], floor: dict[str, float]) -> dict[str, float]:
    """For our figures that have a counterpart: how many times the floor they are."""
    found = {}
    for name, value in figures.items():
        if "gateway CPU µs a frame" in name:
            least = floor.get(SEND_TOGETHER if "flat out" in name else SEND_WAITED)
        elif "CPU µs a message" in name and name.startswith("rabbitmq"):
            least = floor.get(PUBLISH_BROKER)
        elif "CPU µs a message" in name and name.startswith("mongodb"):
            least = floor.get(_insert_cpu(20, "server"))
        elif name.startswith("send → delivered p50"):
            inserted = floor.get(_insert(1))
            least = inserted / 1000 if inserted is not None else None  # nothing is told before it is stored
        else:
            least = None
        if least:
            found[name] = value / least
    return found


# --------------------------------------------------------------------------------------------------------- sockets


def _sends() -> tuple[float, float]:
    """CPU µs a frame, one by one and so many in one write; over real TCP sockets, as every client has one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(SOCKETS)
        pairs = []
        for _ in range(SOCKETS):
            near = socket.create_connection(listener.getsockname())
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pairs.append((near, listener.accept()[0]))
    try:
        return _send_all(pairs, 1), _send_all(pairs, TOGETHER)
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def _send_all(pairs: list[tuple[socket.socket, socket.socket]], together: int, rounds: int = 40) -> float:
    data = FRAME * together
    spent = 0.0
    for _ in range(rounds):
        start = time.thread_time()
        for near, _ in pairs:
            near.send(data)
        spent += time.thread_time() - start
        for _, far in pairs:  # the peer's own cost is not counted
            left = len(data)
            while left:
                left -= len(far.recv(left))
    return spent * 1e6 / (rounds * len(pairs) * together)


def _sends_waited() -> float:
    """CPU µs a frame, one by one, to sockets of a process that sleeps until they come: as at a trickle."""
    spent = 0.0
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=SOCKETS))
        listener.settimeout(READER_TIMEOUT)
        drain = [sys.executable, "-m", "bench.drain", str(listener.getsockname()[1]), str(SOCKETS)]
        stack.enter_context(subprocess.Popen(drain))  # it ends when the sockets are closed, before it is waited for
        peers = [stack.enter_context(listener.accept()[0]) for _ in range(SOCKETS)]
        for peer in peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(SEND_ROUNDS):
            time.sleep(SEND_PAUSE)  # until it sleeps
            start = time.thread_time()
            for peer in peers:
                peer.send(FRAME)
            spent += time.thread_time() - start
    return spent * 1e6 / (SEND_ROUNDS * SOCKETS)


# --------------------------------------------------------------------------------------------------------- the disk


def _sync() -> float:
    """Seconds of one fdatasync after a small write, where the data of the bench are."""
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder()) as file:
        took = []
        for _ in range(SYNCS):
            os.write(file.fileno(), b"x" * 512)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2]


# -------------------------------------------------------------------------------------------------------- the broker


async def _publishes(url: str, pid: int | None) -> dict[str, float]:
    """Persistent messages to a quorum queue and a stream, so many in flight, as every event is published."""
    name = f"bench.{uuid.uuid4().hex}"
    exchange = Exchange(name, "topic")
    queues = [Queue(f"{name}.quorum", {"x-queue-type": "quorum"}), Queue(f"{name}.log", {"x-queue-type": "stream"})]
    batch = [Outgoing(name, "chat.message", b"x" * 300, mandatory=True)] * PUBLISH_BATCH
    async with _channel(url) as channel:
        await channel.call(exchange_declaration(exchange))
        try:
            for queue in queues:
                await channel.call(queue_declaration(queue))
                await channel.call(queue_binding(Binding(name, queue.name, "#")))
            await channel.publish(batch)
            start = time.perf_counter()
            for message in batch[:ALONE]:
                await channel.publish([message])
            alone = (time.perf_counter() - start) / ALONE
            before, mine, start = _cpu(pid), time.process_time(), time.perf_counter()
            for _ in range(PUBLISHED // PUBLISH_BATCH):
                await channel.publish(batch)
            mine, elapsed = time.process_time() - mine, time.perf_counter() - start
            await asyncio.sleep(0.3)  # what the broker puts off
            broker = _cpu(pid) - before
        finally:
            for queue in queues:
                await channel.call(commands.Queue.Delete(queue=queue.name))
            await channel.call(commands.Exchange.Delete(exchange=name))
    figures = {PUBLISH_ALONE: alone * 1000, PUBLISH_CLIENT: mine * 1e6 / PUBLISHED}
    if pid is not None:
        figures[PUBLISH_BROKER] = broker * 1e6 / PUBLISHED
    return figures | {f"floor: AMQP messages/s, {PUBLISH_BATCH} in flight": PUBLISHED / elapsed}


async def _fanouts(url: str, pid: int | None) -> dict[str, float]:
    """What a queue more costs the broker: transient messages to one queue like a gateway's and to many, all consumed."""
    if pid is None:
        return {}
    few, many = FANOUT_QUEUES
    first, last = await _fanout(url, pid, few), await _fanout(url, pid, many)
    return {FANOUT_BROKER: (last - first) * 1e6 / (FANNED_OUT * (many - few))}


async def _fanout(url: str, pid: int, queues: int) -> float:
    """The broker's CPU seconds."""
    name = f"bench.{uuid.uuid4().hex}"
    inbox, arrived = Inbox(), 0
    async with _channel(url) as channel:
        await channel.call(exchange_declaration(Exchange(name, "fanout")))
        connection = await connect(url, "bench floor, gateways")
        try:
            for number in range(queues):
                queue = Queue(f"{name}.{number}", durable=False, exclusive=True, auto_delete=True)
                await Subscription(queue, inbox, 200, [Binding(name, queue.name)]).open(connection)
            before = _cpu(pid)
            for sent in range(FANNED_AT_ONCE, FANNED_OUT + 1, FANNED_AT_ONCE):
                await channel.publish([Outgoing(name, "", FANOUT_BODY, persistent=False)] * FANNED_AT_ONCE)
                while arrived < sent * queues:
                    deliveries = await inbox.take(FANNED_AT_ONCE * queues)
                    inbox.ack(deliveries)
                    arrived += len(deliveries)
            await asyncio.sleep(0.3)  # what the broker puts off
            return _cpu(pid) - before
        finally:
            await connection.close()
            await channel.call(commands.Exchange.Delete(exchange=name))


def _cpu(pid: int | None) -> float:
    return (cpu_seconds(pid) or 0.0) if pid is not None else 0.0


@asynccontextmanager
async def _channel(url: str) -> AsyncIterator[Channel]:
    connection = await connect(url, "bench floor")
    try:
        yield await connection.channel(confirms=True)
    finally:
        await connection.close()


# ------------------------------------------------------------------------------------------------------ the database


async def _inserts(url: str, pid: int | None) -> dict[str, float]:
    """Microseconds a document, acknowledged by the majority and journaled."""
    name = f"bench_floor_{uuid.uuid4().hex[:8]}"
    figures: dict[str, float] = {}
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        collection = client[name].get_collection("floor", write_concern=WriteConcern(w="majority", j=True))
        try:
            await collection.insert_one(_document())
            for batch, times in INSERTS.items():
                rounds = [[_document() for _ in range(batch)] for _ in range(times)]
                before, mine, start = _cpu(pid), time.process_time(), time.perf_counter()
                for documents in rounds:
                    await collection.insert_many(documents, ordered=True)
                mine, elapsed = time.process_time() - mine, time.perf_counter() - start
                figures[_insert(batch)] = elapsed * 1e6 / (batch * times)
                figures[_insert_cpu(batch, "client")] = mine * 1e6 / (batch * times)
                if pid is not None:
                    figures[_insert_cpu(batch, "server")] = (_cpu(pid) - before) * 1e6 / (batch * times)
        finally:
            await client.drop_database(name)
    return figures


def _document() -> dict[str, Any]:
    return {"_id": uuid.uuid4().hex, "content": "x" * 200}

"""Bodies that nobody sent, in every queue and exchange that a service reads: each is set aside with its reason, or dropped
where nothing lasts, and everything behind it is handled.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any
from uuid import uuid4
from zlib import crc32

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from contracts.topology import CHANNELS, LOOK, Queue, Topology
from services.gateway.settings import Settings
from tests.support.chat_client import ChatClient, Rest
from tests.support.device import VapidKeys
from tests.support.eventually import eventually
from tests.support.logs import Logs
from tests.support.receiver import Receiver, status
from tests.support.system import System

pytestmark = pytest.mark.e2e

POISON = [
    b"",
    b"\n\n\n",
    b"\0",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"type":"message.send"}',
    b'{"type":"message.send","id":{"$ne":null}}',
    b'{"type":"nonsense"}',
    b'{"kind":"message.created"}\n{}',
    b'{"kind":"message.created","conversationId":{"$ne":null},"gatewayId":1}\nnull',
    b'{"kind":"message.updated","commandIds":1}\nnull',
    b'{"kind":"message.updated","commandIds":[[]]}\nnull',
    b'{"kind":"read.updated","userId":[]}\nnull',
    b'{"kind":"notification","unread":1}\nnull',
    b'{"kind":"notification","unread":[[]]}\nnull',
    b'{"kind":[]}\nnull',
    b'{"kind":"typing"}',
    b'{"specversion":"1.0","type":"chat.message.created.v1","data":{}}',
    b'{"specversion":"1.0","type":"chat.nonsense.v9","data":null}',
    b"x" * 2**20,
]
# What no queue takes for anything: it is set aside everywhere.
SURELY = [
    b"\0",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'"text"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"type":' * 5_000 + b"1" + b"}" * 5_000,
    b"x" * 2**20,
    b"x" * 4 * 2**20,
]
# What comes with a body says nothing that could be believed.
PROPERTIES: list[dict[str, Any]] = [
    {},
    {"content_type": "text/html", "content_encoding": "gzip"},
    {
        "content_type": "application/json",
        "headers": {"traceparent": 1, "x-death": [{"count": 10**9}], "x-reason": bytearray(b"\xff")},
    },
    {"headers": {f"x-{number}": "x" * 100 for number in range(100)}, "priority": 9, "correlation_id": "x" * 255},
    {"type": "message.send", "reply_to": "nowhere", "message_id": "\0", "app_id": "$ne"},
]
DROPPED = {"undecodable fan-out", "fan-out not handled", "undecodable presence", "undecodable greeting"}
REACHING = {  # the notifier of `system` has neither pushes nor mails to read about
    "VAPID_PRIVATE_KEY": VapidKeys().private,
    "VAPID_SUBJECT": "mailto:admin@example.org",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "9",
    "EMAIL_FROM": "chat@example.org",
    "EMAIL_SECRET": "x" * 32,
    "PUBLIC_URL": "https://chat.example.org",
}
TOPOLOGY = Settings(auth_dev=True)


@pytest.fixture
async def topology(system: System, logs: Logs) -> AsyncIterator[Topology]:
    """The names of a system in which everything is read."""
    notifier = system.process("notifier", 1, **REACHING)
    logs.watch(notifier)
    await notifier.start()
    try:
        async with asyncio.timeout(30):
            await notifier.ready()
        yield Topology(system.prefix, TOPOLOGY.partitions)
    finally:
        await notifier.stop()


def lasting(topology: Topology) -> list[Queue]:
    """The queues of which nothing may get lost."""
    partitions = [topology.persister_queue(partition) for partition in range(topology.partitions)]
    channels = [topology.channel_queue(channel) for channel in (LOOK, *CHANNELS)]
    found = [*partitions, topology.notifier_queue, topology.notifier_commands, topology.webhook_events, *channels]
    kept = {queue.name for queue in topology.queues} - {topology.log.name, topology.dead_letters.name}
    assert {queue.name for queue in found} == {name for name in kept if ".waiting." not in name}, "a new queue is tried"
    return found


def passing(topology: Topology, system: System) -> list[tuple[str, str]]:
    """Exchange and key of what is dropped where it cannot be read."""
    first_lines = [process.log.read_text().split("\n", 1)[0] for process in system.processes]
    return [
        (topology.fanout.name, ""),
        (topology.presence.name, ""),
        (topology.peers.name, ""),
        *((topology.replies.name, json.loads(line)["instance"]) for line in first_lines),
    ]


async def test_bodies_in_every_queue(system: System, logs: Logs, topology: Topology) -> None:
    logs.allowed |= {"dead letter", *DROPPED}
    queues, properties = lasting(topology), cycle(PROPERTIES)
    connection = await aio_pika.connect(system.amqp_url)
    async with connection, Receiver(status(204)) as receiver:
        channel = await connection.channel()
        dead = await channel.declare_queue(topology.dead_letters.name, passive=True)
        await dead.purge()

        async def put(exchange: str, key: str, body: bytes) -> None:
            target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
            await target.publish(aio_pika.Message(body, **next(properties)), key, mandatory=exchange == "")

        for body in (*POISON, *SURELY):
            for queue in queues:
                await put("", queue.name, body)
            for exchange, key in passing(topology, system):
                await put(exchange, key, body)
        await everything_goes_on(system, receiver, topology)
        wanted = {(queue.name, body) for queue in queues for body in SURELY}
        letters: dict[tuple[str, bytes], dict[str, Any]] = {}

        async def set_aside() -> None:
            while (letter := await dead.get(no_ack=True, fail=False)) is not None:
                letters[str(letter.routing_key), letter.body] = dict(letter.headers)
            assert not {(queue, body[:20]) for queue, body in wanted - letters.keys()}

        await eventually(set_aside, timeout=30)
        for headers in letters.values():
            assert str(headers["x-reason"]).startswith("undecodable")
            assert headers["x-service"] in ("persister", "notifier")
            assert headers["x-first-failed-at"]
            assert headers["x-routing-key"]

        async def all_are_empty() -> None:
            assert {queue.name: await waiting(channel, queue) for queue in queues} == dict.fromkeys(names, 0)

        names = [queue.name for queue in queues]
        await eventually(all_are_empty)
    async with asyncio.timeout(30):
        await system.ready()


async def waiting(channel: AbstractChannel, queue: Queue) -> int:
    """How many messages wait there."""
    return (await channel.declare_queue(queue.name, passive=True)).declaration_result.message_count or 0


async def everything_goes_on(system: System, receiver: Receiver, topology: Topology) -> None:
    """One thing of each kind, behind what was put there: each partition, each look of the notifier, a webhook."""
    async with Rest(system.gateways[0].url) as alice, Rest(system.gateways[1].url) as bob:
        await alice.login(f"Alice {uuid4().hex[:6]}")
        token = await bob.login(f"Bob {uuid4().hex[:6]}")
        rooms: dict[int, str] = {}
        while len(rooms) < topology.partitions:
            made = await asyncio.gather(*(alice.create_conversation([bob.user_id]) for _ in range(8)))
            rooms |= {crc32(room["id"].encode()) % topology.partitions: room["id"] for room in made}
        for gateway in system.gateways:
            async with ChatClient.connect(gateway.ws, token) as client:
                for room in rooms.values():
                    await client.join(room)
                for room in rooms.values():
                    await client.send(room, "still here", timeout=30)
                for room in rooms.values():
                    await client.expect("new_message", message={"conversationId": room})
        hook = {"conversationId": rooms[0], "url": receiver.url, "events": ["chat.message.created.v1"]}
        (await alice.http.post("/api/webhooks", json=hook)).raise_for_status()
        answer = await alice.http.put("/api/notification-settings", json={"level": "all"})
        assert answer.is_success
        async with ChatClient.connect(system.gateways[1].ws, token) as client:
            await alice.send(rooms[0], "hello", mentions=[bob.user_id])
            await client.expect("notification", 20, kind="mention", conversationId=rooms[0])
            await alice.send(rooms[1], "hello")
            await client.expect("notification", 20, kind="message", conversationId=rooms[1])
        await receiver.called(1, timeout=30)

        async def told() -> None:
            entries = (await bob.http.get("/api/notifications")).json()["items"]
            assert {(entry["kind"], entry["conversationId"]) for entry in entries} >= {
                ("mention", rooms[0]),
                ("message", rooms[1]),
            }

        await eventually(told, timeout=30)

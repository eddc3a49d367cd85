"""What is promised of every message, over many of them and over restarts of what is underneath."""

import asyncio
import json
from pathlib import Path

import aio_pika
import jsonschema
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from contracts.topology import Topology
from deploy.local.servers import Server
from tests.e2e.conftest import Two
from tests.support.chat_client import ChatClient, SendRefused
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e
SCHEMA = json.loads((Path(__file__).parents[2] / "contracts/schema/events.schema.json").read_text())


async def keep_sending(client: ChatClient, cid: str, count: int, acked: dict[str, int]) -> None:
    """Send, and send again with the same tempId what was refused for now, until all is stored."""
    for number in range(count):
        temp_id = f"{client.connection_id}-{number}"
        while temp_id not in acked:
            try:
                acked[temp_id] = (await client.send(cid, f"m{number}", temp_id))["seq"]
            except SendRefused as refused:
                if not refused.frame["retryable"]:
                    raise
                await asyncio.sleep(refused.frame.get("retryAfterMs", 100) / 1000)


async def stored(system: System, cid: str) -> list[dict[str, object]]:
    """The messages of a conversation as MongoDB has them."""
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(system.mongodb_url)
    try:
        return [d async for d in client[system.database]["messages"].find({"conversationId": cid}).sort("seq", 1)]
    finally:
        client.close()


@pytest.mark.timeout(120)
async def test_every_acked_message_is_stored_once_and_reaches_everyone_in_order(two: Two, system: System) -> None:
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    acked: dict[str, int] = {}
    await asyncio.gather(
        keep_sending(two.alice, two.cid, 100, acked),
        keep_sending(two.bob, two.cid, 100, acked),
    )
    for client in (two.alice, two.bob):
        await client.expect_messages(two.cid, 200)
        client.check_complete(two.cid, 1, 200)
    documents = await stored(system, two.cid)
    assert [d["seq"] for d in documents] == list(range(1, 201))
    assert {str(d["tempId"]): d["seq"] for d in documents} == acked


async def test_a_long_replay_reaches_whoever_reads_it(two: Two, system: System) -> None:
    """Five times what may wait for a slow client: it is sent as fast as it is taken."""
    await two.alice.send(two.cid, "first")
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(system.mongodb_url)
    messages = client[system.database]["messages"]
    first = await messages.find_one({"conversationId": two.cid}, {"tempId": 0, "tempHash": 0})
    assert first is not None
    await messages.insert_many(
        [{**first, "_id": f"{two.cid}-{seq}", "seq": seq, "content": "é" * 8000} for seq in range(2, 332)]
    )
    client.close()
    await two.bob.join(two.cid, after_seq=0)
    await two.bob.expect_messages(two.cid, 331)
    two.bob.check_complete(two.cid, 1, 331)


async def test_events_follow_the_published_schema_and_the_log_replays_them(two: Two, system: System) -> None:
    topology = Topology(system.prefix)
    connection = await aio_pika.connect(system.amqp_url)
    try:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(topology.events.name, f"#.{two.cid}")
        for number in range(3):
            await two.alice.send(two.cid, f"m{number}")
        await two.alice_rest.rename(two.cid, "Other")
        live = []
        async with asyncio.timeout(10):
            async with queue.iterator() as events:
                async for event in events:
                    live.append(json.loads(event.body))
                    if len(live) == 4:
                        break
        for event in live:
            jsonschema.validate(event, SCHEMA)
        assert [e["id"] for e in live[:3]] == [f"{two.cid}:{seq}" for seq in (1, 2, 3)]
        assert [e["data"]["content"] for e in live[:3]] == ["m0", "m1", "m2"]

        await channel.set_qos(prefetch_count=100)
        log = await channel.get_queue(topology.log.name)
        replayed: list[str] = []

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            replayed.append(json.loads(message.body)["id"])
            await message.ack()

        await log.consume(keep, arguments={"x-stream-offset": "first"})
        await eventually(lambda: {e["id"] for e in live} <= set(replayed))
    finally:
        await connection.close()


@pytest.mark.timeout(240)
async def test_restarts_underneath_lose_nothing(two: Two, system: System, servers: tuple[Server, Server]) -> None:
    if any(server.pid is None for server in servers):
        pytest.skip("the servers are not ours to restart")
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    acked: dict[str, int] = {}
    sending = asyncio.gather(
        keep_sending(two.alice, two.cid, 60, acked),
        keep_sending(two.bob, two.cid, 60, acked),
    )
    await eventually(lambda: len(acked) >= 10)
    for server in servers:
        await server.restart()
        so_far = len(acked)
        await eventually(lambda before=so_far: len(acked) >= min(before + 5, 120), timeout=45)  # type: ignore[misc]
    async with asyncio.timeout(60):
        await sending
    for client in (two.alice, two.bob):
        await client.expect_messages(two.cid, 120, timeout=20)
        client.check_complete(two.cid, 1, 120)
    assert {str(d["tempId"]): d["seq"] for d in await stored(system, two.cid)} == acked
    async with asyncio.timeout(30):
        await system.ready()

    await two.alice.send(two.cid, "unread")

    async def kept() -> None:
        entries = (await two.bob_rest.http.get("/api/notifications")).json()["items"]
        assert any((entry["kind"], entry.get("preview")) == ("message", "unread") for entry in entries)

    # What waits in RabbitMQ comes back, although its dead-letter worker was there before the queue that it goes to.
    await eventually(kept, timeout=60)


@pytest.mark.timeout(120)
async def test_a_killed_persister_hands_over_at_once(two: Two, system: System) -> None:
    await two.bob.join(two.cid)
    acked: dict[str, int] = {}
    sending = asyncio.create_task(keep_sending(two.alice, two.cid, 60, acked))
    for persister in system.persisters:
        await eventually(lambda: len(acked) >= 5)
        persister.kill()
        so_far = len(acked)
        await eventually(lambda before=so_far: len(acked) >= min(before + 5, 60), timeout=20)  # type: ignore[misc]
        await persister.start()
        async with asyncio.timeout(30):
            await persister.ready()
    await sending
    await two.bob.expect_messages(two.cid, 60, timeout=20)
    two.bob.check_complete(two.cid, 1, 60)

"""An integrator's RabbitMQ user, made by `palabre topology --reader`: it may read, and nothing else."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from contracts.topology import Topology
from deploy.local import install
from deploy.local.rabbitmq import RabbitMQ
from services.cli import rabbitmq
from tests.support.eventually import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
NAMES = Topology("t.", partitions=1)


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitMQ]:
    """With the management API, which no other test needs."""
    program = install.rabbitmq_server()
    if program is None:
        pytest.skip("RabbitMQ is not installed here")
    node = RabbitMQ(program, Path(tmp_path_factory.mktemp("management")), management=True)
    await node.start()
    yield node
    await node.stop()


async def palabre(node: RabbitMQ, *arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints, and what it says beside."""
    environment = {name: value for name, value in os.environ.items() if name != "RABBITMQ_MANAGEMENT_URL"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments),
        env={**environment, "AMQP_URL": node.url, "PREFIX": NAMES.prefix, "PARTITIONS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == code, errors.decode()
    return output.decode().strip(), errors.decode()


def admin(node: RabbitMQ) -> str:
    return str(node.management_url).replace("http://", "http://guest:guest@")


@pytest.fixture(scope="module")
async def url(node: RabbitMQ) -> str:
    """How the integrator connects. What is not for it is there, too: its own command brings nothing of that."""
    await palabre(node, "topology")
    return (await palabre(node, "topology", "--reader", "analytics", "--management", admin(node)))[0]


@asynccontextmanager
async def channel_of(url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel()


async def publish(node: RabbitMQ, *bodies: str) -> None:
    """Events, as the persister publishes them."""
    async with channel_of(node.url) as channel:
        events = await channel.get_exchange(NAMES.events.name)
        for body in bodies:
            await events.publish(aio_pika.Message(body.encode()), "message.created.c1", mandatory=True)


async def test_it_reads_live_from_a_queue_of_its_own(node: RabbitMQ, url: str) -> None:
    async with channel_of(url) as channel:
        queue = await channel.declare_queue(f"{NAMES.integrator('analytics')}search", durable=True)
        await queue.bind(NAMES.events.name, "message.#")
        await publish(node, "live")
        message = await queue.get(timeout=10)
        assert message is not None
        assert message.body == b"live"
        await message.ack()
        async with httpx.AsyncClient(base_url=admin(node)) as client:

            async def bounded() -> None:
                described = (await client.get(f"/api/queues/%2F/{queue.name}")).json()
                assert described.get("policy") == "t.palabre-integrators"
                assert described["effective_policy_definition"]["overflow"] == "drop-head"

            await eventually(bounded, timeout=30)
        await queue.delete()


async def test_it_replays_from_the_stream(node: RabbitMQ, url: str) -> None:
    await publish(node, "first", "second")
    seen: list[bytes] = []
    done = asyncio.Event()

    async def heard(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        seen.append(message.body)
        await message.ack()
        if message.body == b"second":
            done.set()

    async with channel_of(url) as channel:
        await channel.set_qos(10)
        log = await channel.get_queue(NAMES.log.name, ensure=False)
        await log.consume(heard, arguments={"x-stream-offset": "first"})
        async with asyncio.timeout(20):
            await done.wait()
    assert seen[-2:] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        (NAMES.commands.name, "message.send.00"),
        (NAMES.events.name, "message.created.c1"),
        (NAMES.batches.name, ""),
        (NAMES.fanout.name, ""),
        (NAMES.replies.name, "g1"),
        (NAMES.dead.name, "x"),
        ("", NAMES.log.name),
        ("", NAMES.persister_queue(0).name),
        ("amq.topic", "x"),
    ],
)
async def test_it_publishes_nowhere(url: str, exchange: str, key: str) -> None:
    async with channel_of(url) as channel:
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
            await target.publish(aio_pika.Message(b"{}"), key, mandatory=True)


async def ignore(_: Any) -> None:
    """Hears nothing, since it must not come so far."""


async def attempt(channel: AbstractChannel, what: str) -> Any:
    """Something that would take from others, or give what is not theirs."""
    underlying = await channel.get_underlay_channel()
    queue = NAMES.persister_queue(0).name
    match what:
        case "delete the log":
            await underlying.queue_delete(NAMES.log.name)
        case "purge the log":
            await underlying.queue_purge(NAMES.log.name)
        case "delete commands":
            await underlying.queue_delete(queue)
        case "purge commands":
            await underlying.queue_purge(queue)
        case "consume commands":
            await underlying.basic_consume(queue, ignore)
        case "hear commands":
            own = await channel.declare_queue(f"{NAMES.integrator('analytics')}sly", exclusive=True)
            await own.bind(NAMES.commands.name, "#")
        case "hear another integrator":
            await underlying.basic_consume(f"{NAMES.integrator('other')}search", ignore)
        case "delete the events":
            await underlying.exchange_delete(NAMES.events.name)
        case "declare an exchange":
            await underlying.exchange_declare("t.chat.more", exchange_type="topic")
        case "declare a queue":
            await underlying.queue_declare("t.more")
        case "unbind the log":
            await underlying.queue_unbind(NAMES.log.name, NAMES.events.name, "#")


@pytest.mark.parametrize(
    "what",
    [
        "delete the log",
        "purge the log",
        "delete commands",
        "purge commands",
        "consume commands",
        "hear commands",
        "hear another integrator",
        "delete the events",
        "declare an exchange",
        "declare a queue",
        "unbind the log",
    ],
)
async def test_it_takes_nothing_away(url: str, what: str) -> None:
    async with channel_of(url) as channel:
        with pytest.raises(AMQPError) as refused:
            await attempt(channel, what)
    # A stream cannot be purged by anybody.
    assert "ACCESS_REFUSED" in str(refused.value) or (
        what == "purge the log" and "NOT_IMPLEMENTED" in str(refused.value)
    )


async def test_its_password_can_be_changed_and_nobody_elses(node: RabbitMQ, url: str) -> None:
    again, _ = await palabre(node, "topology", "--reader", "analytics", "--management", admin(node))
    assert again != url
    with pytest.raises(AMQPError):
        await rabbitmq.connect(url)
    await (await aio_pika.connect(again)).close()
    _, said = await palabre(node, "topology", "--reader", "guest", "--management", admin(node), code=1)
    assert "who is no integrator" in said
    assert "guest:guest" not in said


async def test_without_the_api_it_is_printed_as_definitions(node: RabbitMQ) -> None:
    printed, said = await palabre(node, "topology", "--reader", "reports")
    # What rabbitmqctl import_definitions does with a file.
    async with httpx.AsyncClient(base_url=admin(node)) as client:
        (await client.post("/api/definitions", json=json.loads(printed))).raise_for_status()
    await (await aio_pika.connect(said.split()[-1])).close()


async def test_a_name_that_is_none_is_refused(node: RabbitMQ) -> None:
    _, said = await palabre(node, "topology", "--reader", "a b.*", code=2)
    assert "--reader" in said

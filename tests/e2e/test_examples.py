"""What `examples/` shows to integrators is run against the whole system, killed, and started again."""

import asyncio
import base64
import json
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
from pydantic import SecretStr

from contracts.examples import MESSAGE_CREATED
from contracts.topology import Topology
from deploy.local import web
from deploy.local.process import free_port
from examples.python import replay
from services.notifier.webhook.signing import headers
from services.settings import TokenSettings
from services.tokens import sign
from tests.e2e.conftest import Two
from tests.support.chat_client import Rest
from tests.support.eventually import eventually
from tests.support.system import JWT_SECRET, System
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
EXAMPLES = Path(__file__).parents[2] / "examples"
START_TIMEOUT = 30.0


class Example:
    """A program of `examples/`, as an integrator runs it."""

    def __init__(self, system: System, *command: str, **environment: str) -> None:
        self._command = command
        self._environment = {"AMQP_URL": system.amqp_url, "PREFIX": system.prefix, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self.said = ""  # when it began to work

    async def start(self) -> None:
        """Returns when it says that it works."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env={**os.environ, **self._environment}, cwd=EXAMPLES, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT):
            self.said = (await self._process.stdout.readline()).decode()
        assert self.said, f"{self._command} ended"

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.terminate()
        async with asyncio.timeout(START_TIMEOUT):
            return await self._process.wait()


@asynccontextmanager
async def running(example: Example) -> AsyncIterator[Example]:
    await example.start()
    try:
        yield example
    finally:
        assert await example.stop() == 0


@pytest.fixture
async def channel(system: System) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """The operator's."""
    async with await aio_pika.connect(system.amqp_url) as connection:
        channel = await connection.channel()
        yield channel
        for name in ("consumer", "hello", "node"):
            await channel.queue_delete(f"{Topology(system.prefix).integrator('guest')}{name}")


async def again(channel: aio_pika.abc.AbstractChannel, system: System, *bodies: bytes) -> None:
    """Deliveries repeat."""
    events = await channel.get_exchange(Topology(system.prefix).events.name)
    for body in bodies:
        await events.publish(aio_pika.Message(body), "message.created.again")


async def heard(channel: aio_pika.abc.AbstractChannel, system: System) -> aio_pika.abc.AbstractQueue:
    """What is told from now on."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(Topology(system.prefix).events.name, "message.created.#")
    return queue


def counted(file: Path, cid: str) -> int:
    with sqlite3.connect(file) as database:
        row = database.execute("SELECT messages FROM counts WHERE conversation = ?", (cid,)).fetchone()
    database.close()
    return row[0] if row else 0


async def test_the_consumer_in_python_handles_each_event_once(
    two: Two, system: System, channel: aio_pika.abc.AbstractChannel, tmp_path: Path
) -> None:
    state = tmp_path / "consumer.db"
    consumer = Example(system, sys.executable, "python/consumer.py", STATE=str(state))
    witness = await heard(channel, system)
    await consumer.start()
    for number in range(20):
        await two.alice.send(two.cid, f"before {number}")
    await consumer.kill()  # with some handled, some delivered, some waiting
    for number in range(20):
        await two.alice.send(two.cid, f"meanwhile {number}")
    async with running(consumer):
        bodies = [(await witness.get(timeout=10)).body for _ in range(40)]
        await again(channel, system, *bodies, b"nonsense", b'{"specversion":"1.0","id":"1","source":"/","type":"new"}')
        await two.alice.send(two.cid, "last")
        await eventually(lambda: counted(state, two.cid) >= 41, timeout=20)
    assert counted(state, two.cid) == 41


async def test_the_consumer_in_node_handles_each_event_once(
    two: Two, system: System, channel: aio_pika.abc.AbstractChannel, tmp_path: Path
) -> None:
    await asyncio.to_thread(web.install_packages, EXAMPLES / "node")
    state = tmp_path / "events.jsonl"
    consumer = Example(system, "node", "node/consumer.mjs", STATE=str(state), PATH=web.environment()["PATH"])
    witness = await heard(channel, system)
    await consumer.start()
    for number in range(10):
        await two.alice.send(two.cid, f"before {number}")
    await consumer.kill()
    with state.open("a") as torn:
        torn.write('{"id":"torn')  # as if it had been killed while it wrote
    for number in range(10):
        await two.alice.send(two.cid, f"meanwhile {number}")

    def seqs() -> list[int]:
        events = [json.loads(line) for line in state.read_text().splitlines()]
        return [event["data"]["seq"] for event in events if event["subject"] == two.cid]

    async with running(consumer):
        bodies = [(await witness.get(timeout=10)).body for _ in range(20)]
        malformed = json.dumps({**json.loads(bodies[0]), "id": "malformed", "data": {}}).encode()
        await again(channel, system, *bodies, b"nonsense", malformed)
        await two.alice.send(two.cid, "last")
        await eventually(lambda: state.read_text().endswith("\n") and len(seqs()) >= 21, timeout=20)
    assert seqs() == list(range(1, 22))


async def test_the_replayed_copy_is_what_rest_answers(two: Two, system: System, tmp_path: Path) -> None:
    state = tmp_path / "replay.db"
    program = Example(system, sys.executable, "python/replay.py", STATE=str(state))
    await two.alice_rest.send(two.cid, "said before it ran")
    first = await two.alice_rest.send(two.cid, "a question", mentions=[two.bob_rest.user_id])
    await two.bob_rest.send(two.cid, "an answer", replyTo=first["id"])
    await program.start()
    quoted = await two.alice_rest.send(two.cid, "soon gone")
    await two.bob_rest.send(two.cid, "a reply to it", replyTo=quoted["id"])
    await two.alice_rest.edit(two.cid, first["id"], "a better question")
    await program.kill()
    await two.alice_rest.delete_message(two.cid, quoted["id"])
    await two.bob_rest.react(two.cid, first["id"], "👍")
    await two.bob_rest.send(two.cid, "another answer", replyTo=first["id"])

    def copied() -> list[dict[str, Any]]:
        database = sqlite3.connect(state)
        try:
            return replay.history(database, two.cid)
        finally:
            database.close()

    async with running(program), Rest(system.gateways[0].url) as carol:
        await carol.login("Carol")  # nobody's own view: that would have tempIds
        await two.alice_rest.add_members(two.cid, [carol.user_id])

        async def same() -> None:
            assert copied() == await carol.all_messages(two.cid)

        await eventually(same, timeout=20)
    assert len(copied()) == 6
    await two.alice_rest.delete(two.cid)
    async with running(program):
        await eventually(lambda: copied() == [], timeout=20)


async def test_the_bot_answers_once_though_it_is_killed(
    two: Two, system: System, channel: aio_pika.abc.AbstractChannel
) -> None:
    settings = TokenSettings(jwt_secret=SecretStr(JWT_SECRET))
    bot_id = f"service-hello-{system.prefix[:4]}"
    token = sign(settings, bot_id, "Hello bot", timedelta(hours=1), ["messages:write"])
    await two.alice_rest.add_members(two.cid, [bot_id])
    await two.alice.join(two.cid)

    async def answers() -> list[str]:
        return [m["replyTo"] for m in await two.alice_rest.all_messages(two.cid) if m["senderId"] == bot_id]

    async with TcpProxy(system.gateways[0].url) as proxy:
        program = Example(
            system, sys.executable, "python/bot.py", PALABRE_URL=proxy.url, PALABRE_TOKEN=token, NO_PROXY="127.0.0.1"
        )
        await program.start()
        proxy.delay = 1.0  # what is stored is known here long before the bot hears of it
        asked = [await two.bob_rest.send(two.cid, "/hello")]
        await eventually(lambda: _one(answers), timeout=20)
        await program.kill()  # answered, and not acknowledged
        proxy.delay = 0.0
        asked += [await two.bob_rest.send(two.cid, "/hello") for _ in range(3)]
        await two.bob_rest.send(two.cid, "hello")  # asks for nothing
        async with running(program):

            async def all_answered() -> None:
                assert {message["id"] for message in asked} <= set(await answers())

            await eventually(all_answered, timeout=20)
            # Nothing is left that could make it answer once more.
            queue = f"{Topology(system.prefix).integrator('guest')}hello"

            async def nothing_left() -> None:
                assert (await channel.declare_queue(queue, passive=True)).declaration_result.message_count == 0

            await eventually(nothing_left, timeout=20)
    assert sorted(await answers()) == sorted(message["id"] for message in asked)
    (first, *_) = [m for m in await two.alice_rest.all_messages(two.cid) if m["senderId"] == bot_id]
    assert first["content"] == f"Hello, {asked[0]['senderName']}!"


async def _one(answers: Any) -> bool:
    return len(await answers()) == 1


SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


async def test_the_receiver_takes_what_the_notifier_signed_once_and_nothing_else(
    system: System, tmp_path: Path
) -> None:
    state = tmp_path / "webhook.db"
    program = Example(
        system, sys.executable, "python/webhook.py", PORT="0", STATE=str(state), WEBHOOK_SECRET=f"{SECRET} {OLD_SECRET}"
    )
    body, moment = MESSAGE_CREATED.encode(), int(time.time())
    signed = headers([SECRET], "call-1", moment, body)
    refused = {
        "nothing signed": ({}, body),
        "another secret": (headers(["whsec_" + base64.b64encode(b"x" * 32).decode()], "call-2", moment, body), body),
        "another body": (signed, body.replace(b"Bonjour", b"Bonsoir")),
        "another id": ({**signed, "webhook-id": "call-3"}, body),
        "another time": ({**signed, "webhook-timestamp": str(moment + 1)}, body),
        "an old call": (headers([SECRET], "call-4", moment - 3600, body), body),
        "another version": ({**signed, "webhook-signature": signed["webhook-signature"].replace("v1,", "v9,")}, body),
        "no time": ({**signed, "webhook-timestamp": "now"}, body),
    }

    async def call(head: dict[str, str], content: bytes) -> int:
        url = f"http://127.0.0.1:{program.said.split()[-1]}/"
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(url, headers=head, content=content)).status_code

    async with running(program):
        assert {why: await call(*attempt) for why, attempt in refused.items()} == dict.fromkeys(refused, 401)
        assert await call(headers([SECRET], "call-5", moment, b"nonsense"), b"nonsense") == 400
        assert await call(signed, body) == 204
    async with running(program):  # remembers what it has handled
        assert await call(headers([SECRET], "call-1", moment + 1, body), body) == 204
        # While a secret is replaced, both sign.
        assert (
            await call(
                headers(["whsec_" + base64.b64encode(b"n" * 32).decode(), OLD_SECRET], "call-6", moment, body), body
            )
            == 204
        )
    with sqlite3.connect(state) as database:
        assert database.execute("SELECT id FROM events").fetchall() == [(MESSAGE_CREATED.id,)] * 2
    database.close()


async def test_the_receiver_gets_what_happens_in_a_conversation(two: Two, system: System, tmp_path: Path) -> None:
    state, port = tmp_path / "webhook.db", free_port()
    hook = {"url": f"http://127.0.0.1:{port}/", "conversationId": two.cid, "events": ["chat.message.created.v1"]}
    made = (await two.alice_rest.http.post("/api/webhooks", json=hook)).raise_for_status().json()
    program = Example(
        system,
        sys.executable,
        "python/webhook.py",
        PORT=str(port),
        STATE=str(state),
        WEBHOOK_SECRET=made["secret"],
    )

    def received() -> list[tuple[str, str]]:
        with sqlite3.connect(state) as database:
            rows = database.execute("SELECT * FROM events ORDER BY id").fetchall()
        database.close()
        return rows

    async with running(program):
        for number in range(3):
            await two.bob_rest.send(two.cid, f"message {number}")
        expected = [("chat.message.created.v1", f"{two.cid}:{seq}") for seq in (1, 2, 3)]
        await eventually(lambda: received() == expected, timeout=30)
        await two.alice_rest.http.delete(f"/api/webhooks/{made['id']}")

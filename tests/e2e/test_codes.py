"""Close codes and time-outs, on a system whose times are short."""

import asyncio
import base64
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from deploy.local.servers import Server
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.system import JWT_SECRET, System

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
async def quick(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A system with short times."""
    async with System(
        servers[0].url,
        servers[1].url,
        logs=Path(tmp_path_factory.mktemp("quick")),
        AUTH_TIMEOUT="1",
        HEARTBEAT_INTERVAL="0.3",
        MAX_CONNECTIONS_PER_USER="2",
        SEND_TIMEOUT="2",
        TYPING_TIMEOUT="0.5",
        RECHECK_INTERVAL="0.5",
    ) as system:
        async with asyncio.timeout(60):
            await system.ready()
        yield system


def token(user: str, seconds: float) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time() + seconds)}, JWT_SECRET, algorithm="HS256")


async def test_no_authentication_in_time_closes_with_4501(quick: System) -> None:
    async with ChatClient.connect(quick.gateways[0].ws) as silent:
        assert (await silent.closed())[0] == 4501


async def test_one_connection_too_many_closes_with_4503(quick: System) -> None:
    ws, mine = quick.gateways[0].ws, token("many", 60)
    async with ChatClient.connect(ws, mine), ChatClient.connect(ws, mine), ChatClient.connect(ws) as third:
        await third.post({"type": "authenticate", "token": mine})
        assert (await third.closed())[0] == 4503


async def test_an_expired_token_closes_with_4002_unless_it_was_renewed(quick: System) -> None:
    ws = quick.gateways[0].ws
    async with ChatClient.connect(ws, token("late", 2)) as late, ChatClient.connect(ws, token("renewed", 2)) as renewed:
        await renewed.authenticate(token("renewed", 60))
        assert (await late.closed())[0] == 4002
        assert (await renewed.ping())["type"] == "pong"
        with pytest.raises(SendRefused):
            await renewed.authenticate(token("somebody-else", 60))


async def test_a_peer_that_answers_no_ping_closes_with_4000(quick: System) -> None:
    url = urlsplit(quick.gateways[0].url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws/chat HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = json.dumps({"type": "authenticate", "token": token("mute", 60)}).encode()
    mask = b"\0\0\0\0"
    writer.write(b"\x81\xfe" + len(payload).to_bytes(2, "big") + mask + payload)
    async with asyncio.timeout(5):
        while True:
            opcode, size = await reader.readexactly(2)
            length = int.from_bytes(await reader.readexactly(2), "big") if size == 126 else size
            body = await reader.readexactly(length)
            if opcode == 0x88:
                break
    assert int.from_bytes(body[:2], "big") == 4000
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_flood_of_pings_closes_with_4502(quick: System) -> None:
    """As raw bytes, since no client would do it."""
    address = urlsplit(quick.gateways[0].ws)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x89\x80\x00\x00\x00\x00" * 5000)
        async with asyncio.timeout(10):
            await reader.readuntil((4502).to_bytes(2))
    finally:
        writer.close()


async def test_a_send_that_is_not_stored_in_time_is_refused_and_may_be_repeated(quick: System) -> None:
    async with Rest(quick.gateways[0].url, token("patient", 60)) as rest:
        cid = (await rest.create_conversation([]))["id"]
        async with ChatClient.connect(quick.gateways[0].ws, token("patient", 60)) as patient:
            for persister in quick.persisters:
                os.kill(persister.pid, signal.SIGSTOP)
            try:
                with pytest.raises(SendRefused) as refused:
                    await patient.send(cid, "hello", "t1")
                answer = await rest.http.post(f"/api/conversations/{cid}/messages", json={"content": "x"})
            finally:
                for persister in quick.persisters:
                    os.kill(persister.pid, signal.SIGCONT)
            assert (refused.value.code, refused.value.frame["retryable"]) == ("TIMEOUT", True)
            assert (answer.status_code, answer.json()["code"]) == (504, "TIMEOUT")
            sent = await patient.send(cid, "hello", "t1")
            assert sent["seq"] == 1
            # What expired was refused, not stored behind its sender's back.
            assert [m["content"] for m in await rest.all_messages(cid)] == ["hello"]


async def test_typing_ends_by_itself(quick: System) -> None:
    one, other = quick.gateways
    async with Rest(one.url, token("typist", 60)) as rest:
        cid = (await rest.create_conversation(["watcher"]))["id"]
        async with (
            ChatClient.connect(one.ws, token("typist", 60)) as typist,
            ChatClient.connect(other.ws, token("watcher", 60)) as watcher,
        ):
            await typist.join(cid)
            await watcher.join(cid)
            await typist.typing(cid)
            await watcher.expect("user_typing", userId="typist")
            await watcher.expect("user_stopped_typing", userId="typist")


async def test_what_rabbitmq_lost_is_found_in_the_history(quick: System) -> None:
    """The last message of a room, and the end of a membership: no later event would show that they were lost."""
    mongodb: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(quick.mongodb_url)
    gateway = quick.gateways[0]
    async with Rest(gateway.url, token("keeper", 60)) as rest:
        cid = (await rest.create_conversation(["loser"]))["id"]
        async with ChatClient.connect(gateway.ws, token("loser", 60)) as loser:
            await rest.send(cid, "heard")
            await loser.join(cid)
            messages = mongodb[quick.database]["messages"]
            heard = await messages.find_one({"conversationId": cid})
            assert heard is not None
            await messages.insert_one({**heard, "_id": "lost", "seq": 2, "content": "unheard"})
            await loser.expect_messages(cid, 2)
            assert loser.contents(cid) == ["heard", "unheard"]
            await mongodb[quick.database]["memberships"].delete_one({"conversationId": cid, "userId": "loser"})
            told = await loser.expect("conversation_updated", conversationId=cid)
            assert (told["updateType"], told["userIds"], "actorId" in told) == ("member_removed", ["loser"], False)
            await rest.send(cid, "not for the loser")
            await loser.nothing("new_message", within=1)
    mongodb.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"content":"\\ud800"}', 400),
        (b'{"content":"a","attachments":[{"name":"a","url":"/a","type":"t","size":1,"waveform":[NaN]}]}', 400),
        (b'{"content":"a","attachments":[{"name":"a","url":"/a","type":"t","size":1,"waveform":[1e999]}]}', 400),
        (b"[" * 100_000, 400),
        (b'{"content":"%b"}' % (b"a" * 2_000_000), 413),
        (b'{"content":7}', 422),
    ],
    ids=["surrogate", "nan", "infinity", "deep", "long", "type"],
)
async def test_bad_bodies_are_named(quick: System, body: bytes, status: int) -> None:
    async with Rest(quick.gateways[0].url, token("hostile", 60)) as rest:
        answer = await rest.http.post(
            "/api/conversations/any/messages", content=body, headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (status, "INVALID_FRAME")


async def test_a_stopping_gateway_finishes_what_was_sent(quick: System) -> None:
    """Constant sends do not keep it from stopping, and all that it acknowledged is stored."""
    gateway = quick.gateways[1]
    async with Rest(quick.gateways[0].url, token("busy", 60)) as rest:
        cid = (await rest.create_conversation([]))["id"]
        async with ChatClient.connect(gateway.ws, token("busy", 60)) as busy:
            acked: list[str] = []

            async def keep_sending() -> None:
                for number in itertools.count():
                    try:
                        acked.append((await busy.send(cid, f"m{number}"))["messageId"])
                    except SendRefused as refused:
                        await asyncio.sleep(refused.frame["retryAfterMs"] / 1000)

            sending = asyncio.create_task(keep_sending())
            await eventually(lambda: len(acked) > 5)
            stopping = asyncio.create_task(gateway.stop())
            code, _ = await busy.closed(timeout=10)
            sending.cancel()
            assert code == 1012
            assert await stopping == 0
        assert acked == [message["id"] for message in await rest.all_messages(cid)][: len(acked)]
    await gateway.start()
    async with asyncio.timeout(30):
        await gateway.ready()


async def test_a_stopping_gateway_sends_its_clients_elsewhere(quick: System) -> None:
    gateway = quick.gateways[1]
    async with ChatClient.connect(gateway.ws, token("moved", 60)) as moved:
        stopping = asyncio.create_task(gateway.stop())
        code, reason = await moved.closed(timeout=10)
        assert code == 1012
        assert 0 <= json.loads(reason)["reconnectInMs"] <= 5000
        assert await stopping == 0
    await gateway.start()
    async with asyncio.timeout(30):
        await gateway.ready()

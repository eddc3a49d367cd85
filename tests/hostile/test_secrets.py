"""Secrets stay secret: with every log at its most talkative, none is in a log, an error, or a metric."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import httpx
import jwt
import pytest

from deploy.local.servers import Server
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.system import System
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.e2e

SECRET = "the-secret-that-signs-every-token-of-this-test"
PASSWORD = "p@ss:word/of the?broker"
CONTENT = "what-nobody-else-may-read"


def with_password(url: str, user: str, password: str) -> str:
    """The URL with somebody's name and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


@pytest.fixture
async def cut(servers: tuple[Server, Server]) -> AsyncIterator[tuple[TcpProxy, TcpProxy]]:
    """The ways to the servers."""
    async with TcpProxy(servers[0].url) as broker, TcpProxy(servers[1].url, query="directConnection=true") as database:
        yield broker, database


async def test_no_secret_is_told(cut: tuple[TcpProxy, TcpProxy], tmp_path: Path) -> None:
    broker, database = cut
    user = f"reader-{uuid4().hex[:6]}"
    # MongoDB of the tests knows no users, so one that it refuses is as far as its password comes.
    told: list[str] = []
    secrets = [SECRET, "guest:guest", PASSWORD, quote(PASSWORD, safe=""), CONTENT]
    amqp = with_password(broker.url, "guest", "guest")
    async with System(amqp, database.url, logs=tmp_path, JWT_SECRET=SECRET, LOG_LEVEL="debug") as system:
        async with asyncio.timeout(60):
            await system.ready()
        gateway = system.gateways[0]
        async with Rest(gateway.url) as rest:
            token = await rest.login(user)
            secrets += [token, token.rpartition(".")[2]]
            room = await rest.create_conversation([], "room")
            bad = jwt.encode({"sub": user, "exp": 1}, SECRET, algorithm="HS256")
            wrong = token[:-2] + "AA"
            secrets += [bad, wrong]
            for answer in [
                await rest.http.get("/api/me", headers={"Authorization": f"Bearer {bad}"}),
                await rest.http.get("/api/me", headers={"Authorization": f"Bearer {wrong}"}),
                await rest.http.get(f"/api/conversations/{room['id']}", headers={"Authorization": f"Basic {token}"}),
                await rest.http.post("/api/conversations", content=f'{{"type": "{CONTENT}'.encode()),
                await rest.http.post("/api/conversations", json={"type": CONTENT}),
                await rest.http.post(f"/api/conversations/{room['id']}/messages", json={"content": [CONTENT]}),
            ]:
                assert answer.status_code >= 400
                told.append(answer.text)
            async with ChatClient.connect(gateway.ws, token) as client:
                await client.join(room["id"])
                sent = await client.send(room["id"], CONTENT)
                await client.edit(room["id"], sent["messageId"], CONTENT * 2)
                for frame in (
                    {"type": "nonsense"},
                    {"type": "ping", "heads": CONTENT},
                ):
                    await client.post({**frame, "requestId": uuid4().hex})
                told.append(json.dumps(await client.expect("error")))
            for refused_token in (bad, wrong):
                async with ChatClient.connect(gateway.ws) as client:
                    with pytest.raises(SendRefused) as refused:
                        await client.authenticate(refused_token)
                    told.append(json.dumps(refused.value.frame))
            # What is away is told with its reason, by every service.
            broker.cut()
            database.cut()
            await broker.refuse()
            await database.refuse()
            async with httpx.AsyncClient(trust_env=False, timeout=10) as http:

                async def unready() -> bool:
                    answers = [await http.get(f"{process.url}/readyz") for process in system.processes]
                    told.extend(answer.text for answer in answers)
                    return all(answer.status_code == 503 for answer in answers)

                await eventually(unready, timeout=30)
                with suppress(httpx.HTTPError):
                    told.append((await rest.http.get("/api/conversations")).text)
                told += [(await http.get(f"{process.url}/metrics")).text for process in system.processes]
                await broker.heal()
                await database.heal()
                async with asyncio.timeout(60):
                    await system.ready()
        for process in system.processes:
            text = process.log.read_text()
            assert text, "every service logs"
            told.append(text)
    for secret in secrets:
        for text in told:
            assert secret not in text, f"{secret!r} is told: …{text[max(0, text.find(secret) - 300) :][:600]}"


@pytest.mark.parametrize("service", ["gateway", "persister", "notifier"])
async def test_no_password_of_servers_that_refuse_it_is_told(
    servers: tuple[Server, Server], tmp_path: Path, service: str
) -> None:
    """A wrong password is a mistake of an operator's; its name is said and the password is not."""
    amqp = with_password(servers[0].url, "palabre", PASSWORD)
    mongo = with_password(servers[1].url, "palabre", PASSWORD)
    system = System(amqp, mongo, logs=tmp_path, LOG_LEVEL="debug", SHUTDOWN_TIMEOUT="2")
    process = next(process for process in system.processes if process.service == service)
    await process.start()
    try:
        await eventually(
            lambda: re.search("refused|authentication", process.log.read_text(), re.IGNORECASE) is not None
        )
    finally:
        with suppress(TimeoutError):
            await process.stop()
    text = process.log.read_text()
    assert PASSWORD not in text
    assert quote(PASSWORD, safe="") not in text

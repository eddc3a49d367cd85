"""A gateway is killed: who came to the other one was never offline, and who did not is, in the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.local.servers import Server
from tests.support.chat_client import ChatClient, Rest
from tests.support.system import System

pytestmark = pytest.mark.e2e
PEOPLE = 40


@pytest.fixture
async def quick(servers: tuple[Server, Server], tmp_path: Path) -> AsyncIterator[System]:
    """A system whose gateways are believed for seconds."""
    settings = {"PRESENCE_INTERVAL": "2", "PRESENCE_GRACE": "1", "RATE_LIMITS": "0"}
    async with System(servers[0].url, servers[1].url, logs=tmp_path, **settings) as running:
        async with asyncio.timeout(60):
            await running.ready()
        yield running


@pytest.mark.timeout(120)
async def test_a_killed_gateway_is_no_storm_and_nobody_who_came_back_was_gone(quick: System) -> None:
    doomed, other = quick.gateways
    async with AsyncExitStack() as stack:
        rest = await stack.enter_async_context(Rest(other.url))
        watcher = await rest.login("Watcher")
        tokens = {name: await rest.token(name, name) for name in (f"p{number}" for number in range(PEOPLE))}
        await rest.create_conversation(list(tokens), "Room")
        bob = await stack.enter_async_context(ChatClient.connect(other.ws, watcher))
        await bob.post({"type": "watch_presence", "userIds": list(tokens)})
        for name in tokens:
            await bob.expect("presence", userId=name, status="offline")
        for token in tokens.values():
            await stack.enter_async_context(ChatClient.connect(doomed.ws, token))
        for name in tokens:
            await bob.expect("presence", userId=name, status="online")
        doomed.kill()
        back = dict(list(tokens.items())[: PEOPLE // 2])
        for token in back.values():
            await stack.enter_async_context(ChatClient.connect(other.ws, token))
        for name in tokens.keys() - back.keys():
            gone = await bob.expect("presence", userId=name, status="offline", timeout=20)
            assert gone["lastSeenAt"]
        told = [(frame["userId"], frame["status"]) for frame in bob.received if frame["type"] == "presence"]
        # Everybody as the answer, and when they came; and once more who went.
        assert sorted(told) == sorted(
            [
                *((name, "offline") for name in tokens),
                *((name, "online") for name in tokens),
                *((name, "offline") for name in tokens.keys() - back.keys()),
            ]
        )
        page = await rest.http.get("/api/presence", params=[("userIds", name) for name in tokens])
        statuses = {person["userId"]: person["status"] for person in page.json()["items"]}
        assert statuses == {name: "online" if name in back else "offline" for name in tokens}

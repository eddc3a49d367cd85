"""How PARTITIONS is changed, as docs/operations.md tells it: nothing is lost, and every conversation goes on."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.servers import Server
from tests.support.chat_client import ChatClient, Rest
from tests.support.command import palabre
from tests.support.system import System

pytestmark = pytest.mark.e2e
CONVERSATIONS = 6
SAID = 3


async def talk(system: System, conversations: list[str]) -> list[str]:
    """Say something in every conversation, which are made the first time, and see all that was ever said there."""
    gateway = system.gateways[0]
    async with Rest(gateway.url) as rest:
        token = await rest.login("Alice")
        while len(conversations) < CONVERSATIONS:
            conversations.append((await rest.create_conversation([]))["id"])
        async with ChatClient.connect(gateway.ws, token) as alice:
            for cid in conversations:
                before = (await alice.join(cid, after_seq=0))["lastSeq"]
                for number in range(SAID):
                    assert (await alice.send(cid, f"m{number}"))["seq"] == before + number + 1
                await alice.expect_messages(cid, before + SAID)
                alice.check_complete(cid, 1, before + SAID)
    return conversations


@pytest.mark.timeout(180)
async def test_partitions_are_changed_while_nothing_runs(servers: tuple[Server, Server], tmp_path: Path) -> None:
    unique = uuid4().hex[:8]
    place = {"PREFIX": f"{unique}.", "MONGODB_DATABASE": f"palabre_{unique}"}
    urls = {"AMQP_URL": servers[0].url, "MONGODB_URL": servers[1].url}
    conversations: list[str] = []
    for partitions in ("2", "5", "3"):
        wanted = {**place, "PARTITIONS": partitions}
        if conversations:
            assert "--change-partitions changes that" in await palabre(urls | wanted, "prepare", code=1)
        await palabre(urls | wanted, "prepare", "--change-partitions")
        async with System(servers[0].url, servers[1].url, logs=tmp_path, **wanted) as system:
            async with asyncio.timeout(60):
                await system.ready()
            conversations = await talk(system, conversations)

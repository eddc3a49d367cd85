"""Everything is lost, and a backup restored, as docs/operations.md tells it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from contracts import collections
from deploy.local.servers import rabbitmq
from tests.faults import replica_set
from tests.faults.history import Acked
from tests.faults.replica_set import Member, ReplicaSet
from tests.faults.stage import SETTINGS, Stage
from tests.support.chat_client import ChatClient, Rest
from tests.support.command import palabre
from tests.support.eventually import eventually
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e
TALK = 100  # messages before the backup, and after it


@pytest.fixture
def mongod() -> str:
    """The program."""
    if "AMQP_URL" in os.environ:
        pytest.skip("the RabbitMQ of AMQP_URL is not ours to lose")
    program = replica_set.available()
    if program is None:
        pytest.skip("the replica set needs a mongod on this machine")
    return program


async def back_up(database: ReplicaSet, folder: Path) -> None:
    """The files of a secondary that has all that is acknowledged now, and was stopped in order."""
    primary = await database.primary()
    secondary = next(member for member in database.members if member is not primary)

    async def applied(member: Member) -> Any:
        return (await database.command(member, "replSetGetStatus"))["optimes"]["appliedOpTime"]["ts"]

    now = await applied(primary)

    async def has_all() -> None:
        assert await applied(secondary) >= now

    await eventually(has_all, timeout=30)
    await secondary.stop()
    shutil.copytree(secondary.data, folder)
    await secondary.start()


@asynccontextmanager
async def restored(program: str, folder: Path, backup: Path) -> AsyncIterator[Member]:
    """A set of one member that begins with these files: the others of production would copy from it."""
    member = Member(program, folder, 0)
    shutil.copytree(backup, member.data)
    await member.start()
    try:
        async with asyncio.timeout(60), member.client() as client:
            while True:
                with suppress(PyMongoError):
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        break
                    if hello.get("me") != member.address:
                        config = (await client.admin.command("replSetGetConfig"))["config"]
                        config["members"] = [{"_id": 0, "host": member.address}]
                        await client.admin.command("replSetReconfig", config, force=True)
                await asyncio.sleep(0.1)
        yield member
    finally:
        await member.stop()


async def talked(stage: Stage, count: int) -> list[Acked]:
    """Everything that was ever acknowledged, when that is so many more."""
    wanted = stage.crowd.acked + count
    await eventually(lambda: stage.crowd.acked >= wanted, timeout=60)
    return list(stage.crowd.history.acked)


@pytest.mark.timeout(300)
async def test_what_was_said_before_the_backup_is_there_after_it_was_restored(mongod: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    async with (
        rabbitmq(tmp_path / "broker") as broker,
        ReplicaSet(mongod, tmp_path / "mongodb") as database,
        Stage(broker, database, logs, rooms=2) as stage,
    ):
        place = {**SETTINGS, "PREFIX": stage.system.prefix, "MONGODB_DATABASE": stage.system.database}
        stage.crowd.talk()
        async with alice_at(stage.gateways[0]) as (rest, alice):
            cid = (await rest.create_conversation([]))["id"]
            for number in (1, 2, 3):
                await alice.send(cid, f"m{number}", temp_id=f"t{number}")
            saved = await talked(stage, TALK)
            await back_up(database, tmp_path / "backup")
            for number in (4, 5, 6):
                assert (await alice.send(cid, f"m{number}", temp_id=f"t{number}"))["seq"] == number
            assert "history" not in alice.received[0]
        everything = await talked(stage, TALK)
        # The end: of the services, of RabbitMQ and of MongoDB, whatever they have in hand.
    async with (
        rabbitmq(tmp_path / "another broker") as broker,
        restored(mongod, tmp_path / "another mongodb", tmp_path / "backup") as member,
    ):
        urls = {"AMQP_URL": broker.url, "MONGODB_URL": f"mongodb://{member.address}/?replicaSet=faults"}
        assert "This history is" in await palabre({**place, **urls}, "restored", "--yes")
        await nothing_is_missing(member, stage.system.database, saved, everything)
        async with System(urls["AMQP_URL"], urls["MONGODB_URL"], logs=logs, **place) as system:
            async with asyncio.timeout(60):
                await system.ready()
            await the_device_that_saw_more_goes_on(system, cid)
            assert "has a consumer" in await palabre({**place, **urls}, "restored", "--yes", code=1)


@asynccontextmanager
async def alice_at(gateway: Process) -> AsyncIterator[tuple[Rest, ChatClient]]:
    async with Rest(gateway.url) as rest:
        token = await rest.login("Alice")
        async with ChatClient.connect(gateway.ws, token) as alice:
            yield rest, alice


async def nothing_is_missing(member: Member, database: str, saved: list[Acked], everything: list[Acked]) -> None:
    """All that was acknowledged before the backup, under its numbers, which have no holes."""
    async with member.client() as client:
        found = client[database][collections.MESSAGES.name].find({}, ["conversationId", "seq", "tempId"])
        stored = {(d["conversationId"], d["seq"]): (d["_id"], d["tempId"]) async for d in found}
    assert [a for a in saved if stored[a.conversation, a.seq] != (a.id, a.temp_id)] == []
    for conversation in {conversation for conversation, _ in stored}:
        seqs = sorted(seq for c, seq in stored if c == conversation)
        assert seqs == list(range(1, len(seqs) + 1))
    assert [a for a in everything if (a.conversation, a.seq) not in stored], "the backup has all: nothing was shown"


async def the_device_that_saw_more_goes_on(system: System, cid: str) -> None:
    """It held six messages, of which three are left."""
    async with alice_at(system.gateways[0]) as (_, alice), alice_at(system.gateways[1]) as (_, elsewhere):
        # By this it knows that it has to begin anew. From the numbers alone it could know only for a while:
        assert alice.received[0]["history"] == elsewhere.received[0]["history"]
        joined = await alice.join(cid, after_seq=6)
        assert (joined["lastSeq"], joined["firstSeq"]) == (3, None)
        # What it sends again was stored, or is stored now: once, at any gateway.
        again = await alice.send(cid, "m3", temp_id="t3")
        assert (again["seq"], again["duplicate"]) == (3, True)
        for client, temp, seq, duplicate in (
            (alice, "5", 4, False),
            (elsewhere, "5", 4, True),
            (elsewhere, "6", 5, False),
            (alice, "6", 5, True),
        ):
            sent = await client.send(cid, f"m{temp}", temp_id=f"t{temp}")
            assert (sent["seq"], sent["duplicate"]) == (seq, duplicate)
        await elsewhere.join(cid, after_seq=0)
        await elsewhere.expect_messages(cid, 5)
        assert elsewhere.contents(cid) == ["m1", "m2", "m3", "m5", "m6"]
        elsewhere.check_complete(cid, 1, 5)

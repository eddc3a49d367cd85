"""Who joins a room that is live on a gateway gets what is remembered there: the same as from the database, and no more."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from services import mongo
from services.gateway import app as gateway_app
from services.gateway import joining
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import store_conversation
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.counting import RoundTrips
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister

pytestmark = pytest.mark.integration


class Room:
    """A conversation of Alice, Bob and Carol, two gateways, and what these ask the database."""

    def __init__(self, conversation: str, gateways: list[InProcessGateway], rest: Rest, trips: RoundTrips) -> None:
        self.conversation = conversation
        self.rest = rest
        self._gateways = gateways
        self._trips = trips
        self._stack = AsyncExitStack()

    async def member(self, name: str, gateway: int = 0, **join: int) -> ChatClient:
        """A new connection of this person, which has joined and was sent all that it asked for."""
        token = await self.rest.token(name, name)
        client = await self._stack.enter_async_context(ChatClient.connect(self._gateways[gateway].ws, token))
        answer = await client.join(self.conversation, **join)
        if answer.get("firstSeq") is not None:
            await client.expect_messages(self.conversation, answer["lastSeq"] - answer["firstSeq"] + 1)
        return client

    async def frames(self, name: str, gateway: int = 0, **join: int) -> list[dict[str, Any]]:
        """What somebody gets who joins now: the answer, without its moment, and the messages."""
        client = await self.member(name, gateway, **join)
        (answer,) = (frame for frame in client.received if frame["type"] == "joined_conversation")
        await client.close()
        answer = {k: v for k, v in answer.items() if k not in ("timestamp", "requestId")}
        return [answer, *client.messages(self.conversation)]

    def message_reads(self) -> int:
        """How often messages were read since this was called last."""
        count = self._trips.names.count("find messages")
        self._trips.commands.clear()
        return count


@pytest.fixture
async def room(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(settings, auth_dev=True, resume_limit=6)
    conversation = await store_conversation(database, dict.fromkeys(("alice", "bob", "carol"), "member"))
    trips = RoundTrips()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Persister(settings, database))
        with monkeypatch.context() as patch:
            patch.setattr(mongo, "AsyncIOMotorClient", partial(AsyncIOMotorClient, event_listeners=[trips]))
            gateways = [await stack.enter_async_context(InProcessGateway(gateway_settings)) for _ in range(2)]
        rest = await stack.enter_async_context(Rest(gateways[0].url))
        room = Room(conversation, gateways, rest, trips)
        await stack.enter_async_context(room._stack)
        yield room


async def test_a_live_room_is_replayed_as_the_database_would(room: Room) -> None:
    alice = await room.member("alice")
    for number in range(4):
        await alice.send(room.conversation, f"m{number}", f"t{number}")
    await room.frames("bob")
    assert room.message_reads() == 1, "the first who joins while others are here"
    await alice.send(room.conversation, "later", "t4")
    asked: list[dict[str, int]] = [{}, {"limit": 2}, {"after_seq": 0}, {"after_seq": 3}, {"after_seq": 5}, {"limit": 5}]
    remembered = [await room.frames(name, **join) for name in ("alice", "bob") for join in asked]
    assert room.message_reads() == 0
    # Nobody is at home on the other gateway, so all of this is read.
    read = [await room.frames(name, 1, **join) for name in ("alice", "bob") for join in asked]
    assert room.message_reads() == len(read) - 2, "but where nothing is missing"
    assert remembered == read
    assert [m.get("tempId") for m in remembered[0][1:]] == ["t0", "t1", "t2", "t3", "t4"]
    assert all("tempId" not in m for m in remembered[len(asked)])


async def test_what_is_not_remembered_is_read(room: Room) -> None:
    alice = await room.member("alice")
    for number in range(8):
        await alice.send(room.conversation, f"m{number}")
    await room.frames("bob", limit=2)
    room.message_reads()
    assert [m["seq"] for m in (await room.frames("bob", limit=3))[1:]] == [6, 7, 8]
    assert room.message_reads() == 1
    missing_too_many = await room.frames("bob", after_seq=1, limit=3)
    assert missing_too_many[0]["hasMore"]
    assert [m["seq"] for m in missing_too_many[1:]] == [6, 7, 8]
    assert room.message_reads() == 0


async def test_a_long_replay_is_read_in_portions(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "PORTION", 2)
    alice = await room.member("alice")
    for number in range(5):
        await alice.send(room.conversation, f"m{number}")
    room.message_reads()
    answer, *messages = await room.frames("bob", 1, after_seq=0)
    assert (answer["firstSeq"], answer["lastSeq"], answer["hasMore"]) == (1, 5, False)
    assert [m["content"] for m in messages] == [f"m{number}" for number in range(5)]
    assert room.message_reads() == 3


async def test_nobody_is_given_what_is_remembered_who_is_no_longer_a_member(room: Room, database: Database) -> None:
    alice = await room.member("alice")
    await alice.send(room.conversation, "for members")
    await room.frames("bob")
    # Without a word to the gateway: the database decides.
    await database.memberships.delete_one({"conversationId": room.conversation, "userId": "bob"})
    with pytest.raises(SendRefused) as refused:
        await room.member("bob")
    assert refused.value.code == "NOT_A_MEMBER"
    assert len(await room.frames("carol")) == 2


async def test_what_is_stored_and_did_not_come_yet_is_replayed_too(room: Room, database: Database) -> None:
    alice = await room.member("alice")
    await alice.send(room.conversation, "one")
    await room.frames("bob")
    stored = await database.messages.find_one({"conversationId": room.conversation})
    assert stored is not None
    await database.messages.insert_one({**stored, "_id": "unheard", "seq": 2, "tempId": "t", "content": "two"})
    answer, *messages = await room.frames("bob")
    assert (answer["lastSeq"], [m["content"] for m in messages]) == (2, ["one", "two"])

"""`mark_read` through a gateway: few commands, every asker answered, and what RabbitMQ did not bring is read again."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from contracts import limits, lines
from contracts.commands import MarkRead
from services.amqp import Outgoing
from services.gateway import app as gateway_app
from services.gateway.app import drain
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_command, store_conversation
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
LONG = 3600.0  # seconds: the interval does not end by itself


@dataclass
class Room:
    """A gateway with a persister behind it, and a conversation with ten messages of Alice's."""

    gateway: InProcessGateway
    conversation: str
    rest: Rest
    marks: list[int]  # the seqs of the commands that left

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[ChatClient]:
        """Another connection of somebody."""
        token = await self.rest.token(user, user)
        async with ChatClient.connect(self.gateway.ws, token) as client:
            yield client

    async def mark(self, client: ChatClient, *seqs: int) -> None:
        """Without waiting for answers."""
        for seq in seqs:
            await client.post({"type": "mark_read", "conversationId": self.conversation, "seq": seq})
        await client.ping()  # frames are carried out in order


Opened = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture
def room(settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens one, with these other members and settings."""
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)

    @asynccontextmanager
    async def opened(others: Iterable[str] = ("bob",), **special: Any) -> AsyncIterator[Room]:
        usual = {"auth_dev": True, "read_interval": LONG}
        async with (
            Persister(settings, database),
            InProcessGateway(gateway_beside(settings, **usual | special)) as gateway,
            Rest(gateway.url) as rest,
        ):
            conversation = await store_conversation(database, dict.fromkeys(("alice", *others), "member"))
            await rest.login("alice", "alice")
            for number in range(10):
                await rest.send(conversation, f"m{number}")
            marks: list[int] = []
            publish = gateway.parts.broker.publish_all

            async def watched(messages: Sequence[Outgoing], timeout: float = 10) -> None:
                for message in messages:
                    if message.routing_key.startswith("read.mark"):
                        marks.extend(MarkRead.decode(line).seq for line in lines.unpack(message.body))
                await publish(messages, timeout)

            monkeypatch.setattr(gateway.parts.broker, "publish_all", watched)
            yield Room(gateway, conversation, rest, marks)

    return opened


async def test_scrolling_is_two_commands(room: Opened) -> None:
    async with room(read_interval=0.3) as here, here.client("bob") as bob:
        await here.mark(bob, *range(1, 9))
        await bob.expect("read_receipt", seq=8)
        assert here.marks == [1, 8]
        await eventually(lambda: not here.gateway.parts.egress.reads._marks, poll=0.02)
        await here.mark(bob, 10)
        await bob.expect("read_receipt", seq=10)
        assert here.marks == [1, 8, 10], "after an interval without any, the first leaves at once again"


async def test_whoever_asked_is_answered_and_the_others_are_told_once(room: Opened) -> None:
    async with room(read_interval=0.3) as here, AsyncExitStack() as stack:
        alice, phone, laptop, tablet = [
            await stack.enter_async_context(here.client(user)) for user in ("alice", "bob", "bob", "bob")
        ]
        await alice.join(here.conversation)
        await phone.join(here.conversation)
        first = await phone.ask({"type": "mark_read", "conversationId": here.conversation, "seq": 2}, "read_receipt")
        assert (first["userId"], first["seq"]) == ("bob", 2)
        for client, seq, request in ((phone, 3, "a"), (laptop, 5, "b"), (phone, 4, "c")):
            frame = {"type": "mark_read", "conversationId": here.conversation, "seq": seq, "requestId": request}
            await client.post(frame)
        for client, request in ((phone, "a"), (laptop, "b"), (phone, "c")):
            await client.expect("read_receipt", requestId=request, seq=5)
        # Not joined, not asked, and told all the same.
        for client in (tablet, alice):
            await client.expect("read_receipt", seq=2)
            await client.expect("read_receipt", seq=5)
        for client in (phone, laptop, tablet, alice):
            await client.ping()
        seen = {c: [f["seq"] for f in c.received if f["type"] == "read_receipt"] for c in (phone, laptop, alice)}
        assert seen == {phone: [2, 5, 5], laptop: [2, 5], alice: [2, 5]}


@pytest.mark.parametrize("how", ["leave", "disconnect", "drain"])
async def test_nothing_waits_for_the_interval_of_somebody_who_goes(room: Opened, how: str) -> None:
    async with room() as here, here.client("bob") as bob, here.client("bob") as other:
        await bob.join(here.conversation)
        await here.mark(bob, 1, 6)
        assert here.marks == [1]
        if how == "leave":
            await bob.leave(here.conversation)
        elif how == "disconnect":
            bob.drop()
        else:
            await drain(here.gateway.parts)
        await other.expect("read_receipt", seq=6)
        assert here.marks == [1, 6]


async def test_marks_are_refused_to_strangers_and_limited(room: Opened) -> None:
    async with room() as here, here.client("eve") as eve:
        frame = {"type": "mark_read", "conversationId": here.conversation, "seq": 1}
        with pytest.raises(SendRefused) as refused:
            await eve.ask(frame, "read_receipt")
        assert refused.value.code == "NOT_A_MEMBER"
        for _ in range(130):
            await eve.post(frame)
        limited = await eve.expect("error", code="RATE_LIMITED", conversationId=here.conversation)
        assert limited["retryAfterMs"] > 0
        assert len(here.marks) == 1


async def test_over_rest(room: Opened) -> None:
    async with room() as here, here.client("bob") as bob, Rest(here.gateway.url) as rest:
        await rest.login("bob", "bob")
        path = f"/api/conversations/{here.conversation}/read"
        answer = await rest.mark_read(here.conversation, 4)
        assert answer == {"conversationId": here.conversation, "lastReadSeq": 4, "unreadCount": 6}
        await bob.expect("read_receipt", seq=4)
        answer = await rest.mark_read(here.conversation, 1)
        assert (answer["lastReadSeq"], answer["unreadCount"]) == (4, 6)
        messages = await rest.all_messages(here.conversation)
        readers = {message["seq"]: await rest.readers(here.conversation, message["id"]) for message in messages}
        assert readers == {seq: ["bob"] if seq <= 4 else [] for seq in range(1, 11)}
        assert (await rest.http.post(path, json={"seq": -1})).status_code == 422
        nowhere = await rest.http.post("/api/conversations/nowhere/read", json={"seq": 1})
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NOT_A_MEMBER")
        unknown = await rest.http.get(f"/api/conversations/{here.conversation}/messages/unknown/readers")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


async def test_in_a_crowd_nobody_else_is_told(room: Opened) -> None:
    crowd = [f"p{number}" for number in range(limits.READERS_SHOWN_TO - 1)]
    async with (
        room(others=("bob", *crowd)) as here,
        here.client("alice") as alice,
        here.client("bob") as bob,
        here.client("bob") as other,
    ):
        await alice.join(here.conversation)
        await here.mark(bob, 7)
        await other.expect("read_receipt", seq=7)
        sent = await alice.send(here.conversation, "after it")
        await alice.expect_messages(here.conversation, 1)
        assert not [frame for frame in alice.received if frame["type"] == "read_receipt"]
        path = f"/api/conversations/{here.conversation}/messages/{sent['messageId']}/readers"
        assert (await here.rest.http.get(path)).status_code == 403


async def test_a_receipt_that_was_lost_comes_after_the_reconnection(
    room: Opened, tap: Tap, amqp_proxy: TcpProxy
) -> None:
    async with room(amqp_url=amqp_proxy.url) as here, here.client("alice") as alice, here.client("bob") as bob:
        await alice.join(here.conversation)
        await bob.ask({"type": "mark_read", "conversationId": here.conversation, "seq": 3}, "read_receipt")
        await alice.expect("read_receipt", seq=3)
        await amqp_proxy.refuse()
        await tap.publish(make_command(MarkRead, actor="bob", conversation_id=here.conversation, seq=8))
        await tap.all_handled()
        await amqp_proxy.heal()
        await alice.expect("read_receipt", userId="bob", seq=8, timeout=15)
        await bob.expect("read_receipt", seq=8)

"""Changes of messages through gateways: in order, once, healed, and resumed, whatever RabbitMQ did not bring."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from contracts.commands import EditMessage, React
from services.gateway import app as gateway_app
from services.gateway.directory import Directory
from services.gateway.history import History
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_command, store_conversation
from tests.support.chat_client import ChatClient, Frame, Rest, SendRefused
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


@dataclass
class Room:
    """A gateway with a persister behind it, and a conversation of Alice and Bob with some messages of Alice's."""

    gateway: InProcessGateway
    conversation: str
    rest: Rest
    messages: list[str]

    @asynccontextmanager
    async def client(self, user: str, **join: int) -> AsyncIterator[ChatClient]:
        """Another connection of somebody, who has joined and has what was replayed."""
        token = await self.rest.token(user, user)
        async with ChatClient.connect(self.gateway.ws, token) as client:
            await client.join(self.conversation, **join)
            await client.ping()
            yield client

    async def behind_its_back(self, tap: Tap, *changes: tuple[int, str]) -> None:
        """Bob's reactions, as `(seq, emoji)`, each a change of its own, by another gateway."""
        for seq, emoji in changes:
            about = {"conversation_id": self.conversation, "message_id": self.messages[seq - 1]}
            await tap.publish(make_command(React, actor="bob", emoji=emoji, present=True, **about))
            await tap.all_handled()


Opened = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture
def room(settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens one, with these settings of the gateway."""
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)

    @asynccontextmanager
    async def opened(messages: int = 4, **special: Any) -> AsyncIterator[Room]:
        usual = {"auth_dev": True, "rate_limits": False}
        async with (
            Persister(settings, database),
            InProcessGateway(gateway_beside(settings, **usual | special)) as gateway,
            Rest(gateway.url) as rest,
        ):
            conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
            await rest.login("alice", "alice")
            sent = [await rest.send(conversation, f"m{number}") for number in range(1, messages + 1)]
            yield Room(gateway, conversation, rest, [message["id"] for message in sent])

    return opened


def story(client: ChatClient, cid: str) -> list[tuple[str, int]]:
    """What a client was told, as `("new", seq)` and `("changed", changeSeq)`."""
    return [
        ("new", f["message"]["seq"]) if f["type"] == "new_message" else ("changed", f["message"]["changeSeq"])
        for f in client.received
        if f["type"] in ("new_message", "message_updated") and f["message"]["conversationId"] == cid
    ]


async def told(client: ChatClient, number: int, timeout: float = 15) -> Frame:
    """Until a client was told of this change."""
    return await client.expect("message_updated", timeout, message={"changeSeq": number})


# ----------------------------------------------------------------------------------------------- live


async def test_all_are_told_and_who_asked_is_answered_once(room: Opened) -> None:
    async with room() as here, here.client("alice") as alice, here.client("bob") as bob:
        cid, first = here.conversation, here.messages[0]
        edited = await alice.edit(cid, first, "  other ")
        assert (edited["change"], edited["message"]["content"]) == ("edited", "other")
        reacted = await bob.react(cid, first, "👍")
        assert reacted["message"]["reactions"] == {"👍": ["bob"]}
        deleted = await alice.delete(cid, first)
        assert (deleted["message"]["isDeleted"], deleted["message"]["content"]) == (True, "")
        for client, asked in ((alice, 2), (bob, 1)):
            await client.ping()
            changes = client.changes(cid)
            assert [(c["message"]["changeSeq"], c["change"]) for c in changes] == [
                (1, "edited"),
                (2, "reactions"),
                (3, "deleted"),
            ]
            assert len([c for c in changes if "requestId" in c]) == asked
            assert client.state(cid) == {m["seq"]: m for m in await here.rest.all_messages(cid)}


async def test_who_has_not_joined_is_answered_and_nobody_else(room: Opened) -> None:
    async with room() as here, here.client("alice") as alice:
        token = await here.rest.token("bob", "bob")
        async with (
            ChatClient.connect(here.gateway.ws, token) as bob,
            ChatClient.connect(here.gateway.ws, token) as idle,
        ):
            answer = await bob.react(here.conversation, here.messages[0], "🎉")
            assert answer["message"]["reactions"] == {"🎉": ["bob"]}
            await told(alice, 1)
            again = await bob.react(here.conversation, here.messages[0], "🎉")
            assert again["message"] == answer["message"]
            never = await bob.react(here.conversation, here.messages[1], "🎉", present=False)
            assert "changeSeq" not in never["message"]
            for client in (alice, idle):
                await client.ping()
            assert [len(client.changes(here.conversation)) for client in (alice, bob, idle)] == [1, 3, 0]


async def test_refusals_carry_the_request(room: Opened) -> None:
    async with room() as here, here.client("bob") as bob:
        cid, first = here.conversation, here.messages[0]
        token = await here.rest.token("eve", "eve")
        async with ChatClient.connect(here.gateway.ws, token) as eve:
            for client, call, code in (
                (bob, ("edit_message", cid, first, {"content": "x"}), "FORBIDDEN"),
                (bob, ("edit_message", cid, first, {"content": "x" * 8001}), "CONTENT_TOO_LONG"),
                (bob, ("delete_message", cid, "unknown", {}), "NOT_FOUND"),
                (bob, ("add_reaction", cid, first, {"emoji": "ab"}), "INVALID_FRAME"),
                (bob, ("add_reaction", cid, first, {"emoji": "👍👍"}), "INVALID_FRAME"),
                (eve, ("add_reaction", cid, first, {"emoji": "👍"}), "NOT_A_MEMBER"),
                (eve, ("delete_message", "nowhere", first, {}), "NOT_A_MEMBER"),
            ):
                kind, conversation, message, fields = call
                with pytest.raises(SendRefused) as refused:
                    await client.change(kind, conversation, message, **fields)
                assert (refused.value.frame["type"], refused.value.code) == ("error", code)
        assert (await here.rest.all_messages(cid))[0]["content"] == "m1"


async def test_a_burst_of_clicks_is_limited(room: Opened) -> None:
    async with room(rate_limits=True, rate_changes=1.0, rate_changes_burst=2.0) as here, here.client("bob") as bob:
        frame = {"type": "add_reaction", "conversationId": here.conversation, "messageId": here.messages[0]}
        for emoji in ("👍", "🎉", "😀"):
            await bob.post({**frame, "emoji": emoji})
        limited = await bob.expect("error", code="RATE_LIMITED", conversationId=here.conversation)
        assert limited["retryAfterMs"] > 0


async def test_over_rest(room: Opened) -> None:
    async with room() as here, here.client("bob") as bob, Rest(here.gateway.url) as rest:
        cid, first, second = here.conversation, *here.messages[:2]
        for text in ("two", "three", "four"):
            edited = await here.rest.edit(cid, first, text)
        assert edited == await here.rest.message(cid, first)
        assert (edited["content"], edited["changeSeq"]) == ("four", 3)
        page = await here.rest.edits(cid, first, limit=2)
        rest_of_it = await here.rest.edits(cid, first, limit=2, cursor=page["nextCursor"])
        contents = [edit["content"] for edit in [*page["items"], *rest_of_it["items"]]]
        assert (contents, rest_of_it["nextCursor"]) == (["m1", "two", "three"], None)
        assert (await here.rest.react(cid, first, "👍🏽"))["reactions"] == {"👍🏽": ["alice"]}
        assert "reactions" not in await here.rest.react(cid, first, "👍🏽", present=False)
        await here.rest.delete_message(cid, first)
        assert (await here.rest.edits(cid, first))["items"] == []
        await told(bob, 6)
        await rest.login("bob", "bob")
        one = f"/api/conversations/{cid}/messages/{second}"
        for method, path, body, status, code in (
            ("PATCH", one, {"content": "x"}, 403, "FORBIDDEN"),
            ("PATCH", one, {"content": 5}, 422, "INVALID_FRAME"),
            ("PATCH", one, {"content": "x" * 8001}, 422, "CONTENT_TOO_LONG"),
            ("DELETE", one, None, 403, "FORBIDDEN"),
            ("PUT", f"{one}/reactions/ab", None, 422, "INVALID_FRAME"),
            ("GET", f"/api/conversations/{cid}/messages/unknown", None, 404, "NOT_FOUND"),
            ("GET", f"/api/conversations/nowhere/messages/{second}", None, 404, "NOT_A_MEMBER"),
            ("GET", f"/api/conversations/nowhere/messages/{second}/edits", None, 404, "NOT_A_MEMBER"),
            ("PATCH", f"/api/conversations/{cid}/messages/unknown", {"content": "x"}, 404, "NOT_FOUND"),
        ):
            answer = await rest.http.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path)
        elsewhere = await rest.create_conversation(["alice"])
        other = await rest.http.get(f"/api/conversations/{elsewhere['id']}/messages/{second}")
        assert other.json()["code"] == "NOT_FOUND", "a message is found in its own conversation only"


# -------------------------------------------------------------------------------------------- healing


async def test_what_was_lost_comes_after_the_reconnection(room: Opened, tap: Tap, amqp_proxy: TcpProxy) -> None:
    async with room(amqp_url=amqp_proxy.url) as here, here.client("alice") as alice:
        await here.behind_its_back(tap, (1, "👍"))
        await told(alice, 1)
        await amqp_proxy.refuse()
        await here.behind_its_back(tap, (1, "🎉"), (2, "👍"), (2, "🎉"))
        await amqp_proxy.heal()
        await told(alice, 4)
        assert [number for kind, number in story(alice, here.conversation) if kind == "changed"] == [1, 2, 4]
        assert alice.state(here.conversation) == {m["seq"]: m for m in await here.rest.all_messages(here.conversation)}


async def test_a_jump_is_healed_before_what_follows(room: Opened, tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as here, here.client("alice") as alice:
        egress = here.gateway.parts.egress
        real = egress._message_updated
        monkeypatch.setattr(egress, "_message_updated", lambda *_: None)  # lost
        await here.behind_its_back(tap, (1, "👍"), (2, "👍"), (1, "🎉"))
        monkeypatch.setattr(egress, "_message_updated", real)
        await here.behind_its_back(tap, (3, "👍"))
        await told(alice, 4)
        assert [number for kind, number in story(alice, here.conversation) if kind == "changed"] == [2, 3, 4]


async def test_a_ping_finds_what_was_lost(room: Opened, tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as here, here.client("alice") as alice:
        egress, cid = here.gateway.parts.egress, here.conversation
        monkeypatch.setattr(egress, "_message_updated", lambda *_: None)  # lost
        await here.behind_its_back(tap, (1, "👍"), (2, "👍"))
        assert "changes" not in await alice.ping({cid: 4})
        assert (await alice.ping({cid: 4}, {cid: 0}))["changes"] == {cid: 2}
        await told(alice, 2)
        pong = await alice.ping({cid: 3}, {cid: 2})
        assert ("changes" in pong, pong["heads"]) == (False, {cid: 4})
        many = {f"elsewhere{number}": number for number in range(1200)}
        assert (await alice.ping({**many, cid: 3}))["heads"] == {cid: 4}, "as many as fit into a frame"


async def test_more_lost_changes_than_are_told_are_a_resync(
    room: Opened, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(resume_limit=2) as here, here.client("alice") as alice:
        egress = here.gateway.parts.egress
        real = egress._message_updated
        monkeypatch.setattr(egress, "_message_updated", lambda *_: None)  # lost
        await here.behind_its_back(tap, (1, "👍"), (2, "👍"), (3, "👍"))
        monkeypatch.setattr(egress, "_message_updated", real)
        await here.behind_its_back(tap, (4, "👍"))
        resync = await alice.expect("resync", conversationId=here.conversation)
        assert (resync["fromSeq"], resync["lastChange"]) == (1, 3)
        await told(alice, 4)


# -------------------------------------------------------------------------------------- joining, resuming


async def test_a_resume_brings_the_changes_of_what_is_held(room: Opened, tap: Tap) -> None:
    async with room() as here:
        cid = here.conversation
        async with here.client("alice") as before:
            assert story(before, cid) == [("new", seq) for seq in (1, 2, 3, 4)]
        await here.behind_its_back(tap, (2, "👍"), (1, "👍"), (2, "🎉"))
        await here.rest.send(cid, "m5")
        await here.behind_its_back(tap)
        async with here.client("alice", after_seq=4, after_change=0) as alice:
            assert story(alice, cid) == [("new", 5), ("changed", 2), ("changed", 3)]
            (joined,) = (f for f in alice.received if f["type"] == "joined_conversation")
            assert joined["lastChange"] == 3
            assert alice.state(cid) == {m["seq"]: m for m in await here.rest.all_messages(cid) if m["seq"] in (1, 2, 5)}
        async with here.client("alice", after_seq=4, after_change=2) as alice:
            assert story(alice, cid) == [("new", 5), ("changed", 3)]
        async with here.client("alice", after_seq=1, after_change=0) as alice:
            assert story(alice, cid) == [("new", seq) for seq in (2, 3, 4, 5)] + [("changed", 2)]
        for join in ({"after_seq": 4}, {"after_seq": 4, "after_change": 3}, {"after_seq": 4, "after_change": 99}):
            async with here.client("alice", **join) as alice:
                assert story(alice, cid) == [("new", 5)]


async def test_a_resume_with_too_many_changes_says_so(room: Opened, tap: Tap) -> None:
    async with room(resume_limit=2) as here:
        await here.behind_its_back(tap, (1, "👍"), (2, "👍"), (3, "👍"))
        async with here.client("alice", after_seq=4, after_change=0) as alice:
            await alice.expect("resync", fromSeq=1, lastChange=3)
            assert story(alice, here.conversation) == []
        async with here.client("alice", after_seq=4, after_change=1) as alice:
            assert story(alice, here.conversation) == [("changed", 2), ("changed", 3)]


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
async def test_changes_while_joining_are_neither_lost_nor_repeated(
    room: Opened, tap: Tap, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """At each read of the join something changes, before it and after it."""
    async with room() as here, AsyncExitStack() as stack:
        cid = here.conversation
        if not first:
            await stack.enter_async_context(here.client("bob"))
        emojis = iter("👍🎉😀😂😍😎🤔🙏🔥🚀")

        async def change() -> None:
            about = {"conversation_id": cid, "message_id": here.messages[1]}
            await tap.publish(make_command(React, actor="bob", emoji=next(emojis), present=True, **about))
            await tap.publish(
                make_command(EditMessage, content=next(emojis), conversation_id=cid, message_id=here.messages[3])
            )
            await tap.all_handled()

        def between(reads: type, name: str) -> None:
            real = getattr(reads, name)

            async def read(*args: Any, **kwargs: Any) -> Any:
                await change()
                result = await real(*args, **kwargs)
                await change()
                return result

            monkeypatch.setattr(reads, name, read)

        between(Directory, "front_for")
        between(History, "replay")
        async with here.client("alice", after_seq=2, after_change=0) as alice:
            await told(alice, 8)
            numbers = [number for kind, number in story(alice, cid) if kind == "changed"]
            assert numbers == sorted(set(numbers))
            stored = {m["seq"]: m for m in await here.rest.all_messages(cid)}
            assert alice.state(cid) == {seq: stored[seq] for seq in (2, 3, 4)}


async def test_many_devices_agree_with_the_database(room: Opened) -> None:
    """Who joins at any moment of a storm ends with what is stored."""
    async with (
        room(messages=6) as here,
        here.client("alice") as alice,
        here.client("bob") as bob,
        AsyncExitStack() as s,
    ):
        cid = here.conversation

        async def storm(client: ChatClient, emojis: str) -> None:
            for round_ in range(12):
                for number, message in enumerate(here.messages):
                    await client.react(cid, message, emojis[(round_ + number) % len(emojis)], present=round_ % 3 < 2)

        storms = [asyncio.create_task(storm(client, emojis)) for client, emojis in ((alice, "👍🎉"), (bob, "👍😀🔥"))]
        late: list[ChatClient] = []
        while not all(task.done() for task in storms):
            late.append(await s.enter_async_context(here.client("alice" if len(late) % 2 else "bob")))
            if len(late) == 12:
                break
        await asyncio.gather(*storms)
        stored = {m["seq"]: m for m in await here.rest.all_messages(cid)}
        for client in (alice, bob, *late):
            await client.ping()
            assert client.state(cid) == stored
            # Whoever asks for what is so already is answered with an older number.
            told = [f["message"]["changeSeq"] for f in client.changes(cid) if "requestId" not in f]
            assert told == sorted(set(told))

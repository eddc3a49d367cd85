"""What devices make of their frames is what a fresh client fetches, after any mix of sends and changes on all gateways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from uuid import uuid4

import pytest

from services.cli.chat import act
from services.cli.conversation import Conversation
from tests.e2e.conftest import Two
from tests.support.chat_client import ChatClient, Frame, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e
STEPS = 80
EMOJIS = ("👍", "🎉", "❤️", "👩🏽‍🚀", "🇫🇷")


@pytest.fixture
async def gateways(system: System) -> AsyncIterator[list[Process]]:
    """Two more, on which people are as quick as machines."""
    both = [system.another_gateway(RATE_LIMITS="0") for _ in range(2)]
    try:
        for gateway in both:
            await gateway.start()
        async with asyncio.timeout(30):
            for gateway in both:
                await gateway.ready()
        yield both
    finally:
        for gateway in both:
            await gateway.stop()


def stored(messages: list[Frame]) -> dict[int, Frame]:
    """By number, without what is for the sender alone, and what no frame tells."""
    return {m["seq"]: {k: v for k, v in m.items() if k not in ("tempId", "replies")} for m in messages}


async def test_two_people_on_two_gateways(two: Two) -> None:
    for client in (two.alice, two.bob):
        await client.join(two.cid)
    sent = await two.alice.send(two.cid, "helo")
    mine = sent["messageId"]
    await two.alice.edit(two.cid, mine, "hello")
    await two.bob.expect("message_updated", message={"id": mine, "content": "hello"}, change="edited")
    await two.bob.react(two.cid, mine, "👍")
    await two.alice.expect("message_updated", message={"id": mine, "reactions": {"👍": [two.bob_rest.user_id]}})
    with pytest.raises(SendRefused) as refused:
        await two.bob.delete(two.cid, mine)
    assert refused.value.code == "FORBIDDEN"
    theirs = await two.bob_rest.send(two.cid, "spam")
    await two.alice_rest.delete_message(two.cid, theirs["id"])
    await two.bob.expect("message_updated", message={"id": theirs["id"], "content": "", "isDeleted": True})
    assert (await two.bob_rest.conversation(two.cid))["lastMessage"]["isDeleted"]
    for client in (two.alice, two.bob):
        assert client.state(two.cid) == stored(await two.alice_rest.all_messages(two.cid))


class Notes:
    """What a terminal would show."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def message(self, message: Frame, own: bool) -> None:
        self.said.append(("reply" if "replyTo" in message else "new", message["content"]))

    def updated(self, message: Frame, change: str) -> None:
        self.said.append((change, message["content"]))

    def notice(self, text: str) -> None:
        self.said.append(("notice", text))

    def not_sent(self, why: str) -> None:
        self.said.append(("not sent", why))

    def changed(self) -> None:
        pass


async def test_the_terminal_chat_changes_messages(two: Two, system: System) -> None:
    view, url = Notes(), system.gateways[0].url
    token = two.alice_rest.http.headers["Authorization"].removeprefix("Bearer ")

    async def current_token(_: str) -> str:
        return token

    terminal = Conversation(two.cid, [url], current_token, view)
    await two.bob.join(two.cid)
    running = asyncio.create_task(terminal.run())
    await eventually(lambda: terminal.connected)
    for line, shown in (
        ("helo", ("new", "helo")),
        ("/edit hello", ("edited", "hello")),
        ("/react 👍", ("reactions", "hello")),
        ("/reply indeed", ("reply", "indeed")),
        ("/delete", ("deleted", "")),
        ("/edit 7 what", ("notice", "There is no such message on the screen.")),
    ):
        await act(terminal, line)
        await eventually(partial(_last_said, view, shown))
    running.cancel()
    final = stored(await two.bob_rest.all_messages(two.cid))
    await eventually(lambda: two.bob.state(two.cid) == final)
    assert [(m["content"], m.get("isDeleted")) for m in final.values()] == [("hello", None), ("", True)]


def _last_said(view: Notes, shown: tuple[str, str]) -> bool:
    return view.said[-1:] == [shown]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_devices_and_rest_agree(gateways: list[Process], seed: int) -> None:
    random = Random(seed)
    unique = uuid4().hex[:6]
    async with AsyncExitStack() as stack:
        rests = [await stack.enter_async_context(Rest(gateways[number % 2].url)) for number in range(3)]
        tokens = [await rest.login(f"{name} {unique}") for name, rest in zip("ABC", rests, strict=True)]
        cid = (await rests[0].create_conversation([rest.user_id for rest in rests[1:]], "Room"))["id"]
        people: list[list[ChatClient]] = [
            [await stack.enter_async_context(ChatClient.connect(gateway.ws, token)) for gateway in gateways]
            for token in tokens
        ]
        devices = [client for mine in people for client in mine]
        for client in devices:
            await client.join(cid)
        messages = [(await rests[number % 3].send(cid, f"m{number}"))["id"] for number in range(6)]

        async def do(who: int) -> None:
            """Something, as one person, on any of their devices; refusals are part of life."""
            client, message = random.choice(people[who]), random.choice(messages)
            try:
                match random.randrange(12):
                    case 0 | 1 | 2:
                        messages.append((await client.send(cid, f"later {len(messages)}"))["messageId"])
                    case 3 | 4:
                        await client.edit(cid, message, f"edited {random.random()}")
                    case 5:
                        await client.delete(cid, message)
                    case 6:
                        await rests[who].http.put(f"/api/conversations/{cid}/messages/{message}/reactions/👍")
                    case _:
                        await client.react(cid, message, random.choice(EMOJIS), random.random() < 0.7)
            except SendRefused as refused:
                if refused.code not in ("FORBIDDEN", "NOT_FOUND"):
                    raise

        async def live(who: int) -> None:
            for _ in range(STEPS):
                await do(who)

        lives = [asyncio.create_task(live(who)) for who in range(3)]
        # One device goes and comes back elsewhere, again and again, with what it held.
        held, change = 0, 0
        kept: dict[int, Frame] = {}

        async def come_back() -> None:
            """Take what was missed."""
            nonlocal held, change
            async with ChatClient.connect(random.choice(gateways).ws, tokens[0]) as client:
                await client.join(cid, after_seq=held, after_change=change)
                await client.ping()
                state = client.state(cid)
                held, change = max([held, *state]), max(change, client.last_change(cid))
                kept.update(state)

        while not all(task.done() for task in lives):
            await come_back()
        await asyncio.gather(*lives)
        final = stored(await rests[0].all_messages(cid))

        async def agree() -> None:
            for client in devices:
                assert client.state(cid) == final

        await eventually(agree)
        await come_back()
        assert kept == final, "what was kept, and what came since"
        for client in devices:
            client.check_complete(cid, 1, len(final))
            told = [f["message"]["changeSeq"] for f in client.changes(cid) if "requestId" not in f]
            assert told == sorted(set(told))

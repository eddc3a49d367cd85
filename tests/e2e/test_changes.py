"""What devices make of their frames is what a fresh client fetches, after any mix of sends and changes on all gateways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from uuid import uuid4

import pytest

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


async def test_a_change_has_the_temp_id_for_its_sender_alone(two: Two) -> None:
    """The answer, what others change, and what is resumed: it is the whole message."""
    for client in (two.alice, two.bob):
        await client.join(two.cid)
    sent = await two.alice.send(two.cid, "helo", "t1")
    answer = await two.alice.edit(two.cid, sent["messageId"], "hello")
    theirs = await two.bob.react(two.cid, sent["messageId"], "👍")
    told = await two.alice.expect("message_updated", change="reactions")
    await two.alice.join(two.cid, after_seq=1, after_change=0)
    resumed = await two.alice.expect("message_updated", change="reactions")
    await two.bob.join(two.cid, after_seq=1, after_change=0)
    again = await two.bob.expect("message_updated", change="reactions")
    assert [frame["message"].get("tempId") for frame in (answer, told, resumed)] == ["t1", "t1", "t1"]
    assert [frame["message"].get("tempId") for frame in (theirs, again)] == [None, None]


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

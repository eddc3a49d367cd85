"""What devices make of their frames is what REST says, after any mix of sends and reads, on all gateways."""

import asyncio
from contextlib import AsyncExitStack
from random import Random
from uuid import uuid4

import pytest

from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e
STEPS = 60


def believed(client: ChatClient, cid: str, members: dict[str, int]) -> tuple[int, dict[str, int]]:
    """The head, and how far each member has read, as this device knows them from its frames alone."""
    head, read = 0, dict(members)

    def has_read(user: str, seq: int) -> None:
        if user in read:
            read[user] = max(read[user], seq)

    for frame in client.received:
        match frame:
            case {"type": "new_message", "message": {"conversationId": conversation} as message} if conversation == cid:
                head = max(head, message["seq"])
                has_read(message["senderId"], message["seq"])
            case {"type": "read_receipt", "conversationId": conversation} if conversation == cid:
                has_read(frame["userId"], frame["seq"])
            case {"type": "notification", "kind": "message", "conversationId": conversation} if conversation == cid:
                head = max(head, frame["seq"])
                has_read(client.user_id, frame["seq"] - frame["unreadCount"])
            case {"type": "conversation_updated", "updateType": "member_added", "conversationId": conversation} if (
                conversation == cid
            ):
                read |= {member["userId"]: member["lastReadSeq"] for member in frame["members"]}
    return head, read


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_devices_and_rest_agree(system: System, seed: int) -> None:
    random = Random(seed)
    unique = uuid4().hex[:6]
    async with AsyncExitStack() as stack:
        rests = [await stack.enter_async_context(Rest(system.gateways[number % 2].url)) for number in range(4)]
        tokens = [await rest.login(f"{name} {unique}") for name, rest in zip("ABCD", rests, strict=True)]
        alice, bob, carol, dora = (rest.user_id for rest in rests)
        cid = (await rests[0].create_conversation([bob, carol], "Room"))["id"]
        members = {user: 0 for user in (alice, bob, carol)}
        # Each on both gateways; Carol looks at the list of conversations on one of them.
        devices: dict[str, list[ChatClient]] = {
            user: [
                await stack.enter_async_context(ChatClient.connect(gateway.ws, token)) for gateway in system.gateways
            ]
            for user, token in zip((alice, bob, carol, dora), tokens, strict=True)
        }
        aside = devices[carol][1]
        joined = [client for user in (alice, bob, carol) for client in devices[user] if client is not aside]
        for client in joined:
            await client.join(cid)

        async def mark(user: str, seq: int) -> None:
            await random.choice(devices[user]).post({"type": "mark_read", "conversationId": cid, "seq": seq})

        sent = 0
        working: list[asyncio.Task[object]] = []
        for step in range(STEPS):
            who = random.choice([alice, bob])
            action = random.random()
            if action < 0.4:
                sent += 1
                working.append(asyncio.create_task(random.choice(devices[who]).send(cid, f"m{step}")))
            elif action < 0.5:
                sent += 1
                working.append(asyncio.create_task(rests[[alice, bob].index(who)].send(cid, f"m{step}")))
            elif action < 0.6:
                await random.choice(rests[:3]).mark_read(cid, random.randint(0, STEPS))
            else:
                await mark(random.choice([alice, bob, carol]), random.randint(0, sent + 3))
            if step == STEPS // 2:
                await asyncio.gather(*working)
                await rests[0].add_members(cid, [dora])
                members[dora] = 0  # the frame says more
                for client in devices[dora]:
                    await client.join(cid)
                joined += devices[dora]
            if step > STEPS // 2 and random.random() < 0.2:
                await mark(dora, random.randint(0, sent))
        await asyncio.gather(*working)

        async def agree() -> None:
            # No mark waits any more when those behind it were answered.
            stored = await rests[0].conversation(cid)
            marks = {member["userId"]: member["lastReadSeq"] for member in stored["members"]}
            assert stored["lastSeq"] == sent
            for rest in rests:
                mine = await rest.conversation(cid)
                assert mine["unreadCount"] == sent - marks[rest.user_id]
            for client in joined:
                assert believed(client, cid, members) == (sent, marks)
            head, read = believed(aside, cid, members)
            assert (head, read[carol]) == (sent, marks[carol]), "not joined, and right about itself"

        for user in (alice, bob, carol, dora):
            for client in devices[user]:
                answer = await client.ask({"type": "mark_read", "conversationId": cid, "seq": 0}, "read_receipt")
                assert answer["userId"] == user
        await eventually(agree)

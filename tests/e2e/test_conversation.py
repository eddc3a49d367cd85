"""Two people on two gateways, with every process running."""

import asyncio

import jwt
import pytest

from tests.e2e.conftest import Two
from tests.support.chat_client import ChatClient, ConnectionEnded, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.system import JWT_SECRET, System

pytestmark = pytest.mark.e2e


async def test_a_message_reaches_the_other_gateway_and_its_sender(two: Two) -> None:
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    sent = await two.alice.send(two.cid, "  hello  ", "t1", requestId="r1")
    assert (sent["seq"], sent["duplicate"], sent["requestId"]) == (1, False, "r1")
    [received] = await two.bob.expect_messages(two.cid, 1)
    assert (received["content"], received["id"]) == ("hello", sent["messageId"])
    assert "tempId" not in received
    [mine] = await two.alice.expect_messages(two.cid, 1)
    assert mine["tempId"] == "t1"
    kinds = [frame["type"] for frame in two.alice.received]
    assert kinds.index("message_sent") < kinds.index("new_message")


async def test_one_message_for_one_temp_id(two: Two) -> None:
    first = await two.alice.send(two.cid, "once", "t1")
    again = await two.alice.send(two.cid, "once", "t1")
    assert (again["messageId"], again["seq"], again["duplicate"]) == (first["messageId"], first["seq"], True)
    with pytest.raises(SendRefused) as refused:
        await two.alice.send(two.cid, "twice", "t1")
    assert refused.value.code == "TEMP_ID_CONFLICT"
    assert len(await two.bob_rest.all_messages(two.cid)) == 1


async def test_resume_on_another_gateway_replays_what_was_missed(two: Two, system: System) -> None:
    await two.bob.join(two.cid)
    for number in range(3):
        await two.alice.send(two.cid, f"m{number}")
    await two.bob.expect_messages(two.cid, 3)
    await two.bob.close()
    for number in range(3, 8):
        await two.alice.send(two.cid, f"m{number}")
    token = await two.bob_rest.login(two.bob.user_name)
    async with ChatClient.connect(system.gateways[0].ws, token) as bob:
        joined = await bob.join(two.cid, after_seq=3)
        assert (joined["lastSeq"], joined["firstSeq"], joined["hasMore"]) == (8, 4, False)
        await two.alice.send(two.cid, "live")
        await bob.expect_messages(two.cid, 6)
        bob.check_complete(two.cid, 4, 9)


async def test_a_join_amid_traffic_has_neither_gap_nor_repeat(two: Two, system: System) -> None:
    async def talk() -> None:
        for number in range(30):
            await two.alice.send(two.cid, f"m{number}")

    talking = asyncio.create_task(talk())
    token = await two.bob_rest.login(two.bob.user_name)
    async with ChatClient.connect(system.gateways[1].ws, token) as late:
        await eventually(lambda: len(two.alice.received) > 8)
        await late.join(two.cid, after_seq=0)
        await talking
        await late.expect_messages(two.cid, 30)
        late.check_complete(two.cid, 1, 30)


async def test_typing_is_seen_by_the_others_and_ends_on_disconnect(two: Two) -> None:
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    await two.alice.typing(two.cid)
    await two.bob.expect("user_typing", conversationId=two.cid, userId=two.alice.user_id)
    await two.alice.nothing("user_typing", within=0.2)
    await two.alice.typing(two.cid, False)
    await two.bob.expect("user_stopped_typing", userId=two.alice.user_id)
    await two.alice.typing(two.cid)
    await two.bob.expect("user_typing", userId=two.alice.user_id)
    await two.alice.close()
    await two.bob.expect("user_stopped_typing", userId=two.alice.user_id)


async def test_members_who_have_not_joined_are_notified(two: Two) -> None:
    added = await two.bob.expect("notification", kind="added", conversationId=two.cid)
    assert added["unreadCount"] == 0
    await two.alice.send(two.cid, "psst")
    message = await two.bob.expect("notification", kind="message", conversationId=two.cid)
    assert (message["unreadCount"], message["preview"], message["seq"]) == (1, "psst", 1)
    assert (await two.bob_rest.conversation(two.cid))["unreadCount"] == 1
    assert (await two.alice_rest.conversation(two.cid))["unreadCount"] == 0


async def test_losing_membership_ends_delivery_at_once(two: Two) -> None:
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    await two.alice_rest.remove_member(two.cid, two.bob.user_id)
    await two.bob.expect("conversation_updated", updateType="member_removed", userIds=[two.bob.user_id])
    await two.alice.send(two.cid, "among us")
    await two.alice.expect_messages(two.cid, 1)
    await two.bob.nothing("new_message", within=0.3)
    with pytest.raises(SendRefused) as refused:
        await two.bob.send(two.cid, "let me in")
    assert refused.value.code == "NOT_A_MEMBER"
    with pytest.raises(SendRefused) as refused:
        await two.bob.join(two.cid)
    assert refused.value.code == "NOT_A_MEMBER"


async def test_rename_delete_and_roles(two: Two) -> None:
    assert (await two.bob_rest.http.patch(f"/api/conversations/{two.cid}", json={"name": "x"})).status_code == 403
    await two.alice_rest.rename(two.cid, "Renamed")
    await two.bob.expect("conversation_updated", updateType="name_changed", name="Renamed")
    await two.alice_rest.remove_member(two.cid, two.alice.user_id)
    [heir] = (await two.bob_rest.members(two.cid))["items"]
    assert (heir["userId"], heir["role"]) == (two.bob.user_id, "admin")
    await two.bob_rest.delete(two.cid)
    assert (await two.bob_rest.http.get(f"/api/conversations/{two.cid}")).status_code == 404


async def test_a_page_between_two_seqs(two: Two) -> None:
    for number in range(1, 7):
        await two.alice_rest.send(two.cid, f"m{number}")

    async def page(**asked: int) -> tuple[list[int], bool]:
        answer = await two.bob_rest.http.get(f"/api/conversations/{two.cid}/messages", params=asked)
        assert answer.status_code == 200
        return [message["seq"] for message in answer.json()["items"]], answer.json()["hasMore"]

    assert await page(afterSeq=1, beforeSeq=5) == ([2, 3, 4], False)
    assert await page(afterSeq=1, beforeSeq=5, limit=2) == ([2, 3], True)
    assert await page(afterSeq=4, beforeSeq=5) == ([], False)


async def test_a_direct_pair_is_one_conversation(two: Two) -> None:
    one = await two.alice_rest.create_conversation([two.bob.user_id], type="direct")
    other = await two.bob_rest.create_conversation([two.alice.user_id], type="direct")
    assert (one["id"], one["memberCount"]) == (other["id"], 2)


async def test_a_group_may_have_no_name_and_a_channel_has_one(two: Two) -> None:
    group = await two.alice_rest.create_conversation([two.bob.user_id], name=None)
    assert (group["type"], group["name"], group["memberCount"]) == ("group", None, 2)
    await two.alice_rest.send(group["id"], "whose is this?")
    told = await two.bob.expect("notification", kind="message", conversationId=group["id"])
    assert told["conversationName"] is None
    channel = await two.alice_rest.http.post("/api/conversations", json={"type": "channel", "memberIds": []})
    assert (channel.status_code, channel.json()["detail"]) == (422, "name: a channel needs a name")


async def test_a_message_over_rest_is_no_longer_than_a_frame(two: Two) -> None:
    sound = {
        "name": "s",
        "url": "https://example.org/s",
        "type": "audio/ogg",
        "size": 1,
        "waveform": [0.123456789] * 1024,
    }
    answer = await two.alice_rest.http.post(
        f"/api/conversations/{two.cid}/messages", json={"content": "", "attachments": [sound] * 6}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_FRAME")
    assert (await two.alice_rest.send(two.cid, "", attachments=[sound] * 2))["seq"] == 1


async def test_rest_sends_once_per_idempotency_key(two: Two) -> None:
    path = f"/api/conversations/{two.cid}/messages"
    headers = {"Idempotency-Key": "k1"}
    first = await two.alice_rest.http.post(path, json={"content": "by rest"}, headers=headers)
    again = await two.alice_rest.http.post(path, json={"content": "by rest"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    conflict = await two.alice_rest.http.post(path, json={"content": "other"}, headers=headers)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "TEMP_ID_CONFLICT")
    empty = await two.alice_rest.http.post(path, json={"content": " "})
    assert (empty.status_code, empty.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("nonsense", "INVALID_TOKEN"),
        (jwt.encode({"sub": "u", "exp": 1}, JWT_SECRET, algorithm="HS256"), "TOKEN_EXPIRED"),
        (jwt.encode({"sub": "u"}, JWT_SECRET, algorithm="HS256"), "INVALID_TOKEN"),
        (jwt.encode({"sub": "u", "exp": 9e9}, "x" * 40, algorithm="HS256"), "INVALID_TOKEN"),
        (jwt.encode({"sub": "u", "exp": 9e9}, "", algorithm="none"), "INVALID_TOKEN"),
        (jwt.encode({"sub": "u" * 65, "exp": 9e9}, JWT_SECRET, algorithm="HS256"), "INVALID_TOKEN"),
    ],
)
async def test_bad_tokens_close_with_4500(system: System, token: str, code: str) -> None:
    async with ChatClient.connect(system.gateways[0].ws) as somebody:
        with pytest.raises(SendRefused) as refused:
            await somebody.authenticate(token)
        assert refused.value.code == code
        assert (await somebody.closed())[0] == 4500
    async with Rest(system.gateways[0].url, token) as rest:
        answer = await rest.http.get("/api/me")
        assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_a_foreign_origin_closes_with_4504(system: System) -> None:
    async with ChatClient.connect(system.gateways[0].ws, origin="https://evil.example") as browser:
        assert (await browser.closed())[0] == 4504
    async with ChatClient.connect(system.gateways[0].ws, origin=system.gateways[0].url) as browser:
        assert (await browser.ping())["type"] == "pong"


async def test_hostile_frames_cost_only_their_sender(two: Two, system: System) -> None:
    async with ChatClient.connect(system.gateways[0].ws) as hostile:
        await hostile.post("x" * 70_000)
        assert (await hostile.closed())[0] == 1009
    async with ChatClient.connect(system.gateways[0].ws) as hostile:
        for _ in range(50):
            await hostile.post("{")
        assert (await hostile.closed())[0] == 4502
        with pytest.raises(ConnectionEnded):
            await hostile.expect("pong")
    await two.alice.send(two.cid, "still here")


async def test_ping_tells_the_heads_that_are_higher(two: Two) -> None:
    await two.alice.send(two.cid, "one")
    assert (await two.bob.ping({two.cid: 0}))["heads"] == {two.cid: 1}
    assert "heads" not in await two.bob.ping({two.cid: 1, "of-others": 0})

"""Replies with their threads, and mentions, over every process."""

import pytest

from contracts import limits
from tests.e2e.conftest import Two
from tests.support.chat_client import SendRefused
from tests.support.eventually import eventually

pytestmark = pytest.mark.e2e


async def test_a_thread_is_quoted_counted_and_read(two: Two) -> None:
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    first = await two.alice.send(two.cid, "What do you think?", "t1")
    parent = first["messageId"]
    by_socket = await two.bob.send(two.cid, "Yes", "t2", replyTo=parent)
    by_rest = await two.alice_rest.send(two.cid, "Good", "t3", replyTo=parent)
    _, yes, good = await two.alice.expect_messages(two.cid, 3)
    for reply in (yes, good, by_rest):
        quote = reply["reply"]
        assert (quote["messageId"], quote["seq"], quote["preview"]) == (parent, 1, "What do you think?")
        assert quote["senderId"] == two.alice.user_id

    path = f"/api/conversations/{two.cid}/messages/{parent}"

    async def counted() -> bool:
        shown = (await two.bob_rest.http.get(path)).json()
        return bool(shown.get("replies") == {"count": 2, "lastSeq": 3})

    await eventually(counted)
    thread = (await two.bob_rest.http.get(f"{path}/replies", params={"limit": 1})).json()
    assert ([message["id"] for message in thread["items"]], thread["hasMore"]) == ([by_socket["messageId"]], True)
    assert thread["items"][0]["tempId"] == "t2"
    thread = (await two.bob_rest.http.get(f"{path}/replies", params={"afterSeq": 2})).json()
    assert ([message["id"] for message in thread["items"]], thread["hasMore"]) == ([by_rest["id"]], False)
    joined = await two.bob_rest.messages(two.cid)
    assert [message.get("replies", {}).get("count") for message in joined["items"]] == [2, None, None]

    with pytest.raises(SendRefused) as refused:
        await two.bob.send(two.cid, "What?", "t4", replyTo="nothing")
    assert refused.value.code == "NOT_FOUND"


async def test_a_thread_is_of_members_and_of_its_conversation(two: Two) -> None:
    sent = await two.alice.send(two.cid, "hello", "t1")
    other = await two.alice_rest.create_conversation([], "Alone")
    for rest, cid, message, code in (
        (two.bob_rest, other["id"], sent["messageId"], "NOT_A_MEMBER"),
        (two.alice_rest, other["id"], sent["messageId"], "NOT_FOUND"),
        (two.alice_rest, two.cid, "unknown", "NOT_FOUND"),
    ):
        for path in ("", "/replies"):
            answer = await rest.http.get(f"/api/conversations/{cid}/messages/{message}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_who_is_mentioned_is_notified_of_it_and_counts_it(two: Two) -> None:
    alice, bob = two.alice.user_id, two.bob.user_id
    sent = await two.alice.send(two.cid, "@Bob look", "t1", mentions=[bob, "stranger"])
    told = await two.bob.expect("notification", messageId=sent["messageId"])
    assert (told["kind"], told["unreadCount"]) == ("mention", 1)
    shown = await two.bob_rest.conversation(two.cid)
    assert (shown["unreadCount"], shown["unreadMentions"]) == (1, 1)
    assert shown["lastMessage"]["mentions"] == [bob]
    stored = await two.alice_rest.send(two.cid, "All of you", mentionAll=True)
    assert stored["mentionAll"] is True
    assert (await two.bob.expect("notification", messageId=stored["id"]))["kind"] == "mention"
    assert (await two.bob_rest.conversation(two.cid))["unreadMentions"] == 2

    with pytest.raises(SendRefused) as refused:
        await two.bob.send(two.cid, "All of you", "t2", mentionAll=True)
    assert refused.value.code == "FORBIDDEN"
    with pytest.raises(SendRefused) as refused:
        await two.bob.send(two.cid, "Many", "t3", mentions=[f"p{number}" for number in range(limits.MENTIONS + 1)])
    assert refused.value.code == "INVALID_FRAME"
    many = {"content": "Many", "mentions": [alice] * (limits.MENTIONS + 1)}
    answer = await two.bob_rest.http.post(f"/api/conversations/{two.cid}/messages", json=many)
    assert answer.status_code == 422

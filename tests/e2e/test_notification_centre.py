"""The notification centre over REST: what one was told, folded, read on any device, and marked as read by itself."""

from typing import Any

import pytest

from tests.e2e.conftest import Two
from tests.support.eventually import eventually

pytestmark = pytest.mark.e2e
CENTRE = "/api/notifications"


async def entries(two: Two, **params: Any) -> dict[str, Any]:
    answer = await two.bob_rest.http.get(CENTRE, params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def holds(two: Two, kind: str, count: int, *, unread: bool = False) -> dict[str, Any]:
    """Bob's newest entry of this kind, once it stands for so many (and is one that he has not read)."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        mine = [e for e in (await entries(two))["items"] if e["conversationId"] == two.cid and e["kind"] == kind]
        found.update(mine[0] if mine else {})
        return bool(mine) and mine[0]["count"] == count and not (unread and mine[0]["readAt"])

    await eventually(there, timeout=20)
    return found


async def test_what_one_was_told_is_there_and_is_read_with_its_conversation(two: Two) -> None:
    await two.alice.join(two.cid)
    added = await holds(two, "added", 1)
    assert (added["readAt"], "messageId" in added, "seq" in added) == (None, False, False)
    await two.alice.send(two.cid, "one")
    mention = await two.alice.send(two.cid, "two @Bob", mentions=[two.bob.user_id])
    told = await two.bob.expect("notification", kind="mention")
    found = await holds(two, "mention", 1)
    assert (found["messageId"], found["seq"]) == (told["messageId"], told["seq"]) == (mention["messageId"], 2)
    assert (found["preview"], found["senderName"]) == ("two @Bob", told["senderName"])
    assert found["conversationName"] == told["conversationName"]
    await two.alice.edit(two.cid, mention["messageId"], "changed @Bob")
    await two.alice.send(two.cid, "three")
    # Ordinary messages once they are not read for some seconds.
    message = await holds(two, "message", 2)
    assert (message["preview"], message["seq"], message["readAt"]) == ("three", 3, None)
    page = await entries(two)
    assert [e["kind"] for e in page["items"]] == ["message", "mention", "added"]
    assert (page["unreadCount"], page["nextCursor"]) == (3, None)
    assert page["items"][1]["preview"] == "changed @Bob"
    first = await entries(two, limit=2)
    rest = await entries(two, limit=2, cursor=first["nextCursor"])
    assert [e["id"] for e in first["items"] + rest["items"]] == [e["id"] for e in page["items"]]

    read = await two.bob_rest.http.post(f"/api/conversations/{two.cid}/read", json={"seq": 3})
    assert read.status_code == 200
    page = await entries(two)
    assert (page["unreadCount"], any(e["readAt"] is None for e in page["items"])) == (0, False)
    await two.alice.delete(two.cid, mention["messageId"])
    assert "preview" not in (await holds(two, "mention", 1))
    await two.bob_rest.remove_member(two.cid, two.bob.user_id)
    assert (await entries(two))["items"] == []


async def test_entries_are_marked_as_read_by_themselves(two: Two) -> None:
    http = two.bob_rest.http
    await two.alice.send(two.cid, "@Bob", mentions=[two.bob.user_id])
    await holds(two, "mention", 1)
    added = await holds(two, "added", 1)
    answer = await http.post(f"{CENTRE}/read", json={"upTo": added["id"]})
    assert (answer.status_code, answer.json()) == (200, {"unreadCount": 1})
    answer = await http.post(f"{CENTRE}/read", json={"conversationId": two.cid})
    assert answer.json() == {"unreadCount": 0}
    assert all(e["readAt"] for e in (await entries(two))["items"])
    conversation = (await http.get(f"/api/conversations/{two.cid}")).json()
    assert conversation["unreadCount"] == 1, "no message is read by that"
    await two.alice.send(two.cid, "@Bob again", mentions=[two.bob.user_id])
    assert (await holds(two, "mention", 1, unread=True))["preview"] == "@Bob again"
    assert (await http.post(f"{CENTRE}/read", json={"all": True})).json() == {"unreadCount": 0}


async def test_what_is_wrong_is_named(two: Two) -> None:
    http = two.bob_rest.http
    for body in ({}, {"all": True, "conversationId": two.cid}, {"all": False}, {"upTo": ""}):
        assert (await http.post(f"{CENTRE}/read", json=body)).status_code == 422, body
    assert (await http.post(f"{CENTRE}/read", json={"upTo": "nobody's"})).status_code == 404
    assert (await http.get(CENTRE, params={"cursor": "x"})).status_code == 422
    assert (await http.get(CENTRE, params={"limit": 0})).status_code == 422

"""Roles, channels, pins and settings over REST, and what sockets are told of them."""

from urllib.parse import quote

import pytest

from tests.e2e.conftest import Two
from tests.support.chat_client import ChatClient, SendRefused
from tests.support.system import System

pytestmark = pytest.mark.e2e


async def test_roles_are_given_and_seen(two: Two) -> None:
    path = f"/api/conversations/{two.cid}/members"
    assert (await two.bob_rest.http.patch(f"{path}/{two.bob.user_id}", json={"role": "admin"})).status_code == 403
    assert (await two.alice_rest.http.patch(f"{path}/{two.bob.user_id}", json={"role": "king"})).status_code == 422
    assert (await two.bob_rest.conversation(two.cid))["role"] == "member"
    answer = await two.alice_rest.http.patch(f"{path}/{two.bob.user_id}", json={"role": "admin"})
    assert (await two.bob_rest.conversation(two.cid))["role"] == "admin"
    assert (await two.bob_rest.conversations())["items"][0]["role"] == "admin"
    assert {member["role"] for member in answer.json()["members"]} == {"admin"}
    told = await two.bob.expect("conversation_updated", updateType="role_changed")
    ((who, role),) = [(member["userId"], member["role"]) for member in told["members"]]
    assert (who, role, told["actorId"]) == (two.bob.user_id, "admin", two.alice.user_id)


async def test_a_public_channel_is_found_joined_and_left(two: Two) -> None:
    created = await two.alice_rest.http.post(
        "/api/conversations", json={"type": "channel", "name": "Xylophones", "memberIds": [], "public": True}
    )
    assert created.status_code == 201
    cid = created.json()["id"]
    path = f"/api/conversations/{cid}"
    (found,) = (await two.bob_rest.http.get("/api/channels", params={"query": "xylo"})).json()["items"]
    assert (found["id"], found["memberCount"], found["joined"]) == (cid, 1, False)
    assert (await two.bob_rest.http.get(f"{path}/messages")).status_code == 404, "it is read by members only"
    joined = await two.bob_rest.http.post(f"{path}/join")
    assert (joined.status_code, joined.json()["memberCount"], joined.json()["public"]) == (200, 2, True)
    told = await two.alice.expect("conversation_updated", conversationId=cid, updateType="member_added")
    assert (told["actorId"], told["userIds"]) == (two.bob.user_id, [two.bob.user_id])
    await two.bob.join(cid)
    await two.bob.send(cid, "music")
    await two.bob_rest.remove_member(cid, two.bob.user_id)
    assert (await two.alice_rest.http.patch(path, json={"public": False})).json()["public"] is False
    assert (await two.bob_rest.http.post(f"{path}/join")).status_code == 404


async def test_what_is_wrong_is_named(two: Two) -> None:
    path = f"/api/conversations/{two.cid}"
    group = {"type": "group", "name": "x", "memberIds": [], "public": True}
    assert (await two.alice_rest.http.post("/api/conversations", json=group)).status_code == 422
    assert (await two.alice_rest.http.patch(path, json={})).status_code == 422
    assert (await two.alice_rest.http.patch(f"{path}/me", json={})).status_code == 422
    refused = await two.alice_rest.http.patch(path, json={"public": True})
    assert (refused.status_code, refused.json()["detail"]) == (403, "Only a channel can be public.")
    assert (await two.alice_rest.http.get("/api/channels", params={"cursor": "x"})).status_code == 422


async def test_a_closed_conversation_is_read_only(two: Two) -> None:
    path = f"/api/conversations/{two.cid}"
    await two.alice.send(two.cid, "last words")
    closed = (await two.alice_rest.http.patch(path, json={"name": "Done", "closed": True})).json()
    assert (closed["name"], "closedAt" in closed) == ("Done", True)
    await two.bob.expect("conversation_updated", updateType="closed")
    with pytest.raises(SendRefused) as refused:
        await two.bob.send(two.cid, "one more")
    assert (refused.value.code, "closed" in str(refused.value)) == ("FORBIDDEN", True)
    assert [m["content"] for m in (await two.bob_rest.messages(two.cid))["items"]] == ["last words"]
    opened = (await two.alice_rest.http.patch(path, json={"name": "Again", "closed": False})).json()
    assert (opened["name"], "closedAt" in opened) == ("Again", False)
    await two.bob.send(two.cid, "one more")


async def test_pins_are_shown_with_their_messages(two: Two) -> None:
    path = f"/api/conversations/{two.cid}/pins"
    first, second = await two.alice.send(two.cid, "first"), await two.alice.send(two.cid, "second")
    assert (await two.bob_rest.http.put(f"{path}/{first['messageId']}")).status_code == 403
    for sent in (first, second, first):
        assert (await two.alice_rest.http.put(f"{path}/{sent['messageId']}")).status_code == 204
    told = await two.bob.expect("conversation_updated", updateType="pinned")
    assert told["messageId"] == first["messageId"]
    pins = (await two.bob_rest.http.get(path)).json()["items"]
    assert [(pin["message"]["content"], pin["pinnedBy"]) for pin in pins] == [
        ("second", two.alice.user_id),
        ("first", two.alice.user_id),
    ]
    assert (await two.alice_rest.http.delete(f"{path}/{first['messageId']}")).status_code == 204
    assert len((await two.bob_rest.http.get(path)).json()["items"]) == 1


async def test_settings_reach_ones_own_connections_and_nobody_elses(two: Two, system: System) -> None:
    token = await two.bob_rest.login(two.bob.user_name)
    path = f"/api/conversations/{two.cid}/me"
    await two.alice.join(two.cid)
    await two.bob.join(two.cid)
    async with ChatClient.connect(system.gateways[0].ws, token) as phone:
        changed = (await two.bob_rest.http.patch(path, json={"muted": True, "archived": True})).json()
        assert (changed["muted"], changed["archived"]) == (True, True)
        for mine in (two.bob, phone):
            told = await mine.expect("conversation_updated", updateType="settings_changed", conversationId=two.cid)
            assert (told["muted"], told["archived"]) == (True, True)
        assert two.cid not in [c["id"] for c in (await two.bob_rest.conversations())["items"]]
        assert [c["id"] for c in (await two.bob_rest.conversations(archived="true"))["items"]] == [two.cid]
        # What is told behind it: so the others would have had it by now.
        await two.alice_rest.rename(two.cid, "Other")
        seen = await two.alice.expect("conversation_updated", conversationId=two.cid, updateType="name_changed")
        assert "muted" not in seen
        assert not [f for f in two.alice.received if f.get("updateType") == "settings_changed"]
        await two.alice.send(two.cid, "psst")
        await two.bob.expect_messages(two.cid, 1)
        await phone.nothing("notification", within=0.3, kind="message")


async def test_the_audit_trail_is_for_admins(two: Two) -> None:
    path = f"/api/conversations/{two.cid}/audit"
    await two.alice_rest.rename(two.cid, "Other")
    entries = (await two.alice_rest.http.get(path, params={"limit": 1})).json()
    assert [(entry["action"], entry["name"]) for entry in entries["items"]] == [("name_changed", "Other")]
    rest = (await two.alice_rest.http.get(path, params={"cursor": entries["nextCursor"]})).json()
    assert [entry["action"] for entry in rest["items"]] == ["created"]
    assert rest["nextCursor"] is None
    assert (await two.bob_rest.http.get(path)).status_code == 403
    direct = await two.alice_rest.create_conversation([two.bob.user_id], type="direct")
    assert (await two.alice_rest.http.get(f"/api/conversations/{direct['id']}/audit")).status_code == 403
    await two.alice_rest.remove_member(two.cid, two.bob.user_id)
    assert (await two.bob_rest.http.get(path)).status_code == 404
    gone = (await two.alice_rest.http.get(path, params={"limit": 1})).json()["items"][0]
    people = [(await rest.me()) for rest in (two.alice_rest, two.bob_rest)]
    assert gone["names"] == {person["userId"]: person["userName"] for person in people}


async def test_an_id_may_have_a_slash(two: Two) -> None:
    """Ids are opaque: within a path they are percent-encoded, and what looks encoded in one stays as it is."""
    path = f"/api/conversations/{two.cid}/members"
    for odd in ("team/odd", "/", "a%2Fb/c"):
        await two.alice_rest.add_members(two.cid, [odd])
        one = f"{path}/{quote(odd, safe='')}"
        changed = await two.alice_rest.http.patch(one, json={"role": "admin"})
        assert (changed.status_code, {m["userId"]: m["role"] for m in changed.json()["members"]}[odd]) == (200, "admin")
        assert (await two.alice_rest.http.delete(one)).status_code == 204
        assert odd not in {m["userId"] for m in (await two.alice_rest.conversation(two.cid))["members"]}
    unknown = await two.alice_rest.http.get(f"/api/conversations/{quote('x/y', safe='')}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_A_MEMBER")

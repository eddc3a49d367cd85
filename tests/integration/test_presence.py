"""Presence over two gateways: who is told of whom, several devices, what is chosen, and what nobody may see."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import fanout, limits
from contracts.commands import AddMembers, RemoveMember, StorePresence
from contracts.shape import now
from services.gateway import app as gateway_app
from services.gateway import presence as presence_module
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import expired, make_command, store_conversation
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
Frame = dict[str, Any]


@dataclass
class World:
    """Two gateways with a persister behind them, and a group of Alice and Bob."""

    stack: AsyncExitStack
    gateways: list[InProcessGateway]
    conversation: str
    rest: Rest

    async def client(self, user: str, gateway: int = 0, join: bool = False) -> ChatClient:
        """Another connection of somebody; closed in the end."""
        token = await self.rest.token(user, user)
        client = await self.stack.enter_async_context(ChatClient.connect(self.gateways[gateway].ws, token))
        if join:
            await client.join(self.conversation)
        return client

    async def as_user(self, user: str, gateway: int = 1) -> Rest:
        """REST as somebody."""
        rest = await self.stack.enter_async_context(Rest(self.gateways[gateway].url))
        await rest.login(user, user)
        return rest


@pytest.fixture
async def world(
    settings: Settings, database: Database, tap: Tap, amqp_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Things happen twenty times as fast as usual; the second gateway is behind the proxy."""
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    monkeypatch.setattr(presence_module, "TICK", 0.05)
    usual = {"auth_dev": True, "presence_grace": 0.5, "presence_interval": 2.0, "rate_presence": 0.0}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Persister(settings, database))
        gateways = [
            await stack.enter_async_context(InProcessGateway(gateway_beside(settings, **usual | {"amqp_url": url})))
            for url in (settings.amqp_url, amqp_proxy.url)
        ]
        rest = await stack.enter_async_context(Rest(gateways[0].url))
        conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
        clients = await stack.enter_async_context(AsyncExitStack())
        yield World(clients, gateways, conversation, rest)


async def set_presence(client: ChatClient, status: str) -> Frame:
    return await client.ask({"type": "set_presence", "status": status}, "presence")


async def watch(client: ChatClient, *users: str) -> dict[str, Frame]:
    """Watch these; what is answered, by user."""
    await client.post({"type": "watch_presence", "userIds": list(users), "requestId": "w"})
    await client.ping()  # frames are answered in order
    answers = [frame for frame in client.queued if frame.get("requestId") == "w"]
    for frame in answers:
        client._waiting.remove(frame)
    return {frame["userId"]: frame for frame in answers}


def of(client: ChatClient, user: str) -> list[str]:
    """Everything that a client was told of somebody, in order."""
    return [frame["status"] for frame in client.received if frame["type"] == "presence" and frame["userId"] == user]


async def look(rest: Rest, *users: str) -> dict[str, Frame]:
    answer = await rest.http.get("/api/presence", params=[("userIds", user) for user in users])
    return {person["userId"]: person for person in answer.json()["items"]}


async def test_coming_and_going_is_seen_at_the_other_gateway_by_who_has_joined(world: World) -> None:
    bob = await world.client("bob", 1, join=True)
    alice = await world.client("alice", 0, join=True)
    await bob.expect("presence", userId="alice", status="online")
    await alice.expect("presence", userId="bob", status="online")
    before = datetime.now(UTC)
    await alice.close()
    gone = await bob.expect("presence", userId="alice", status="offline")
    assert abs((datetime.fromisoformat(gone["lastSeenAt"]) - before).total_seconds()) < 2
    assert of(bob, "alice") == ["online", "offline"]
    rest = await world.as_user("bob", 0)

    async def kept() -> bool:
        return (await look(rest, "alice"))["alice"].get("lastSeenAt") == gone["lastSeenAt"]

    await eventually(kept)


async def test_whoever_comes_back_in_time_was_never_away(world: World) -> None:
    bob = await world.client("bob", 1, join=True)
    alice = await world.client("alice", 0)
    await bob.expect("presence", userId="alice", status="online")
    alice.drop()
    again = await world.client("alice", 1)
    await eventually(lambda: not world.gateways[0].parts.presence._local)
    await again.close()
    await bob.expect("presence", userId="alice", status="offline")
    assert of(bob, "alice") == ["online", "offline"]


async def test_devices_merge(world: World) -> None:
    bob = await world.client("bob", 1, join=True)
    phone, laptop = await world.client("alice", 0), await world.client("alice", 1)
    await bob.expect("presence", userId="alice", status="online")
    await set_presence(phone, "away")
    await set_presence(laptop, "away")
    await bob.expect("presence", userId="alice", status="away")
    await set_presence(laptop, "online")
    await bob.expect("presence", userId="alice", status="online")
    assert (await set_presence(phone, "busy"))["status"] == "busy"
    await laptop.expect("presence", userId="alice", status="busy")  # one's other devices follow
    await bob.expect("presence", userId="alice", status="busy")
    await set_presence(laptop, "away")
    await set_presence(laptop, "online")
    await bob.expect("presence", userId="alice", status="online")
    assert of(bob, "alice") == ["online", "away", "online", "busy", "online"]


async def test_invisible_is_offline_to_everybody_and_survives(world: World, database: Database) -> None:
    bob = await world.client("bob", 1, join=True)
    alice = await world.client("alice", 0)
    await bob.expect("presence", userId="alice", status="online")
    assert (await set_presence(alice, "invisible"))["status"] == "offline"
    seen = (await bob.expect("presence", userId="alice", status="offline"))["lastSeenAt"]
    rest, mine = await world.as_user("bob"), await world.as_user("alice")
    assert (await look(rest, "alice"))["alice"] == {"userId": "alice", "status": "offline", "lastSeenAt": seen}
    assert (await mine.http.get("/api/presence")).json() == {"items": [], "chosen": "invisible"}
    # She comes and goes, at both gateways, and nothing of it is told or kept.
    for gateway in (0, 1):
        other = await world.client("alice", gateway)
        await other.send(world.conversation, "hello")
        await other.close()
    await alice.close()
    await eventually(lambda: not any(g.parts.presence.leases.status("alice") != "offline" for g in world.gateways))
    await eventually(lambda: "alice" not in world.gateways[0].parts.presence._local)
    assert of(bob, "alice") == ["online", "offline"]
    assert (await look(rest, "alice"))["alice"]["lastSeenAt"] == seen
    assert (await watch(bob, "alice"))["alice"]["status"] == "offline"
    visible = await world.client("alice", 1)
    await set_presence(visible, "online")
    await bob.expect("presence", userId="alice", status="online")


async def test_whoever_is_silent_for_long_is_away_until_the_next_frame(world: World) -> None:
    bob = await world.client("bob", 1, join=True)
    alice = await world.client("alice", 0, join=True)
    await bob.expect("presence", userId="alice", status="online")
    world.gateways[0].peer("alice").active_at -= 601
    await alice.ping()
    await bob.expect("presence", userId="alice", status="away")  # a ping is nobody's
    await alice.typing(world.conversation)
    await bob.expect("presence", userId="alice", status="online")


async def test_watching_is_for_those_who_share_a_conversation(world: World, database: Database) -> None:
    await store_conversation(database, {"carol": "admin", "bob": "member"}, conversation_id="other")
    alice, carol = await world.client("alice", 0), await world.client("carol", 0)
    bob = await world.client("bob", 1)
    leases = world.gateways[1].parts.presence.leases
    await eventually(lambda: {leases.status(user) for user in ("alice", "bob", "carol")} == {"online"})
    assert {user: f["status"] for user, f in (await watch(bob, "carol", "alice", "eve", "bob")).items()} == {
        "carol": "online",
        "alice": "online",
        "bob": "online",
    }
    assert set(await watch(alice, "carol", "bob")) == {"bob"}
    assert set(await look(await world.as_user("alice"), "carol", "bob", "eve")) == {"bob"}
    assert set(await watch(bob, "alice")) == {"alice"}
    await carol.close()
    await alice.close()
    await bob.expect("presence", userId="alice", status="offline")
    assert "offline" not in of(bob, "carol"), "she is watched no longer"
    with pytest.raises(SendRefused) as refused:
        await bob.ask({"type": "watch_presence", "userIds": ["x"] * (limits.WATCHED + 1)}, "presence")
    assert refused.value.code == "INVALID_FRAME"


async def test_it_ends_with_the_last_shared_conversation(world: World, tap: Tap) -> None:
    alice, bob = await world.client("alice", 0, join=True), await world.client("bob", 1, join=True)
    other = await world.client("bob", 1)
    await watch(other, "alice")
    await eventually(lambda: of(bob, "alice") == ["online"])
    await tap.publish(make_command(RemoveMember, actor="alice", conversation_id=world.conversation, member_id="bob"))
    await bob.expect("conversation_updated", updateType="member_removed")
    await eventually(lambda: world.gateways[1].parts.presence.watching.of("alice") == set())
    await set_presence(alice, "busy")
    await eventually(lambda: world.gateways[1].parts.presence.leases.status("alice") == "busy")
    await tap.publish(make_command(AddMembers, actor="alice", conversation_id=world.conversation, member_ids=["bob"]))
    await bob.expect("conversation_updated", updateType="member_added")
    await bob.join(world.conversation)
    await bob.expect("presence", userId="alice", status="busy")
    assert of(bob, "alice") == ["online", "busy"]


async def test_a_gateway_that_begins_knows_everybody_at_once(world: World, settings: Settings) -> None:
    await world.client("alice", 0)
    await eventually(lambda: world.gateways[0].parts.presence.leases.status("alice") == "online")
    begun = world.gateways[0].parts.settings.model_copy(update={"presence_interval": 3600.0})
    async with InProcessGateway(begun) as third:
        await eventually(lambda: third.parts.presence.leases.status("alice") == "online")


async def test_a_gateway_that_stops_leaves_its_people_a_moment(world: World) -> None:
    bob = await world.client("bob", 1, join=True)
    usual = world.gateways[0].parts.settings.model_copy(update={"presence_interval": 3600.0})
    async with InProcessGateway(usual) as third:
        world.gateways.append(third)
        await world.client("alice", 2)
        await world.client("carol", 2)
        await bob.expect("presence", userId="alice", status="online")
        presence = world.gateways[1].parts.presence
        await eventually(lambda: presence.leases.status("carol") == "online")
    await world.client("alice", 0)
    await eventually(lambda: presence.leases.status("carol") == "offline")
    assert of(bob, "alice") == ["online"]


async def test_while_rabbitmq_is_away_nobody_goes(world: World, amqp_proxy: TcpProxy) -> None:
    bob = await world.client("bob", 1, join=True)
    alice = await world.client("alice", 0)
    await bob.expect("presence", userId="alice", status="online")
    held = world.gateways[1].parts.presence.leases
    await amqp_proxy.refuse()
    renewed = held._places[world.gateways[0].parts.ingress.gateway_id].renewed
    renewed["alice"] -= 3600  # as if it had been away for an hour
    await amqp_proxy.heal()
    await world.gateways[1].parts.broker.consumer.up.wait()
    await alice.close()
    await bob.expect("presence", userId="alice", status="offline", timeout=15)
    assert of(bob, "alice") == ["online", "offline"]


async def test_a_choice_that_was_missed_is_read(world: World, database: Database, tap: Tap) -> None:
    """Its item went past a gateway; then the other one says otherwise."""
    bob = await world.client("bob", 0, join=True)
    await world.client("alice", 0)
    await bob.expect("presence", userId="alice", status="online")
    await database.presence.update_one({"_id": "alice"}, {"$set": {"chosen": "busy"}}, upsert=True)
    item = fanout.Presence(gateway_id="another", here={"alice": "busy"})
    await tap.put(tap.topology.fanout.name, "", fanout.pack([(item, fanout.NULL)]))
    await bob.expect("presence", userId="alice", status="busy")
    await eventually(lambda: world.gateways[0].parts.presence._local["alice"].said == "busy")


async def test_what_is_stored_only_moves_forward(settings: Settings, database: Database, tap: Tap) -> None:
    first, later = now().replace(year=2030), now().replace(year=2031)
    late = expired(make_command(StorePresence, chosen="busy"))
    async with Persister(settings, database):
        for command in (
            make_command(StorePresence, chosen="invisible"),
            make_command(StorePresence, seen_at=later),
            expired(make_command(StorePresence, seen_at=first)),
            late,
        ):
            await tap.publish(command)
        await tap.all_handled()
    document = await database.presence.find_one({"_id": "alice"})
    assert document == {"_id": "alice", "chosen": "invisible", "lastSeenAt": later}
    assert [item.chosen for item, _ in tap.items if isinstance(item, fanout.PresenceChosen)] == ["invisible"]
    assert tap.replies_to(late)[0].code == "TIMEOUT"

"""What remains in a gateway of connections that end in the middle of something."""

import gc
from collections import Counter

import pytest
from websockets.server import ServerProtocol

from services.gateway import app as gateway_app
from services.gateway.outbox import Outbox
from services.gateway.peer import Peer
from services.gateway.session import Session
from services.gateway.wire import Wire
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import store_conversation
from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
KINDS = (Peer, Session, Outbox, Wire, ServerProtocol)


async def test_nothing_remains_of_a_connection_that_ended_while_it_joined(
    settings: Settings, database: Database, mongo_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history is still being read when it goes; what is read then must not put it into the room."""
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(settings, mongodb_url=mongo_proxy.url, auth_dev=True)
    conversation = await store_conversation(database, {"alice": "member", "bob": "member"})
    async with Persister(settings, database), InProcessGateway(gateway_settings) as gateway, Rest(gateway.url) as rest:
        hub = gateway.parts.hub
        alice_token, bob_token = await rest.token("alice", "alice"), await rest.token("bob", "bob")
        async with ChatClient.connect(gateway.ws, bob_token) as bob:
            await bob.join(conversation)
            async with ChatClient.connect(gateway.ws, alice_token) as alice:
                mongo_proxy.stall()
                await alice.post({"type": "join_conversation", "conversationId": conversation})
                await eventually(lambda: len(hub.rooms[conversation].joining) == 1)
                alice.drop()
            await eventually(lambda: list(hub.users) == ["bob"])
            await mongo_proxy.heal()
            await eventually(lambda: not hub.rooms[conversation].joining)
            assert [member.user_id for member in hub.rooms[conversation].members] == ["bob"]
        await eventually(lambda: not gateway.parts.sockets)
        assert (hub.rooms, hub.connections, hub.users) == ({}, {}, {})


@pytest.mark.parametrize("end", ["client", "network", "gateway", "protocol"])
async def test_the_memory_of_a_connection_is_free_as_it_ends(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Nobody looks for cycles among what has lived long: what holds itself by way of others would stay for ever."""
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    conversation = await store_conversation(database, {"alice": "member"})
    gateway_settings = gateway_beside(settings, auth_dev=True)
    async with Persister(settings, database), InProcessGateway(gateway_settings) as gateway, Rest(gateway.url) as rest:
        token = await rest.token("alice", "alice")
        gc.collect()
        gc.disable()
        # Gateways of other tests, which nobody has use of but `gc.freeze` keeps, may have been about to look at some.
        others = parts()
        try:
            async with ChatClient.connect(gateway.ws, token) as alice:
                await alice.join(conversation)
                await alice.send(conversation, "hello")
                await alice.post({"type": "typing_start", "conversationId": conversation})
                await alice.ping()
                assert set(kinds_besides(others)) == set(KINDS)
                match end:
                    case "network":
                        alice.drop()
                    case "gateway":
                        gateway.peer("alice").close(4000, "test")
                    case "protocol":
                        alice.garble()
            await eventually(lambda: not gateway.parts.sockets)

            def nothing_left() -> None:
                assert kinds_besides(others) == {}

            await eventually(nothing_left)
        finally:
            gc.enable()


def parts() -> list[object]:
    """The parts of all connections, whether anybody still has use of them or not."""
    # `isinstance` would ask a weak proxy for what it stands for.
    return [thing for thing in gc.get_objects() if type(thing) in KINDS]


def kinds_besides(others: list[object]) -> dict[type, int]:
    """How many there are of each kind of them, but for these."""
    known = {id(other) for other in others}
    return Counter(type(thing) for thing in parts() if id(thing) not in known)

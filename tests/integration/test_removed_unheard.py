"""Whoever was removed while their gateway could not hear of it is told nothing that was said afterwards."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from services.gateway import app as gateway_app
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import store_conversation
from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


@dataclass
class Scene:
    """Bob and Carol are at a gateway whose ways to its servers can be cut, Alice writes at another one."""

    cid: str
    deaf: InProcessGateway
    rest: Rest
    bob: ChatClient
    carol: ChatClient


@pytest.fixture
async def scene(
    settings: Settings,
    database: Database,
    amqp_proxy: TcpProxy,
    mongo_proxy: TcpProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    far = gateway_beside(settings, auth_dev=True, amqp_url=amqp_proxy.url, mongodb_url=mongo_proxy.url)
    cid = await store_conversation(database, {"alice": "admin", "bob": "member", "carol": "member"})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Persister(settings, database))
        deaf = await stack.enter_async_context(InProcessGateway(far))
        other = await stack.enter_async_context(InProcessGateway(gateway_beside(settings, auth_dev=True)))
        rest = await stack.enter_async_context(Rest(other.url))
        clients = []
        for user in ("bob", "carol"):
            token = await rest.token(user, user)
            clients.append(await stack.enter_async_context(ChatClient.connect(deaf.ws, token)))
            await clients[-1].join(cid)
        await rest.login("alice", "alice")
        yield Scene(cid, deaf, rest, *clients)


async def goes_unheard(scene: Scene, database: Database, amqp_proxy: TcpProxy) -> None:
    """Bob is removed, and the gateway does not hear of it."""
    await amqp_proxy.refuse()
    amqp_proxy.cut()
    await eventually(lambda: not scene.deaf.parts.broker.consumer.up.is_set())
    await database.memberships.delete_one({"conversationId": scene.cid, "userId": "bob"})


async def test_what_comes_first_on_a_new_connection_waits_until_it_is_known_who_left(
    scene: Scene, database: Database, amqp_proxy: TcpProxy, mongo_proxy: TcpProxy
) -> None:
    await goes_unheard(scene, database, amqp_proxy)
    mongo_proxy.stall()  # the gateway cannot look yet
    await amqp_proxy.heal()
    await scene.deaf.parts.broker.consumer.up.wait()
    await scene.rest.send(scene.cid, "not for bob")
    await scene.bob.nothing("new_message", within=0.2)
    await mongo_proxy.heal()
    await scene.carol.expect("new_message", timeout=20)
    await scene.bob.expect("conversation_updated", updateType="member_removed", userIds=["bob"])
    assert scene.bob.messages(scene.cid) == []


async def test_what_is_healed_is_told_to_members_only(scene: Scene, database: Database, amqp_proxy: TcpProxy) -> None:
    """Another client's ping shows that something is missing, while RabbitMQ is away for this gateway."""
    await goes_unheard(scene, database, amqp_proxy)
    sent = await scene.rest.send(scene.cid, "not for bob")
    await scene.carol.ping(heads={scene.cid: 0})
    message = await scene.carol.expect("new_message")
    assert message["message"]["id"] == sent["id"]
    await scene.bob.expect("conversation_updated", updateType="member_removed", userIds=["bob"])
    assert scene.bob.messages(scene.cid) == []

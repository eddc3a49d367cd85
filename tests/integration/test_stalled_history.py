"""A database that takes what is asked and answers nothing, as one whose disk hangs: nobody waits for it unanswered."""

import pytest

from services.gateway import app as gateway_app
from services.gateway import joining, peer
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import store_conversation
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


async def test_pings_and_joins_are_refused_and_what_was_sent_behind_them_goes_on(
    settings: Settings, database: Database, mongo_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    monkeypatch.setattr(peer, "COMPARED", 0.2)
    monkeypatch.setattr(joining, "READ", 0.2)
    cid = await store_conversation(database, {"alice": "admin"})
    far = gateway_beside(settings, auth_dev=True, mongodb_url=mongo_proxy.url)
    async with (
        Persister(settings, database),
        InProcessGateway(far) as gateway,
        Rest(gateway.url) as rest,
        ChatClient.connect(gateway.ws, await rest.token("alice", "alice")) as alice,
    ):
        await alice.join(cid)
        mongo_proxy.stall()
        for ask in (alice.ping(heads={cid: 0}), alice.join(cid)):
            with pytest.raises(SendRefused) as refused:
                await ask
            assert refused.value.code == "UNAVAILABLE"
        await alice.send(cid, "stored by the persister, which has a way of its own", "t1")
        await mongo_proxy.heal()
        assert (await alice.ping(heads={cid: 0}))["heads"] == {cid: 1}

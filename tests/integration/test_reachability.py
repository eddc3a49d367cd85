"""By what people can be told while no page of theirs is open: browsers, and mail addresses that were verified."""

import time
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from typing import Any, NamedTuple

import httpx
import jwt
import pytest
from pydantic import SecretStr

from contracts import limits, topology
from contracts.email import sign
from contracts.push import PushKeys
from services.gateway import app as gateway_app
from services.mongo import Database
from services.notifier import subscriptions
from services.notifier.settings import Settings as NotifierSettings
from services.persister.settings import Settings
from tests.support.chat_client import Rest
from tests.support.device import Device, VapidKeys
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.mail_server import MailServer
from tests.support.notifier import Notifier
from tests.support.persister import Persister
from tests.support.receiver import Receiver, status
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests, long enough for HS256"
EMAIL_SECRET = "another secret of the tests, long enough"
KEYS = VapidKeys()
ENDPOINT = "https://203.0.113.7/send/"  # documentation's address: nothing is there, and nothing is looked up
LOOPBACK = IPv4Network("127.0.0.0/8")


class Place(NamedTuple):
    """A gateway with everything behind it, and what its database holds."""

    gateway: InProcessGateway
    database: Database
    mails: MailServer

    def rest(self, user: str, **claims: Any) -> Rest:
        """Somebody's calls."""
        token = jwt.encode({"sub": user, "name": user, "exp": int(time.time()) + 600, **claims}, SECRET, "HS256")
        return Rest(self.gateway.url, token)

    async def devices(self) -> dict[str, str]:
        """Whose each endpoint is."""
        return {one["endpoint"]: one["userId"] async for one in self.database.push_subscriptions.find()}


@pytest.fixture
async def place(
    settings: Settings,
    notifier_settings: NotifierSettings,
    database: Database,
    tap: Tap,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Place]:
    monkeypatch.setattr(topology, "WAITS", (1,))
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(
        settings,
        jwt_secret=SecretStr(SECRET),
        vapid_public_key=KEYS.public,
        email_secret=SecretStr(EMAIL_SECRET),
    )
    async with MailServer() as mails:
        reaching = notifier_settings.model_copy(
            update={
                "call_networks": (LOOPBACK, IPv4Network("203.0.113.0/24")),
                "notify_delay": 0,
                "vapid_private_key": SecretStr(KEYS.private),
                "vapid_subject": "mailto:admin@example.org",
                "smtp_host": "127.0.0.1",
                "smtp_port": mails.port,
                "smtp_security": "none",
                "email_from": "chat@example.org",
                "email_delay": 0.0,
                "email_secret": SecretStr(EMAIL_SECRET),
                "public_url": "https://chat.example.org",
            }
        )
        async with (
            Persister(settings, database),
            Notifier(reaching, database),
            InProcessGateway(gateway_settings) as gateway,
        ):
            yield Place(gateway, database, mails)


def body(device: Device, **fields: Any) -> dict[str, Any]:
    """What a page registers."""
    return device.subscription().model_dump(mode="json", by_alias=True) | fields


# -------------------------------------------------------------------------------------------------- browsers


async def test_a_browser_is_registered_changed_and_taken_back(place: Place) -> None:
    path = "/api/push/subscriptions"
    device = Device(ENDPOINT + "1")
    async with place.rest("bob") as bob, place.rest("carol") as carol:
        assert (await bob.http.get("/api/push/key")).json() == {"publicKey": KEYS.public}
        for preview in (True, False):
            assert (await bob.http.post(path, json=body(device, preview=preview))).status_code == 204
            stored = await place.database.push_subscriptions.find_one({"userId": "bob"})
            assert stored is not None
            assert stored["preview"] == preview
        assert (await bob.http.post(path, json=body(Device(ENDPOINT + "2")))).status_code == 204
        # A browser in which somebody else signs in is theirs.
        assert (await carol.http.post(path, json=body(device))).status_code == 204
        assert await place.devices() == {ENDPOINT + "1": "carol", ENDPOINT + "2": "bob"}
        for endpoint in (ENDPOINT + "1", ENDPOINT + "2", ENDPOINT + "3"):
            taken = await bob.http.request("DELETE", path, json={"endpoint": endpoint})
            assert taken.status_code == 204
        assert await place.devices() == {ENDPOINT + "1": "carol"}


async def test_the_number_of_browsers_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "DEVICES", 3)
    assert limits.DEVICES > 3
    async with place.rest("bob") as bob:
        for number in range(5):
            answer = await bob.http.post("/api/push/subscriptions", json=body(Device(f"{ENDPOINT}{number}")))
            answer.raise_for_status()
    assert sorted(await place.devices()) == [ENDPOINT + "2", ENDPOINT + "3", ENDPOINT + "4"]


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"endpoint": "http://203.0.114.7/x"}, 400),  # not encrypted
    ({"endpoint": "https://10.0.0.1/x"}, 400),
    ({"endpoint": "https://[::1]/x"}, 400),
    ({"endpoint": "https://169.254.169.254/latest/meta-data"}, 400),
    ({"endpoint": "https://[::ffff:192.168.0.1]/x"}, 400),
    ({"endpoint": "https://203.0.114.7:99999/x"}, 400),
    ({"endpoint": "https://user:password@push.example/x"}, 422),
    ({"endpoint": "ftp://push.example/x"}, 422),
    ({"endpoint": "https://push.example/" + "x" * 2048}, 422),
    ({"endpoint": ""}, 422),
    ({"keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22}}, 422),  # no point of the curve
    ({"keys": {"p256dh": "AAAA", "auth": "A" * 22}}, 422),
    ({"keys": {"p256dh": "B" + "A" * 86, "auth": "A"}}, 422),
    ({"keys": {}}, 422),
]


async def test_what_is_no_browser_of_anybody_is_refused(place: Place) -> None:
    async with place.rest("bob") as bob:
        for fields, status in REFUSED:
            refused = await bob.http.post("/api/push/subscriptions", json=body(Device(ENDPOINT), **fields))
            assert (refused.status_code, refused.json()["code"]) == (status, "INVALID_FRAME"), fields
    assert await place.devices() == {}


async def test_a_browser_with_another_address_stays_whose_it_was(place: Place) -> None:
    old, fresh = Device(ENDPOINT + "old"), Device(ENDPOINT + "new")
    keys: PushKeys = fresh.subscription().keys
    async with place.rest("bob") as bob, httpx.AsyncClient(base_url=place.gateway.url, trust_env=False) as worker:
        (await bob.http.post("/api/push/subscriptions", json=body(old, preview=False))).raise_for_status()
        for known in (old.endpoint, old.endpoint, ENDPOINT + "guessed"):
            renewal = {"oldEndpoint": known, "endpoint": fresh.endpoint, "keys": keys.model_dump()}
            assert (await worker.post("/api/push/renewals", json=renewal)).status_code == 204
    (stored,) = await place.database.push_subscriptions.find().to_list(None)
    assert (stored["endpoint"], stored["userId"], stored["preview"]) == (fresh.endpoint, "bob", False)
    assert stored["p256dh"] == keys.p256dh


# ----------------------------------------------------------------------------------------------------- mails


async def test_mails_go_to_the_address_that_was_verified(place: Place) -> None:
    verified = {"email": "bob@example.org", "email_verified": True}
    async with place.rest("bob", **verified) as bob, place.rest("bob", email="bob@evil.example") as unverified:
        off = {"available": True, "digest": False, "language": "en"}
        assert (await bob.http.get("/api/email")).json() == {**off, "address": "bob@example.org"}
        assert (await unverified.http.get("/api/email")).json() == off
        refused = await unverified.http.put("/api/email", json={"digest": True})
        assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_FRAME")
        on = {"available": True, "digest": True, "language": "fr", "address": "bob@example.org"}
        assert (await bob.http.put("/api/email", json={"digest": True, "language": "fr"})).json() == on
        assert (await bob.http.get("/api/email")).json() == on
        assert (await bob.http.put("/api/email", json={"digest": True, "language": "xx"})).status_code == 422
        assert (await unverified.http.put("/api/email", json={"digest": False})).status_code == 200
        assert not (await bob.http.get("/api/email")).json()["digest"]


async def test_a_link_ends_mails_without_signing_in_and_only_by_post(place: Place) -> None:
    verified = {"email": "bob@example.org", "email_verified": True}
    link = f"/api/email/unsubscribe?token={sign(EMAIL_SECRET, 'bob')}"
    async with (
        place.rest("bob", **verified) as bob,
        httpx.AsyncClient(base_url=place.gateway.url, trust_env=False) as web,
    ):
        (await bob.http.put("/api/email", json={"digest": True})).raise_for_status()
        asked = await web.get(link, headers={"Accept-Language": "fr-FR"})
        assert (asked.status_code, asked.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<form method="post">' in asked.text
        assert "courriels" in asked.text
        assert "default-src 'none'" in asked.headers["content-security-policy"]
        assert asked.headers["referrer-policy"] == "no-referrer"
        assert (await bob.http.get("/api/email")).json()["digest"]
        for forged in (link[:-1] + ("A" if link[-1] != "A" else "B"), "/api/email/unsubscribe", link + "x"):
            for method in ("GET", "POST"):
                assert (await web.request(method, forged)).status_code == 404
        assert (await bob.http.get("/api/email")).json()["digest"]
        # As mail programs do it (RFC 8058).
        ended = await web.post(link, data={"List-Unsubscribe": "One-Click"})
        assert ended.status_code == 200
        assert not (await bob.http.get("/api/email")).json()["digest"]
        assert (await web.post(link)).status_code == 200


# -------------------------------------------------------------------------------------------- and all of it together


async def test_who_is_not_here_is_told_on_their_device_and_by_mail(place: Place) -> None:
    verified = {"email": "bob@example.org", "email_verified": True}
    async with place.rest("alice") as alice, place.rest("bob", **verified) as bob, Receiver(status(201)) as service:
        device = Device(service.url)
        (await bob.http.post("/api/push/subscriptions", json=body(device))).raise_for_status()
        (await bob.http.put("/api/email", json={"digest": True})).raise_for_status()
        conversation = await alice.create_conversation(["bob"], None, "direct")
        await alice.send(conversation["id"], "are you there?")
        calls = await service.called(2)
        said = {one["kind"]: one for one in map(device.read, calls)}
        assert said.keys() == {"added", "message"}
        assert (said["message"]["senderName"], said["message"]["preview"]) == ("alice", "are you there?")
        (mail,) = await place.mails.received(1)
        assert "are you there?" in str(mail)

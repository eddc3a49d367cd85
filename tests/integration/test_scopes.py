"""Service accounts: the table of scopes cell by cell, at a gateway, over REST and over WebSocket."""

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import jwt
import pytest
from pydantic import SecretStr

from contracts.scopes import ROWS, SCOPES, Row, Scope
from services.gateway import app as gateway_app
from services.gateway.settings import Settings as GatewaySettings
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import new_id, store_conversation
from tests.support.chat_client import ChatClient, ConnectionEnded, Rest, SendRefused
from tests.support.examples import CLIENT_FRAMES
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests, long enough for HS256"
EVERYTHING = frozenset(SCOPES)
FRAMES = {frame["type"]: frame for frame in CLIENT_FRAMES}


class Place(NamedTuple):
    """A gateway, and a conversation there with a message, in which the bot is an admin."""

    gateway: InProcessGateway
    cid: str
    message_id: str


@pytest.fixture
async def place(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(
        settings,
        jwt_secret=SecretStr(SECRET),
        limit_service_sends=0.1,
        limit_service_sends_burst=3,
    )
    cid = await store_conversation(database, {"alice": "admin", "bot": "admin"})
    async with (
        Persister(settings, database),
        InProcessGateway(gateway_settings) as gateway,
        Rest(gateway.url, token(None, user="alice")) as alice,
    ):
        sent = await alice.http.post(f"/api/conversations/{cid}/messages", json={"content": "secret plan"})
        yield Place(gateway, cid, sent.raise_for_status().json()["id"])


def token(scopes: Iterable[str] | None, user: str = "bot") -> str:
    claims: dict[str, Any] = {"sub": user, "name": user.title(), "exp": int(time.time()) + 600}
    return jwt.encode(claims if scopes is None else {**claims, "scope": " ".join(scopes)}, SECRET, algorithm="HS256")


def calls() -> list[tuple[str, Row]]:
    return [(call, row) for row in ROWS for call in row.calls]


def test_every_call_is_in_one_row() -> None:
    paths = gateway_app.create_app(GatewaySettings(auth_dev=True)).openapi()["paths"]
    found = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    found.remove("POST /api/dev/token")  # which is asked for without any token
    assert sorted(call for call, _ in calls()) == sorted(found)


async def test_every_call_needs_the_scopes_of_its_row(place: Place) -> None:
    """With each set of scopes that lacks one, and with exactly those; of conversations that are not there."""
    async with Rest(place.gateway.url) as rest:
        for call, row in calls():
            method, path = call.split()
            path = path.replace("{conversationId}", new_id()).replace("{emoji}", "👍")
            path = path.replace("{messageId}", "m").replace("{userId}", "u")
            if row.needs is None:
                rest.use(token(EVERYTHING))
                answer = await rest.http.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), call
                continue
            answers = {}
            for scopes in [*(EVERYTHING - {needed} for needed in row.needs), row.needs]:
                rest.use(token(scopes))
                answer = await rest.http.request(method, path)
                answers[scopes] = answer.status_code == 403
                if answer.status_code == 403:
                    assert answer.json()["code"] == "FORBIDDEN"
                    assert all(needed in answer.json()["detail"] for needed in row.needs - scopes)
            assert answers == {scopes: not row.needs <= scopes for scopes in answers}, call
            # Nothing but the scopes decides: each alone is enough only where it is all that is needed.
            rest.use(token(()))
            assert (await rest.http.request(method, path)).is_success or row.needs, call


@pytest.mark.parametrize("kind", sorted(set(FRAMES) - {"authenticate"}))
async def test_every_frame_needs_the_scopes_of_its_row(place: Place, kind: str) -> None:
    (row,) = [row for row in ROWS if kind in row.frames]
    assert row.needs is not None
    frame = {**FRAMES[kind], "requestId": "r"}
    for scope in SCOPES[1:]:  # without messages:read there is no socket
        scopes: set[Scope] = {"messages:read", scope}
        async with ChatClient.connect(place.gateway.ws, token(scopes)) as bot:
            await bot.post(frame)
            await bot.ping()  # what was refused at once is there before its answer
            codes = [f["code"] for f in bot.received if f["type"] in ("error", "message_error")]
            assert ("FORBIDDEN" in codes) == (not row.needs <= scopes), (scopes, codes)


@pytest.mark.parametrize("scopes", [(), ("messages:write", "conversations:read", "conversations:write")])
async def test_a_socket_needs_to_read(place: Place, scopes: tuple[str, ...]) -> None:
    async with ChatClient.connect(place.gateway.ws) as bot:
        with pytest.raises(SendRefused) as refused:
            await bot.authenticate(token(scopes))
        assert refused.value.code == "FORBIDDEN"
        with pytest.raises(ConnectionEnded) as ended:
            await bot.ping()
        assert ended.value.code == 4500


async def test_a_connection_keeps_its_scopes(place: Place) -> None:
    async with ChatClient.connect(place.gateway.ws, token(["messages:read"])) as bot:
        await bot.authenticate(token(["messages:read"]))
        with pytest.raises(SendRefused) as refused:
            await bot.authenticate(token(EVERYTHING))
        assert refused.value.code == "INVALID_TOKEN"


async def test_who_may_not_read_is_shown_nothing(place: Place) -> None:
    async with Rest(place.gateway.url, token(EVERYTHING - {"messages:read"})) as blind:
        (shown,) = (await blind.conversations())["items"]
        assert (shown["lastSeq"], shown["lastMessage"]) == (1, None)
        answer = await blind.http.patch(f"/api/conversations/{place.cid}", json={"name": "Other"})
        assert answer.raise_for_status().json()["lastMessage"] is None
        reply = {"content": "why?", "replyTo": place.message_id}
        sent = (await blind.http.post(f"/api/conversations/{place.cid}/messages", json=reply)).json()
        edited = await blind.http.patch(
            f"/api/conversations/{place.cid}/messages/{sent['id']}", json={"content": "how?"}
        )
        for message in (sent, edited.json()):
            assert message["replyTo"] == place.message_id
            assert "reply" not in message
    async with Rest(place.gateway.url, token(None)) as person:
        (shown,) = (await person.conversations())["items"]
        assert shown["lastMessage"]["reply"]["preview"] == "secret plan"


async def test_a_service_account_has_limits_of_its_own(place: Place) -> None:
    path = f"/api/conversations/{place.cid}/messages"
    async with Rest(place.gateway.url, token(EVERYTHING)) as bot, Rest(place.gateway.url, token(None)) as person:
        for _ in range(3):
            assert (await bot.http.post(path, json={"content": "hello"})).status_code == 201
        refused = await bot.http.post(path, json={"content": "hello"})
        assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
        # The same over its socket; the person of the same name is counted alone.
        async with ChatClient.connect(place.gateway.ws, token(EVERYTHING)) as socket:
            with pytest.raises(SendRefused) as limited:
                await socket.send(place.cid, "hello")
            assert limited.value.code == "RATE_LIMITED"
        for _ in range(4):
            assert (await person.http.post(path, json={"content": "hello"})).status_code == 201


async def test_a_scope_that_is_no_text_is_no_token(place: Place) -> None:
    bad = jwt.encode({"sub": "bot", "exp": 9e9, "scope": ["messages:read"]}, SECRET, algorithm="HS256")
    async with Rest(place.gateway.url, bad) as bot:
        answer = await bot.http.get("/api/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")

"""Who may do what, for every call of the OpenAPI document and every frame: a new one without a row here fails.

A stranger is signed in and in none of the conversations. `ANYONE` is about the caller alone; `MEMBER` is refused to
strangers like what does not exist, so that nobody can probe for ids.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from contracts.frames import CLIENT_FRAMES
from tests.support.chat_client import ChatClient, ConnectionEnded, Rest, SendRefused
from tests.support.eventually import eventually
from tests.support.operations import CONVERSATION, DELIVERY, MESSAGE, WEBHOOK, described, unhurried
from tests.support.system import System

pytestmark = pytest.mark.e2e

Who = Literal["everybody", "signed in", "member", "owner", "nobody"]
EVERYBODY: Who = "everybody"
ANYONE: Who = "signed in"
MEMBER: Who = "member"
OWNER: Who = "owner"  # of what has an id of its own; to others it is not there
NOBODY: Who = "nobody"  # where the deployment offers it to nobody, as this one

DEVICE = {"endpoint": "https://push.example.com/1", "keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22}}
# Method and path -> who may, and a body that is good where one is needed.
CALLS: dict[tuple[str, str], tuple[Who, Any]] = {
    ("get", "/api/me"): (ANYONE, None),
    ("get", "/api/users"): (ANYONE, None),
    ("get", "/api/presence"): (ANYONE, None),
    ("get", "/api/channels"): (ANYONE, None),
    ("get", "/api/search"): (ANYONE, None),
    ("get", "/api/conversations"): (ANYONE, None),
    ("post", "/api/conversations"): (ANYONE, {"type": "group", "name": "mine", "memberIds": []}),
    ("post", "/api/dev/token"): (EVERYBODY, {"userName": "Somebody"}),
    ("get", CONVERSATION): (MEMBER, None),
    ("patch", CONVERSATION): (MEMBER, {"name": "taken"}),
    ("delete", CONVERSATION): (MEMBER, None),
    ("get", CONVERSATION + "/members"): (MEMBER, None),
    ("post", CONVERSATION + "/members"): (MEMBER, {"userIds": ["eve"]}),
    ("patch", CONVERSATION + "/members/{userId}"): (MEMBER, {"role": "admin"}),
    ("delete", CONVERSATION + "/members/{userId}"): (MEMBER, None),
    ("post", CONVERSATION + "/join"): (MEMBER, None),
    ("patch", CONVERSATION + "/me"): (MEMBER, {"muted": True}),
    ("post", CONVERSATION + "/read"): (MEMBER, {"seq": 1}),
    ("get", CONVERSATION + "/pins"): (MEMBER, None),
    ("put", CONVERSATION + "/pins/{messageId}"): (MEMBER, None),
    ("delete", CONVERSATION + "/pins/{messageId}"): (MEMBER, None),
    ("get", CONVERSATION + "/audit"): (MEMBER, None),
    ("get", CONVERSATION + "/messages"): (MEMBER, None),
    ("post", CONVERSATION + "/messages"): (MEMBER, {"content": "hello"}),
    ("get", MESSAGE): (MEMBER, None),
    ("patch", MESSAGE): (MEMBER, {"content": "taken"}),
    ("delete", MESSAGE): (MEMBER, None),
    ("get", MESSAGE + "/replies"): (MEMBER, None),
    ("get", MESSAGE + "/readers"): (MEMBER, None),
    ("get", MESSAGE + "/edits"): (MEMBER, None),
    ("put", MESSAGE + "/reactions/{emoji}"): (MEMBER, None),
    ("delete", MESSAGE + "/reactions/{emoji}"): (MEMBER, None),
    ("get", CONVERSATION + "/notification-settings"): (MEMBER, None),
    ("put", CONVERSATION + "/notification-settings"): (MEMBER, {"level": "nothing"}),
    ("get", "/api/notification-settings"): (ANYONE, None),
    ("put", "/api/notification-settings"): (ANYONE, {"level": "all", "doNotDisturb": None}),
    ("get", "/api/notifications"): (ANYONE, None),
    ("post", "/api/notifications/read"): (ANYONE, {"all": True}),
    ("get", "/api/email"): (ANYONE, None),
    ("put", "/api/email"): (ANYONE, {"digest": False}),
    ("get", "/api/push/key"): (ANYONE, None),
    ("post", "/api/push/subscriptions"): (NOBODY, DEVICE),
    ("delete", "/api/push/subscriptions"): (ANYONE, {"endpoint": DEVICE["endpoint"]}),
    ("get", "/api/webhooks"): (MEMBER, None),
    ("post", "/api/webhooks"): (NOBODY, {"url": "https://example.com/hook", "events": ["chat.message.created.v1"]}),
    ("get", WEBHOOK): (OWNER, None),
    ("patch", WEBHOOK): (OWNER, {"active": False}),
    ("delete", WEBHOOK): (OWNER, None),
    ("post", WEBHOOK + "/ping"): (OWNER, None),
    ("post", WEBHOOK + "/rotate-secret"): (OWNER, None),
    ("get", WEBHOOK + "/deliveries"): (OWNER, None),
    ("get", DELIVERY): (OWNER, None),
    ("post", DELIVERY + "/redeliver"): (OWNER, None),
}
# What a stranger is answered: a code, or the type of the answer to what is about them alone.
FRAMES: dict[str, tuple[dict[str, Any], str | None]] = {
    "authenticate": ({"token": "TOKEN"}, "authenticated"),
    "ping": ({"heads": {"CONVERSATION": 0}, "changes": {"CONVERSATION": 0}}, "pong"),
    "set_presence": ({"status": "busy"}, None),
    "watch_presence": ({"userIds": ["OWNER"]}, None),
    "leave_conversation": ({"conversationId": "CONVERSATION"}, "left_conversation"),
    "join_conversation": ({"conversationId": "CONVERSATION"}, "NOT_A_MEMBER"),
    "send_message": ({"conversationId": "CONVERSATION", "content": "hello"}, "NOT_A_MEMBER"),
    "typing_start": ({"conversationId": "CONVERSATION"}, "NOT_JOINED"),
    "typing_stop": ({"conversationId": "CONVERSATION"}, "NOT_JOINED"),
    "edit_message": ({"conversationId": "CONVERSATION", "messageId": "MESSAGE", "content": "taken"}, "NOT_A_MEMBER"),
    "delete_message": ({"conversationId": "CONVERSATION", "messageId": "MESSAGE"}, "NOT_A_MEMBER"),
    "add_reaction": ({"conversationId": "CONVERSATION", "messageId": "MESSAGE", "emoji": "👍"}, "NOT_A_MEMBER"),
    "remove_reaction": ({"conversationId": "CONVERSATION", "messageId": "MESSAGE", "emoji": "👍"}, "NOT_A_MEMBER"),
    "mark_read": ({"conversationId": "CONVERSATION", "seq": 1}, "NOT_A_MEMBER"),
}
INJECTIONS = [
    "$ne",
    "$where",
    '{"$ne": null}',
    '{"$gt": ""}',
    "[$ne]",
    "a.b",
    "../..",  # two dots alone a client takes out itself
    "*",
    ".*",
    "^",
    "'; return true; //",
    "\0",
    "a\0b",
    "%00",
    "__proto__",
    "é" * 64,
    "👍" * 64,
    "\u202e",
    "\n",
]


@dataclass
class World:
    """A conversation of its owner's with one message, and a stranger."""

    conversation: str
    message: str
    owner: Rest
    stranger: Rest
    socket: ChatClient
    token: str

    @property
    def names(self) -> dict[str, str]:
        """What stands for its parts."""
        return {
            "conversationId": self.conversation,
            "messageId": self.message,
            "userId": self.owner.user_id,
            "emoji": "👍",
            "webhookId": uuid4().hex,
            "deliveryId": uuid4().hex,
        }

    async def state(self) -> Any:
        """All that its owner sees of it."""
        answers = [
            await unhurried(self.owner, "get", f"/api/conversations/{self.conversation}{part}")
            for part in ("", "/messages", "/pins", "/audit")
        ]
        assert [answer.status_code for answer in answers] == [200] * 4
        return [answer.json() for answer in answers]


@pytest.fixture(scope="module")
async def world(system: System) -> AsyncIterator[World]:
    url = system.gateways[0].url
    async with Rest(url) as owner, Rest(url) as stranger:
        await owner.login(f"Owner {uuid4().hex[:6]}")
        token = await stranger.login(f"Stranger {uuid4().hex[:6]}")
        room = await owner.create_conversation([], "private")
        answer = await owner.http.post(f"/api/conversations/{room['id']}/messages", json={"content": "secret"})
        async with ChatClient.connect(system.gateways[1].ws, token) as socket:
            yield World(room["id"], answer.json()["id"], owner, stranger, socket, token)


def test_every_call_has_a_row() -> None:
    assert described() == set(CALLS)


def test_every_frame_has_a_row() -> None:
    assert set(CLIENT_FRAMES) == set(FRAMES)


async def call(rest: Rest, method: str, path: str, names: dict[str, str], body: Any) -> httpx.Response:
    """One call with these names in its path."""
    parts = {name: quote(value, safe="") for name, value in names.items()}
    params = None
    if path.endswith("/search"):
        params = {"q": "secret"}
    if (method, path) == ("get", "/api/webhooks"):
        params = {"conversationId": names["conversationId"]}
    return await unhurried(rest, method, path.format(**parts), json=body, params=params)


@pytest.mark.parametrize(("method", "path"), CALLS, ids=str)
async def test_calls_of_somebody_without_a_token(world: World, method: str, path: str) -> None:
    who, body = CALLS[method, path]
    async with Rest(str(world.owner.http.base_url)) as nobody:
        answer = await call(nobody, method, path, world.names, body)
        wrong = await call(nobody, method, path, world.names, {"nonsense": "x" * 100})
    if who is EVERYBODY:
        assert answer.is_success
        return
    for refused in (answer, wrong):  # whoever may not call is told so before anything is read
        assert (refused.status_code, refused.json()["code"]) == (401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(("method", "path"), [c for c, (who, _) in CALLS.items() if who is MEMBER], ids=str)
async def test_calls_of_a_stranger(world: World, method: str, path: str) -> None:
    """Answered as what does not exist is, and nothing has changed."""
    before = await world.state()
    answer = await call(world.stranger, method, path, world.names, CALLS[method, path][1])
    unknown = {**world.names, "conversationId": uuid4().hex}
    other = await call(world.stranger, method, path, unknown, CALLS[method, path][1])
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_A_MEMBER")
    assert answer.json() == other.json()
    assert await world.state() == before


@pytest.mark.parametrize(("method", "path"), [c for c, (who, _) in CALLS.items() if who in (OWNER, NOBODY)], ids=str)
async def test_calls_of_somebody_whose_it_is_not(world: World, method: str, path: str) -> None:
    who, body = CALLS[method, path]
    answer = await call(world.stranger, method, path, world.names, body)
    expected = {(404, "NOT_FOUND")} if who is OWNER else {(403, "FORBIDDEN"), (404, "NOT_FOUND")}
    assert (answer.status_code, answer.json()["code"]) in expected


@pytest.mark.parametrize(("method", "path"), [c for c, (who, _) in CALLS.items() if who is ANYONE], ids=str)
async def test_calls_about_oneself_show_nothing_of_others(world: World, method: str, path: str) -> None:
    before = await world.state()
    answer = await call(world.stranger, method, path, world.names, CALLS[method, path][1])
    assert answer.is_success
    assert world.conversation not in answer.text
    assert world.message not in answer.text
    assert await world.state() == before


@pytest.mark.parametrize(("method", "path"), [c for c in CALLS if "{" in c[1]], ids=str)
async def test_injections_into_paths(world: World, method: str, path: str) -> None:
    """Each id by each value that means something to a database, a path or a person: nothing is found, nothing fails."""
    before = await world.state()
    body = CALLS[method, path][1]
    for name in [name for name in world.names if f"{{{name}}}" in path]:
        for value in INJECTIONS:
            answer = await call(world.stranger, method, path, {**world.names, name: value}, body)
            assert answer.status_code in (400, 404, 405, 422), (name, value, answer.text)
    assert await world.state() == before


@pytest.mark.parametrize("kind", FRAMES)
async def test_frames_of_a_stranger(world: World, kind: str) -> None:
    fields, expected = FRAMES[kind]
    names = {
        "CONVERSATION": world.conversation,
        "MESSAGE": world.message,
        "OWNER": world.owner.user_id,
        "TOKEN": world.token,
    }
    text = json.dumps(fields)
    for name, value in names.items():
        text = text.replace(name, value)
    before = await world.state()
    request_id = uuid4().hex
    await world.socket.post({"type": kind, "requestId": request_id, **json.loads(text)})
    heard = len(world.socket.received)
    await world.socket.ping()
    answers = [f for f in world.socket.received if f.get("requestId") == request_id]
    if expected is not None and not answers:  # it is judged elsewhere
        await eventually(lambda: any(f.get("requestId") == request_id for f in world.socket.received))
        answers = [f for f in world.socket.received if f.get("requestId") == request_id]
    told = {answer.get("code", answer["type"]) for answer in answers}
    assert told == ({expected} if expected else told - {"error"})
    assert "secret" not in json.dumps(world.socket.received[:heard])
    assert world.owner.user_id not in json.dumps(answers)
    assert await world.state() == before


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if kind not in ("ping", "authenticate")])
async def test_frames_of_somebody_without_a_token(system: System, world: World, kind: str) -> None:
    text = json.dumps(FRAMES[kind][0]).replace("CONVERSATION", world.conversation).replace("MESSAGE", world.message)
    async with ChatClient.connect(system.gateways[0].ws) as socket:
        with pytest.raises(SendRefused) as refused:
            await socket.ask({"type": kind, **json.loads(text)}, "anything")
    assert refused.value.code == "NOT_AUTHENTICATED"


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if "conversationId" in FRAMES[kind][0]])
async def test_injections_into_frames(system: System, world: World, kind: str) -> None:
    """Ids that are objects are refused as malformed; texts are only texts."""
    before = await world.state()
    values: list[Any] = [{"$ne": None}, {"$gt": ""}, ["x"], 1, None, True, *INJECTIONS]
    text = json.dumps(FRAMES[kind][0]).replace("CONVERSATION", world.conversation).replace("MESSAGE", world.message)
    good = json.loads(text)
    async with ChatClient.connect(system.gateways[1].ws, world.token) as socket:
        for name in [name for name in good if name.endswith("Id")]:
            for value in values:
                request_id = uuid4().hex
                frame = {"type": kind, **good, name: value, "requestId": request_id}
                try:
                    await socket.post(frame)
                    await socket.ping()
                except (ConnectionEnded, SendRefused):  # so much nonsense, so often
                    break
        assert {f.get("code") for f in socket.received} & {"INTERNAL", "TIMEOUT", "UNAVAILABLE"} == set()
    assert await world.state() == before

"""What means something to a database, to JavaScript or to a person, in every id, query parameter and field.

The fields are taken from the OpenAPI document and from the frames, so that a new one is tried as well. Whoever sends it is
an admin of what they call about, so that it reaches the database. They are refused, or get what is theirs; a bystander's
conversation is neither shown nor changed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx
import pytest

from contracts.errors import ErrorCode
from contracts.frames import CLIENT_FRAMES, SERVER_FRAMES
from services.gateway.app import create_app
from services.gateway.settings import Settings
from tests.hostile.calls import things
from tests.hostile.fuzz import SETTINGS
from tests.hostile.shapes import Schema
from tests.hostile.test_rights_of_strangers import CALLS
from tests.hostile.test_rights_of_strangers import FRAMES as GOOD_FRAMES
from tests.support.chat_client import ChatClient, ConnectionEnded, Rest
from tests.support.logs import Logs, other_gateway
from tests.support.operations import Operation, described
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e

TEXTS = [
    "$where",
    "$ne",
    '{"$gt": ""}',
    "'; return true; //",
    ".*",
    "a.b.c",
    "..",
    "__proto__",
    "constructor",
    "a\0b",
    "\u202e\u2066",
    "\uff04ne",  # a full-width dollar
    "\u0430dmin",  # a Cyrillic a
    "x" * 65,
    "x" * 20_000,
]
VALUES: list[Any] = [
    {"$gt": ""},
    {"$ne": None},
    {"$regex": ".*"},
    {"$where": "sleep(10000)"},
    {"$in": ["a"]},
    {"a.b": {"$exists": True}},
    {"__proto__": {"role": "admin"}},
    [{"$ne": 1}],
    [],
    None,
    True,
    -1,
    0.5,
    2**53,
    10**40,
    "",
    "\ud800",  # half of a pair
    *TEXTS,
]
EXTRA: dict[str, Any] = {
    "$where": "1",
    "$set": {"role": "admin"},
    "a.b": 1,
    "": 1,
    "__proto__": {"role": "admin"},
    "constructor": {"prototype": {"role": "admin"}},
    "_id": "x",
    "createdBy": "x",
    "administrator": True,
}
OPERATORS = ("{}[$ne]", "{}[$gt]", "{}[$regex]", "{}[]", "{}.x", "$where", "__proto__[{}]")
TOGETHER = 8
DOCUMENT = create_app(Settings(auth_dev=True)).openapi()
WORDS = "for nobody else"
FAILURES = {"INTERNAL", "TIMEOUT", "UNAVAILABLE"}


@dataclass
class World:
    """A gateway without limits of rates, somebody who sends anything, and a bystander with a conversation."""

    gateway: Process
    token: str
    rest: Rest
    bystander: Rest
    conversation: str
    message: str

    async def state(self) -> Any:
        """All that the bystander sees of it."""
        parts = ("", "/messages", "/pins", "/audit")
        answers = [await self.bystander.http.get(f"/api/conversations/{self.conversation}{part}") for part in parts]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.json() for answer in answers]

    def check(self, text: str) -> None:
        """Nothing of the bystander's is in there."""
        assert not [part for part in (self.conversation, self.message, WORDS) if part in text], text


@pytest.fixture(scope="module")
async def world(system: System) -> AsyncIterator[World]:
    logs = Logs(())
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(other_gateway(system, logs, **SETTINGS))
        rest = await stack.enter_async_context(Rest(gateway.url))
        token = await rest.login(f"Mallory {uuid4().hex[:6]}")
        bystander = await stack.enter_async_context(Rest(gateway.url))
        await bystander.login(f"Bystander {uuid4().hex[:6]}")
        room = (await bystander.create_conversation([], "private"))["id"]
        message = (await bystander.send(room, WORDS))["id"]
        await bystander.mark_read(room, 1)  # which sending does, a moment later
        yield World(gateway, token, rest, bystander, room, message)
    assert logs.faults() == []


def calls_of(operation: Operation, ids: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Addresses and bodies, in each of which one thing is not as it should be."""
    method, path = operation
    described = DOCUMENT["paths"][path][method]
    good = CALLS[operation][1]
    parameters = {
        place: [p["name"] for p in described.get("parameters", ()) if p["in"] == place] for place in ("path", "query")
    }
    there = path.format(**{name: quote(value, safe="") for name, value in ids.items()})
    asked = {"q": "hello"} if path.endswith("/search") else {}
    for name in parameters["path"]:
        for text in TEXTS:
            if text == "..":
                text = "../.."  # two dots alone a client takes out itself
            yield path.format(**{n: quote(v, safe="") for n, v in {**ids, name: text}.items()}), good
    for name in parameters["query"]:
        for text in ["", *TEXTS]:
            yield f"{there}?{urlencode({**asked, name: text})}", good
        for operator in OPERATORS:
            yield f"{there}?{urlencode({**asked, operator.format(name): '1'})}", good
        yield f"{there}?{urlencode([*asked.items(), (name, 'a'), (name, 'b')])}", good
    if "requestBody" not in described:
        return
    schema = Schema(
        described["requestBody"]["content"]["application/json"]["schema"], DOCUMENT["components"]["schemas"]
    )
    for field in schema.fields():
        for value in VALUES:
            yield there, schema.put(good or {}, field, value)
    yield there, {**(good or {}), **EXTRA}
    for value in (*VALUES, [good]):
        yield there, value


@pytest.mark.parametrize("operation", sorted(described()), ids=str)
async def test_calls(world: World, operation: Operation) -> None:
    before = await world.state()
    ids = await things(world.gateway.url, world.token)
    answers: list[httpx.Response] = []
    left = calls_of(operation, ids)

    async def work() -> None:
        for path, body in left:
            content = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            answers.append(await world.rest.http.request(operation[0], path, content=content, headers=headers))

    await asyncio.gather(*(work() for _ in range(TOGETHER)))
    for answer in answers:
        world.check(answer.text)
        if not answer.is_success:
            assert answer.status_code in (400, 403, 404, 405, 409, 413, 422), (answer.request.url, answer.text)
            assert answer.json()["code"] in set(ErrorCode) - FAILURES
    assert await world.state() == before


def frames_of(kind: str, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Frames, in each of which one thing is not as it should be."""
    text = json.dumps({"type": kind, **GOOD_FRAMES[kind][0]})
    for name, value in names.items():
        text = text.replace(name, value)
    good = json.loads(text)
    model = CLIENT_FRAMES[kind].model_json_schema(by_alias=True)
    schema = Schema(model, model.get("$defs", {}))
    for field in schema.fields():
        for value in VALUES:
            yield schema.put(good, field, value)
    yield {**good, **EXTRA}


@pytest.mark.parametrize("kind", sorted(set(CLIENT_FRAMES) - {"authenticate"}))
async def test_frames(world: World, kind: str) -> None:
    before = await world.state()
    ids = await things(world.gateway.url, world.token)
    names = {"CONVERSATION": ids["conversationId"], "MESSAGE": ids["messageId"], "OWNER": world.rest.user_id}
    async with ChatClient.connect(world.gateway.ws, world.token) as socket:
        await socket.join(ids["conversationId"])
        for frame in frames_of(kind, names):
            await socket.post(json.dumps({"requestId": uuid4().hex, **frame}))
        await socket.ask(
            {"type": "mark_read", "conversationId": ids["conversationId"], "seq": 0}, "read_receipt", timeout=20
        )
        await socket.ping()
        heard = socket.received
    assert {frame.get("code") for frame in heard} & FAILURES == set()
    for frame in heard:
        SERVER_FRAMES[frame["type"]].decode(json.dumps(frame))
        world.check(json.dumps(frame))
    assert await world.state() == before


async def test_tokens_in_frames(world: World) -> None:
    """Each ends its connection, and makes nobody of anybody."""
    for frame in frames_of("authenticate", {"TOKEN": "x"}):
        async with ChatClient.connect(world.gateway.ws) as socket:
            await socket.post(json.dumps(frame))
            with suppress(ConnectionEnded):
                await socket.ping()
            assert {answer["type"] for answer in socket.received} <= {"auth_error", "error", "pong"}

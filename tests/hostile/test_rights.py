"""Who may do what, cell by cell: every call of the OpenAPI document and every frame, in each kind of conversation.

In each place there are an admin (A), a member (M), a former member (F), who wrote something before they had to go, and a
stranger (S). The table says who of them may; everybody else is refused, and what was refused has changed nothing.
A new call or frame without a row fails.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import jwt
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from contracts.frames import CLIENT_FRAMES
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.device import Device, VapidKeys
from tests.support.eventually import eventually
from tests.support.logs import Logs, other_gateway
from tests.support.operations import CONVERSATION, DELIVERY, MESSAGE, WEBHOOK, Operation, described, unhurried
from tests.support.system import JWT_SECRET, System

pytestmark = pytest.mark.e2e

PLACES = ("direct", "group", "channel", "public", "closed")  # channels are private, public, public and closed
EVERYWHERE = ("AM",) * 5
OPEN = ("AM", "AM", "AM", "AM", "")
ADMINS = ("", "A", "A", "A", "A")
ADMINS_OPEN = ("", "A", "A", "A", "")
NOWHERE = ("",) * 5
JOINING = ("", "", "AM", "AMFS", "")
CLOSED = {"closed F": "FORBIDDEN", "closed S": "FORBIDDEN"}  # anybody may see that there is such a channel
TO_ALL = ("AM", "A", "A", "A", "")
HIDDEN = {"F": "NOT_FOUND", "S": "NOT_FOUND"}  # what has an id of its own is not there for others


@dataclass(frozen=True)
class Row:
    """One call: who may in each place. `OTHER` in it stands for the person to whom it is done."""

    call: Operation
    may: tuple[str, ...]
    body: Any = None
    params: dict[str, str] | None = None
    about: str = "own"  # message: one's own, or that of somebody else; of the former member's: their old one
    what: str = ""  # tells two rows of one call apart
    destroys: bool = False  # it is tried in a conversation of its own
    refusals: dict[str, str] = field(default_factory=dict)  # where they are not NOT_A_MEMBER and FORBIDDEN
    elsewhere: tuple[str, ...] = PLACES  # where there is something to try it on

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.call[0].upper()} {self.call[1]} {self.what}".strip()


WEBHOOKS_IN = ("group", "channel", "public", "closed")
NEW_HOOK = {"conversationId": "PLACE", "url": "http://127.0.0.1:9/", "events": ["chat.message.created.v1"]}
ROWS = [
    Row(("get", CONVERSATION), EVERYWHERE),
    Row(("patch", CONVERSATION), ADMINS_OPEN, {"name": "Other"}, what="name", destroys=True),
    Row(("patch", CONVERSATION), ("", "", "A", "A", ""), {"public": True}, what="public", destroys=True),
    Row(("patch", CONVERSATION), ADMINS, {"closed": True}, what="close", destroys=True),
    Row(("patch", CONVERSATION), ADMINS, {"closed": False}, what="open", destroys=True),
    Row(("delete", CONVERSATION), ADMINS, destroys=True),
    Row(("get", CONVERSATION + "/members"), EVERYWHERE),
    Row(("post", CONVERSATION + "/members"), ADMINS_OPEN, {"userIds": ["somebody"]}),
    Row(("post", CONVERSATION + "/members"), ADMINS_OPEN, {"userIds": ["SELF"]}, what="oneself"),
    Row(("patch", CONVERSATION + "/members/{userId}"), ADMINS_OPEN, {"role": "admin"}, destroys=True),
    Row(("delete", CONVERSATION + "/members/{userId}"), ADMINS, what="somebody else", destroys=True),
    Row(("delete", CONVERSATION + "/members/{userId}"), EVERYWHERE, about="oneself", what="oneself", destroys=True),
    Row(("post", CONVERSATION + "/join"), JOINING, destroys=True, refusals=CLOSED),
    Row(("patch", CONVERSATION + "/me"), EVERYWHERE, {"muted": True}),
    Row(("post", CONVERSATION + "/read"), EVERYWHERE, {"seq": 1}),
    Row(("get", CONVERSATION + "/pins"), EVERYWHERE),
    Row(("put", CONVERSATION + "/pins/{messageId}"), TO_ALL),
    Row(("delete", CONVERSATION + "/pins/{messageId}"), TO_ALL),
    Row(("get", CONVERSATION + "/audit"), ADMINS),
    Row(("get", CONVERSATION + "/messages"), EVERYWHERE),
    Row(("post", CONVERSATION + "/messages"), OPEN, {"content": "hello"}),
    Row(("post", CONVERSATION + "/messages"), TO_ALL, {"content": "x", "mentionAll": True}, what="to everybody"),
    Row(("get", MESSAGE), EVERYWHERE),
    Row(("get", MESSAGE), EVERYWHERE, about="another's", what="another's"),
    Row(("patch", MESSAGE), OPEN, {"content": "other"}),
    Row(("patch", MESSAGE), NOWHERE, {"content": "taken"}, about="another's", what="another's"),
    Row(("delete", MESSAGE), EVERYWHERE, destroys=True),
    Row(("delete", MESSAGE), ADMINS, about="another's", what="another's", destroys=True),
    Row(("get", MESSAGE + "/replies"), EVERYWHERE),
    Row(("get", MESSAGE + "/readers"), EVERYWHERE),
    Row(("get", MESSAGE + "/edits"), EVERYWHERE),
    Row(("put", MESSAGE + "/reactions/{emoji}"), OPEN, about="another's"),
    Row(("delete", MESSAGE + "/reactions/{emoji}"), OPEN, about="another's"),
    Row(("get", CONVERSATION + "/notification-settings"), EVERYWHERE),
    Row(("put", CONVERSATION + "/notification-settings"), EVERYWHERE, {"level": "mentions"}),
    Row(("get", "/api/webhooks"), ADMINS, params={"conversationId": "PLACE"}),
    Row(("post", "/api/webhooks"), ADMINS, NEW_HOOK, destroys=True),
    *(
        Row(call, ADMINS, body, refusals=HIDDEN, elsewhere=WEBHOOKS_IN, destroys=call[0] == "delete")
        for call, body in {
            ("get", WEBHOOK): None,
            ("patch", WEBHOOK): {"description": "other"},
            ("delete", WEBHOOK): None,
            ("post", WEBHOOK + "/ping"): None,
            ("post", WEBHOOK + "/rotate-secret"): {},
            ("get", WEBHOOK + "/deliveries"): None,
            ("get", DELIVERY): None,
            ("post", DELIVERY + "/redeliver"): None,
        }.items()
    ),
]  # fmt: skip
# What is about the caller alone: the last two tests.
ABOUT_ONESELF: set[Operation] = {
    ("get", "/api/me"),
    ("get", "/api/users"),
    ("get", "/api/presence"),
    ("get", "/api/channels"),
    ("get", "/api/search"),
    ("get", "/api/conversations"),
    ("post", "/api/conversations"),
    ("get", "/api/notification-settings"),
    ("put", "/api/notification-settings"),
    ("get", "/api/notifications"),
    ("post", "/api/notifications/read"),
    ("get", "/api/email"),
    ("put", "/api/email"),
    ("get", "/api/push/key"),
    ("post", "/api/push/subscriptions"),
    ("delete", "/api/push/subscriptions"),
    ("post", "/api/dev/token"),
}


@dataclass(frozen=True)
class FrameRow:
    """One frame: who may in each place, and the type of its answer."""

    may: tuple[str, ...]
    answer: str
    fields: dict[str, Any] = field(default_factory=dict)
    about: str = "own"
    refused: str = ""  # in place of NOT_A_MEMBER and FORBIDDEN
    destroys: bool = False


FRAMES = {
    "join_conversation": FrameRow(EVERYWHERE, "joined_conversation"),
    "send_message": FrameRow(OPEN, "message_sent", {"content": "hello"}),
    "send_message to everybody": FrameRow(TO_ALL, "message_sent", {"content": "x", "mentionAll": True}),
    "typing_start": FrameRow(EVERYWHERE, "", refused="NOT_JOINED"),
    "typing_stop": FrameRow(EVERYWHERE, "", refused="NOT_JOINED"),
    "edit_message": FrameRow(OPEN, "message_updated", {"content": "other"}),
    "edit_message of another": FrameRow(NOWHERE, "message_updated", {"content": "taken"}, "another's"),
    "delete_message": FrameRow(EVERYWHERE, "message_updated", destroys=True),
    "delete_message of another": FrameRow(ADMINS, "message_updated", {}, "another's", destroys=True),
    "add_reaction": FrameRow(OPEN, "message_updated", {"emoji": "👍"}, "another's"),
    "remove_reaction": FrameRow(OPEN, "message_updated", {"emoji": "👍"}, "another's"),
    "mark_read": FrameRow(EVERYWHERE, "read_receipt", {"seq": 1}),
    "leave_conversation": FrameRow(("AMFS",) * 5, "left_conversation"),  # also what was not joined
}  # fmt: skip
FRAMES_ABOUT_ONESELF = {"authenticate", "ping", "set_presence", "watch_presence"}
Cell = tuple[str, str, str]  # row, place, person


def test_every_call_has_a_row() -> None:
    assert described() == {row.call for row in ROWS} | ABOUT_ONESELF


def test_every_frame_has_a_row() -> None:
    assert set(CLIENT_FRAMES) == {name.split()[0] for name in FRAMES} | FRAMES_ABOUT_ONESELF


@dataclass
class Place:
    """A conversation of one kind, and those who try."""

    kind: str
    id: str
    people: dict[str, Rest]
    sockets: dict[str, ChatClient]
    messages: dict[str, str]  # by who wrote them
    webhook: str
    delivery: str

    def names(self, about: str, person: str) -> dict[str, str]:
        """What stands for its parts, for this person."""
        return {
            "conversationId": self.id,
            "messageId": self.message(about, person),
            "userId": self.people[person if about == "oneself" else self.another(person)].user_id,
            "emoji": "👍",
            "webhookId": self.webhook,
            "deliveryId": self.delivery,
        }

    def message(self, about: str, person: str) -> str:
        """One's own, or another's. A stranger has none."""
        if about == "own" and person in self.messages:
            return self.messages[person]
        return self.messages[self.another(person)]

    def another(self, person: str) -> str:
        """Somebody else who is a member; in a direct conversation there is one."""
        return "O" if "O" in self.messages else "M" if person == "A" else "A"

    async def state(self) -> Any:
        """All that its admin sees of it."""
        parts = ("", "/messages", "/pins", *([] if self.kind == "direct" else ["/audit"]))
        answers = [await unhurried(self.people["A"], "get", f"/api/conversations/{self.id}{part}") for part in parts]
        assert {answer.status_code for answer in answers} == {200}
        hooks = await unhurried(self.people["A"], "get", "/api/webhooks", params={"conversationId": self.id})
        return [answer.json() for answer in answers], hooks.json()


class World:
    """The same people in one conversation of each kind."""

    def __init__(self, system: System, stack: AsyncExitStack) -> None:
        self._system = system
        self._stack = stack
        self._people: dict[str, dict[str, Rest]] = {}
        self._sockets: dict[str, dict[str, ChatClient]] = {}
        self.unique = uuid4().hex[:8]
        self.places: dict[str, Place] = {}

    async def begin(self) -> None:
        """Bring everybody in."""
        await asyncio.gather(*(self._invite(kind) for kind in PLACES))
        made = await asyncio.gather(*(self.make(kind) for kind in PLACES))
        self.places = {place.kind: place for place in made}

    async def _invite(self, kind: str) -> None:
        """Each place has people of its own, so that nobody meets a limit of rates."""
        people = self._people[kind] = {}
        sockets = self._sockets[kind] = {}
        for number, person in enumerate("AMFSO"):
            people[person] = await self._stack.enter_async_context(Rest(self._system.gateways[number % 2].url))
            token = await people[person].login(f"{person} {kind} {uuid4().hex[:6]}")
            socket = ChatClient.connect(self._system.gateways[(number + 1) % 2].ws, token)
            sockets[person] = await self._stack.enter_async_context(socket)

    async def state(self) -> list[Any]:
        """All that the admins see."""
        return list(await asyncio.gather(*(place.state() for place in self.places.values())))

    async def make(self, kind: str, *, hooked: bool = True) -> Place:
        """A conversation of this kind, with a message of everybody who is or was in it."""
        people = self._people[kind]
        admin = people["A"]
        inside = "AM" if kind == "direct" else "AMFO"
        if kind == "direct":  # two people have one; after it was left, it begins again
            room = await admin.create_conversation([people["M"].user_id], type="direct")
        else:
            body: dict[str, Any] = {"type": "group" if kind == "group" else "channel", "name": f"room {self.unique}"}
            if kind in ("public", "closed"):
                body["public"] = True
            body["memberIds"] = [people[person].user_id for person in inside]
            answer = await unhurried(admin, "post", "/api/conversations", json=body)
            assert answer.status_code == 201, answer.text
            room = answer.json()
        path = f"/api/conversations/{room['id']}"
        messages = {}
        for person in inside:
            answer = await unhurried(
                people[person], "post", path + "/messages", json={"content": f"secret of {person}"}
            )
            messages[person] = answer.json()["id"]
        hook = delivery = ""
        if kind != "direct":
            await unhurried(admin, "delete", f"{path}/members/{people['F'].user_id}")
        if kind != "direct" and hooked:
            made = await unhurried(admin, "post", "/api/webhooks", json={**NEW_HOOK, "conversationId": room["id"]})
            hook = made.json()["id"]
            called = await unhurried(admin, "post", f"/api/webhooks/{hook}/ping")
            delivery = called.json()["deliveryId"]
            await eventually(lambda: _exists(admin, f"/api/webhooks/{hook}/deliveries/{delivery}"))
        if kind == "closed":
            await unhurried(admin, "patch", path, json={"closed": True})
        return Place(kind, room["id"], people, self._sockets[kind], messages, hook, delivery)


async def _exists(rest: Rest, path: str) -> bool:
    return (await unhurried(rest, "get", path)).status_code == 200


@pytest.fixture(scope="module")
async def world(system: System) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(system, stack)
        await world.begin()
        yield world


def cells(rows: Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]], *, allowed: bool) -> list[Cell]:
    """Those of these rows in which somebody may, or may not. Nobody has left a direct conversation."""
    return [
        (name, place, person)
        for name, may, where in rows
        for place, letters in zip(PLACES, may, strict=True)
        for person in ("AMS" if place == "direct" else "AMFS")
        if place in where and (person in letters) == allowed
    ]


CALLS = {row.name: row for row in ROWS}
CALL_CELLS = [(row.name, row.may, row.elsewhere) for row in ROWS]
FRAME_CELLS = [(name, row.may, PLACES) for name, row in FRAMES.items()]


async def tried(
    cells: Iterable[Cell], attempt: Callable[[str, str, str], Awaitable[str]], *, together: bool = False
) -> dict[Cell, str]:
    """What came of each cell; those of one place follow each other, or (`together`) only those of one person there."""
    found: dict[Cell, str] = {}
    lanes: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        lanes[cell[1:] if together else (cell[1],)].append(cell)

    async def follow(lane: list[Cell]) -> None:
        for cell in lane:
            found[cell] = await attempt(*cell)

    await asyncio.gather(*map(follow, lanes.values()))
    return found


async def call(place: Place, row: Row, person: str) -> str:
    """The code of the refusal, or nothing."""
    names = place.names(row.about, person)
    path = row.call[1].format(**{name: quote(value, safe="") for name, value in names.items()})
    rest = place.people[person]
    body, params = (_about(value, place.id, rest.user_id) for value in (row.body, row.params))
    answer = await unhurried(rest, row.call[0], path, json=body, params=params)
    if answer.is_success:
        return ""
    assert "secret" not in answer.text
    return str(answer.json()["code"])


async def post(place: Place, kind: str, row: FrameRow, person: str) -> str:
    """Likewise of a frame."""
    socket, names = place.sockets[person], place.names(row.about, person)
    wanted = {part.alias for part in CLIENT_FRAMES[kind].model_fields.values()}
    frame: dict[str, Any] = {
        "type": kind,
        **{name: names[name] for name in ("conversationId", "messageId") if name in wanted},
        **row.fields,
    }
    try:
        if kind.startswith("typing"):  # which has no answer, but a refusal that comes at once
            if person in row.may[0]:
                await socket.join(place.id)
            request_id = uuid4().hex
            await socket.post({**frame, "requestId": request_id})
            await socket.ping()
            return "".join(answer["code"] for answer in socket.received if answer.get("requestId") == request_id)
        await socket.ask(frame, row.answer, timeout=20)
    except SendRefused as refused:
        return refused.code
    return ""


def _about(value: Any, place: str, person: str) -> Any:
    """A body in which the words for the place and for who calls are replaced."""
    if isinstance(value, dict):
        return {name: _about(inner, place, person) for name, inner in value.items()}
    if isinstance(value, list):
        return [_about(inner, place, person) for inner in value]
    return {"PLACE": place, "SELF": person}.get(value, value) if isinstance(value, str) else value


def _refusal(person: str) -> str:
    return "FORBIDDEN" if person in "AM" else "NOT_A_MEMBER"


async def test_whoever_may_not_call_is_refused_and_has_changed_nothing(world: World) -> None:
    wanted = {
        (name, place, person): CALLS[name].refusals.get(f"{place} {person}")
        or CALLS[name].refusals.get(person)
        or _refusal(person)
        for name, place, person in cells(CALL_CELLS, allowed=False)
    }
    before = await world.state()
    found = await tried(
        wanted, lambda name, place, person: call(world.places[place], CALLS[name], person), together=True
    )
    assert found == wanted
    assert await world.state() == before


async def test_whoever_may_not_send_a_frame_is_refused_and_has_changed_nothing(world: World) -> None:
    wanted = {cell: FRAMES[cell[0]].refused or _refusal(cell[2]) for cell in cells(FRAME_CELLS, allowed=False)}
    before = await world.state()
    found = await tried(
        wanted,
        lambda name, place, person: post(world.places[place], name.split()[0], FRAMES[name], person),
        together=True,
    )
    assert found == wanted
    assert await world.state() == before
    for place in world.places.values():
        for person in "FS":
            heard = [
                frame for frame in place.sockets[person].received if frame["type"] in ("new_message", "message_updated")
            ]
            assert heard == []


async def test_whoever_may_call_can(world: World) -> None:
    async def attempt(name: str, place: str, person: str) -> str:
        row = CALLS[name]
        where = await world.make(place, hooked=WEBHOOK in row.call[1]) if row.destroys else world.places[place]
        return await call(where, row, person)

    # Those last after which somebody is gone from the direct conversation, of which there is only one.
    may = sorted(cells(CALL_CELLS, allowed=True), key=lambda cell: CALLS[cell[0]].destroys)
    assert await tried(may, attempt) == dict.fromkeys(may, "")
    await world.make("direct")  # which they have left


async def test_whoever_may_send_a_frame_can(world: World) -> None:
    async def attempt(name: str, place: str, person: str) -> str:
        row = FRAMES[name]
        where = await world.make(place, hooked=False) if row.destroys else world.places[place]
        return await post(where, name.split()[0], row, person)

    may = cells(FRAME_CELLS, allowed=True)
    assert await tried(may, attempt) == dict.fromkeys(may, "")


async def test_lists_show_what_is_the_callers(world: World) -> None:
    """Conversations and what was said in them to members, public channels to everybody, presence to those who share."""
    for kind, place in world.places.items():
        for person, rest in place.people.items():
            inside = person in ("AM" if kind == "direct" else "AMO")
            answers = {
                "conversations": await unhurried(rest, "get", "/api/conversations"),
                "search": await unhurried(rest, "get", "/api/search", params={"q": "secret"}),
                "one": await unhurried(rest, "get", "/api/search", params={"q": "secret", "conversationId": place.id}),
                "notifications": await unhurried(rest, "get", "/api/notifications"),
            }
            shown = {name for name, answer in answers.items() if place.id in answer.text}
            assert {n for n, answer in answers.items() if answer.status_code != 200} == (set() if inside else {"one"})
            assert {"conversations", "one"} <= shown if inside else not shown
            channels = await unhurried(rest, "get", "/api/channels", params={"limit": "100", "query": world.unique})
            assert (place.id in channels.text) == (kind == "public")
            admin = place.people["A"].user_id
            seen = await unhurried(rest, "get", "/api/presence", params={"userIds": admin})
            assert (admin in seen.text) == inside or kind == "public"  # where they may have come in again
            assert (await unhurried(rest, "get", "/api/me")).json()["userId"] == rest.user_id


class Own:
    """What is somebody's own: settings, entries of the centre, browsers, mails, marks."""

    def __init__(self, system: System, rest: Rest, socket: ChatClient, conversation: str) -> None:
        self.rest = rest
        self.socket = socket
        self.endpoint = f"https://push.example.com/{uuid4().hex}"
        self._system = system
        self._conversation = conversation

    async def put(self, path: str, body: Any, method: str = "put") -> httpx.Response:
        """One call, which is good."""
        answer = await unhurried(self.rest, method, path, json=body)
        assert answer.is_success, answer.text
        return answer

    async def register(self) -> None:
        """A browser of one's own."""
        await self.put("/api/push/subscriptions", Device(self.endpoint).subscription().model_dump(mode="json"), "post")

    async def view(self) -> Any:
        """All of it."""
        paths = ["/api/me", "/api/notification-settings", "/api/notifications", "/api/email"]
        paths += [f"/api/conversations/{self._conversation}{part}" for part in ("/notification-settings", "")]
        answers = [(await unhurried(self.rest, "get", path)).json() for path in paths]
        mine = {name: answers[-1].pop(name) for name in ("muted", "archived", "unreadCount")}
        presence = (await unhurried(self.rest, "get", "/api/presence")).json()["chosen"]
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(self._system.mongodb_url)
        try:
            found = client[self._system.database].push_subscriptions.find({"userId": self.rest.user_id})
            devices = [document["endpoint"] async for document in found]
        finally:
            client.close()
        return answers[:-1], mine, presence, devices


async def test_what_is_about_oneself_changes_nothing_of_others(system: System, logs: Logs) -> None:
    """Every call that writes something of one's own, by Ben, with the ids of what is Ann's."""
    more = {"VAPID_PUBLIC_KEY": VapidKeys().public, "EMAIL_SECRET": "x" * 32}
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(other_gateway(system, logs, **more))
        people = []
        for name in ("ann", "ben"):
            claims = {"sub": f"{name}-{uuid4().hex[:6]}", "name": name, "exp": time.time() + 600}
            claims |= {"email": f"{name}@example.org", "email_verified": True}
            token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
            rest = await stack.enter_async_context(Rest(gateway.url, token))
            rest.user_id = (await rest.me())["userId"]
            people.append((rest, await stack.enter_async_context(ChatClient.connect(gateway.ws, token))))
        room = (await people[0][0].create_conversation([people[1][0].user_id]))["id"]
        ann, ben = (Own(system, rest, socket, room) for rest, socket in people)
        where = f"/api/conversations/{room}"
        await ann.put("/api/notification-settings", {"level": "mentions"})
        await ann.put(where + "/notification-settings", {"level": "all"})
        await ann.put("/api/email", {"digest": True, "language": "fr"})
        await ann.put(where + "/me", {"muted": True}, "patch")
        await ann.register()
        await ann.socket.ask({"type": "set_presence", "status": "busy"}, "presence")
        mention = {"content": "you", "mentions": [ann.rest.user_id]}
        sent = (await ben.put(where + "/messages", mention, "post")).json()

        async def told() -> str:
            entries = (await ann.rest.http.get("/api/notifications")).json()["items"]
            found = [entry["id"] for entry in entries if entry.get("messageId") == sent["id"]]
            assert found
            return str(found[0])

        entry = await eventually(told)
        before = await ann.view()
        await ben.put("/api/notification-settings", {"level": "nothing"})
        await ben.put(where + "/notification-settings", {"level": "mentions"})
        await ben.put("/api/email", {"digest": False, "language": "en"})
        await ben.put(where + "/me", {"archived": True}, "patch")
        await ben.put(where + "/read", {"seq": 1}, "post")
        await ben.put("/api/notifications/read", {"all": True}, "post")
        await ben.put("/api/notifications/read", {"conversationId": room}, "post")
        await ben.register()
        await ben.socket.ask({"type": "set_presence", "status": "invisible"}, "presence")
        await ben.socket.ask({"type": "mark_read", "conversationId": room, "seq": 1}, "read_receipt")
        await ben.socket.ask({"type": "watch_presence", "userIds": [ann.rest.user_id]}, "presence")
        await ben.socket.ping({room: 0})
        answer = await unhurried(ben.rest, "post", "/api/notifications/read", json={"upTo": entry})
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        await ben.put("/api/push/subscriptions", {"endpoint": ann.endpoint}, "delete")
        with pytest.raises(SendRefused):  # a connection is its user's
            await ben.socket.authenticate(ann.rest.http.headers["Authorization"].split()[1])
        assert await ann.view() == before
        shown = await ben.view()
        assert all(mine != theirs for mine, theirs in zip(shown[0], before[0], strict=True))
        assert shown[1:] != before[1:]

"""People who talk, whatever happens: their clients come back, resume, try again, and write down what they see."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults.history import (
    Acked,
    Ended,
    Fetched,
    History,
    Joined,
    New,
    Removed,
    Resynced,
    Sent,
    Updated,
    digest,
)

Frame = dict[str, Any]
Doors = Callable[[], Sequence["Door"]]  # the gateways that a load balancer would choose from now, or one itself
FIRST_DELAY, LONGEST_DELAY = 0.05, 0.5  # seconds before coming back
ANSWER = 12.0  # seconds until a gateway must have answered: SEND_TIMEOUT, and some
REJOIN = 1.0
PAGE = 200
ABNORMAL = 1006
EMOJIS = "👍🎉😀"


class Door(Protocol):
    """Where one gets in: REST under `url`, sockets at `ws`."""

    @property
    def url(self) -> str: ...
    @property
    def ws(self) -> str: ...


class Gone(Exception):
    """The connection ended while an answer was awaited."""


class Person:
    """One member with one client.

    Attributes:
        joined: the conversations that this connection is live in, all replayed.
        delays: seconds from the sending of a message to its `message_sent`, with the moment of the latter.
        ends: the code of every connection that ended, with the moment.
        refused: what was answered for good with an error, or not at all.
    """

    def __init__(self, name: str, doors: Doors, history: History, dice: random.Random) -> None:
        self.name = name
        self.user_id = ""
        self.conversations: list[str] = []
        self.history = history
        self.joined: set[str] = set()
        self.delays: list[tuple[float, float]] = []
        self.ends: list[tuple[float, int]] = []
        self.refused: list[str] = []
        self.acked_since: dict[str, float] = {}  # conversation -> when its newest acknowledged message was sent
        self.rest: Rest | None = None
        self._doors = doors
        self._dice = dice
        self._token = ""
        self._socket: ClientConnection | None = None
        self._dropped = False
        self._ready = asyncio.Event()
        self._held: dict[str, int] = {}
        self._changes: dict[str, int] = {}
        self._told: dict[str, int] = {}  # the newest change that this connection was told of, in what it has joined
        self._recent: dict[str, list[str]] = {}
        self._removals: dict[str, int] = defaultdict(int)
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._wait = FIRST_DELAY
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = count(1)

    def enter(self, conversation: str) -> None:
        """Be a member of one more; before `run`."""
        self.conversations.append(conversation)
        self._held[conversation] = self._changes[conversation] = self._told[conversation] = 0
        self._recent[conversation] = []

    @property
    def seen(self) -> list[Any]:
        """What this client has written down."""
        return self.history.seen[self.user_id]

    def has(self, conversation: str, seq: int, change: int) -> bool:
        """Whether this client knows everything up to this message and this change."""
        return self._held[conversation] >= seq and self._changes[conversation] >= change

    async def sign_in(self) -> None:
        """Become somebody; their profile exists from now on."""
        self.rest = Rest(self._doors)
        body = await self.rest.call("POST", "/api/dev/token", json={"userName": self.name})
        self._token, self.user_id = body["token"], body["userId"]
        self.rest.headers["Authorization"] = f"Bearer {self._token}"

    async def run(self) -> None:
        """Be there, until cancelled."""
        try:
            while True:
                with suppress(OSError, TimeoutError, WebSocketException):
                    door = self._dice.choice(self._doors())
                    async with connect(
                        door.ws, compression=None, proxy=None, ping_interval=None, close_timeout=1, max_size=None
                    ) as socket:
                        await self._live(socket)
                await asyncio.sleep(self._wait * self._dice.uniform(0.5, 1))
                self._wait = min(self._wait * 2, LONGEST_DELAY)
        finally:
            for task in self._tasks:
                task.cancel()
            if self.rest is not None:
                await self.rest.close()

    async def _live(self, socket: ClientConnection) -> None:
        self._socket, self._dropped = socket, False
        try:
            await self._post({"type": "authenticate", "token": self._token})
            async for text in socket:
                self._read(orjson.loads(text))
            raise ConnectionClosed(None, None)
        except ConnectionClosed:
            code = socket.close_code or ABNORMAL
            if not self._dropped:
                self.ends.append((time.monotonic(), code))
            self.seen.append(Ended(code))
            if code == 1012 and socket.close_reason:
                self._wait = orjson.loads(socket.close_reason)["reconnectInMs"] / 1000
        finally:
            self._socket = None
            self._ready.clear()
            self.joined.clear()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(Gone())
            self._answers.clear()

    def drop(self) -> None:
        """Lose the network. That connection's end is nobody's doing, and not kept in `ends`."""
        if self._socket is not None:
            self._dropped = True
            self._socket.transport.abort()

    # ------------------------------------------------------------------------------------------------- reading

    def _read(self, frame: Frame) -> None:
        match frame["type"]:
            case "new_message":
                self._new(frame["message"])
            case "message_updated":
                self._updated(frame)
            case "message_sent" | "message_error":
                self._answered(frame.get("tempId"), frame)
                return
            case "authenticated":
                self._wait = FIRST_DELAY
                self._ready.set()
                for conversation in self.conversations:
                    self._soon(self._join(conversation, self._socket))
            case "joined_conversation":
                self._joined(frame)
            case "resync":
                self.seen.append(Resynced(frame["conversationId"]))
                self._soon(self._fetch(frame["conversationId"], frame["fromSeq"], None, frame.get("lastChange", 0)))
            case "conversation_updated":
                self._conversation_updated(frame)
        self._answered(frame.get("requestId"), frame)

    def _new(self, message: Frame) -> None:
        conversation, seq = message["conversationId"], message["seq"]
        change = message.get("changeSeq", 0)
        self.seen.append(New(conversation, seq, message["id"], digest(message), change, time.time()))
        self._held[conversation] = max(self._held[conversation], seq)
        recent = self._recent[conversation]
        recent.append(message["id"])
        del recent[:-20]

    def _updated(self, frame: Frame) -> None:
        message, asked = frame["message"], "requestId" in frame
        conversation, change = message["conversationId"], message.get("changeSeq", 0)
        self.seen.append(Updated(conversation, message["seq"], message["id"], digest(message), change, asked))
        self._told[conversation] = max(self._told[conversation], change)
        if conversation in self.joined:
            self._changes[conversation] = max(self._changes[conversation], change)

    def _joined(self, frame: Frame) -> None:
        conversation, held = frame["conversationId"], self._held[frame["conversationId"]]
        self.seen.append(Joined(conversation, held, frame.get("firstSeq"), frame["lastSeq"]))
        self._told[conversation] = 0
        if frame["hasMore"]:
            self._soon(self._fetch(conversation, held + 1, frame["firstSeq"]))

    def _conversation_updated(self, frame: Frame) -> None:
        if self.user_id not in frame.get("userIds", ()):
            return
        conversation = frame["conversationId"]
        if frame["updateType"] == "member_removed":
            self._removals[conversation] += 1
            self.seen.append(Removed(conversation))
            self.joined.discard(conversation)
        elif frame["updateType"] == "member_added" and conversation not in self.joined:
            self._soon(self._join(conversation, self._socket))

    async def _join(self, conversation: str, socket: ClientConnection | None) -> None:
        """Resume on this connection, as often as it takes."""
        while socket is not None and socket is self._socket and conversation not in self.joined:
            with suppress(Gone, TimeoutError, ConnectionClosed):
                removals = self._removals[conversation]
                answer = await self._ask(
                    {
                        "type": "join_conversation",
                        "conversationId": conversation,
                        "afterSeq": self._held[conversation],
                        "afterChange": self._changes[conversation],
                    }
                )
                if answer["type"] == "joined_conversation":
                    await self._ask({"type": "ping"})  # its answer comes behind the replay
                    # Up to `lastChange` it was replayed, and what is newer came live, before `joined` said so.
                    last = max(answer.get("lastChange", 0), self._told[conversation])
                    self._changes[conversation] = max(self._changes[conversation], last)
                    if removals == self._removals[conversation]:
                        self.joined.add(conversation)
                        return
            await asyncio.sleep(REJOIN)  # no member for now, or the database is away

    async def _fetch(self, conversation: str, first: int, below: int | None, change: int = 0) -> None:
        """Read over REST what the gateway will not send."""
        assert self.rest is not None
        after = first - 1
        while True:
            page = await self.rest.call(
                "GET", f"/api/conversations/{conversation}/messages", params={"afterSeq": after, "limit": PAGE}
            )
            for m in page["items"]:
                if below is None or m["seq"] < below:
                    line = Fetched(conversation, m["seq"], m["id"], digest(m), m.get("changeSeq", 0))
                    self.seen.append(line)
                after = m["seq"]
            if not page["hasMore"] or (below is not None and after >= below - 1):
                self._changes[conversation] = max(self._changes[conversation], change)
                return

    # ------------------------------------------------------------------------------------------------- asking

    async def say(self, conversation: str, content: str) -> None:
        """Send until it is stored, or refused for good."""
        temp_id = f"{self.name}-{next(self._numbers)}"
        self.history.sent[temp_id] = Sent(self.user_id, conversation)
        frame = {"type": "send_message", "conversationId": conversation, "content": content, "tempId": temp_id}
        while True:
            sent_at = time.monotonic()
            try:
                answer = await self._ask(frame, temp_id)
            except TimeoutError:
                self.refused.append(f"no answer: {temp_id}")
                continue
            except (Gone, ConnectionClosed):
                await asyncio.sleep(FIRST_DELAY)  # until it is known that the connection has ended
                continue
            if answer["type"] == "message_sent":
                now = time.monotonic()
                self.history.acked.append(Acked(temp_id, conversation, answer["seq"], answer["messageId"]))
                self.delays.append((now, now - sent_at))
                self.acked_since[conversation] = max(self.acked_since.get(conversation, 0.0), sent_at)
                return
            if not answer.get("retryable"):
                if answer["code"] != "NOT_A_MEMBER":
                    self.refused.append(f"{answer['code']}: {temp_id}")
                return
            await asyncio.sleep(self._dice.uniform(0.05, 0.2))

    async def change_something(self, conversation: str) -> None:
        """React to, edit or delete one of the last messages; whatever comes of it."""
        if not self._recent[conversation]:
            return
        about = {"conversationId": conversation, "messageId": self._dice.choice(self._recent[conversation])}
        kinds = ("add_reaction", "remove_reaction", "edit_message", "delete_message")
        (kind,) = self._dice.choices(kinds, (6, 3, 6, 1))
        more = {"emoji": self._dice.choice(EMOJIS)} if "reaction" in kind else {}
        if kind == "edit_message":
            more = {"content": f"edited {self._dice.random()}"}
        with suppress(Gone, TimeoutError, ConnectionClosed):
            await self._ask({"type": kind, **about, **more})

    async def mark_read(self, conversation: str) -> None:
        """Everything that is here."""
        with suppress(Gone, TimeoutError, ConnectionClosed):
            await self._ask({"type": "mark_read", "conversationId": conversation, "seq": self._held[conversation] or 1})

    async def _ask(self, frame: Frame, key: str | None = None) -> Frame:
        """The answer to a frame, found by its `tempId` (`key`) or by a new `requestId`."""
        if key is None:
            key = uuid4().hex
            frame = {**frame, "requestId": key}
        await self._ready.wait()
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            await self._post(frame)
            async with asyncio.timeout(ANSWER):
                return await answer
        finally:
            self._answers.pop(key, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # nobody else looks, if it was the sending that failed

    async def _post(self, frame: Frame) -> None:
        if self._socket is None:
            raise Gone
        await self._socket.send(orjson.dumps(frame), text=True)

    def _answered(self, key: str | None, frame: Frame) -> None:
        answer = self._answers.pop(key, None) if key is not None else None
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _soon(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Rest:
    """REST calls at whichever gateway answers, tried until one does."""

    def __init__(self, doors: Doors) -> None:
        self.headers: dict[str, str] = {}
        self._doors = doors
        self._http = httpx.AsyncClient(timeout=15, trust_env=False)

    async def call(self, method: str, path: str, **options: Any) -> Frame:
        """Raises httpx.HTTPStatusError where it is refused for good."""
        while True:
            with suppress(httpx.TransportError):
                url = random.choice(self._doors()).url + path
                answer = await self._http.request(method, url, headers=self.headers, **options)
                if answer.status_code not in (429, 503, 504):
                    answer.raise_for_status()
                    return dict(answer.json()) if answer.content else {}
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


class Crowd:
    """Rooms of people, who all talk.

    Each person is in two neighbouring rooms, so that rooms share gateways and connections. In every room somebody, who is
    nobody's neighbour, is taken out and brought back again and again.
    """

    def __init__(self, doors: Doors, seed: int, rooms: int = 8, people: int = 3, pace: float = 0.1) -> None:
        """`people` have their first room here; `pace` are the seconds that somebody thinks before the next message."""
        self.history = History()
        self.rooms: list[str] = []
        self.people: list[Person] = []
        self.guests: list[Person] = []
        self.owner: Rest | None = None
        self.pace = pace
        self._doors = doors
        self._dice = random.Random(seed)
        self._sizes = rooms, people
        self._running: list[asyncio.Task[None]] = []
        self._talking: list[asyncio.Task[None]] = []
        self._quiet = False

    @property
    def everybody(self) -> list[Person]:
        """Also those who are taken out at times."""
        return [*self.people, *self.guests]

    @property
    def acked(self) -> int:
        """How many messages were acknowledged."""
        return len(self.history.acked)

    async def gather(self) -> None:
        """Make the rooms, sign in, join."""
        rooms, people = self._sizes
        owner = Person("owner", self._doors, self.history, self._dice)
        await owner.sign_in()
        assert owner.rest is not None
        self.owner = owner.rest
        names = self._names()
        persons = [self._person(next(names)) for _ in range(rooms * people)]
        guests = [self._person(next(names)) for _ in range(rooms)]
        await asyncio.gather(*(person.sign_in() for person in (*persons, *guests)))
        for number in range(rooms):
            here = [p for n, p in enumerate(persons) if n % rooms in (number, (number + 1) % rooms)]
            here.append(guests[number])
            body = {"type": "group", "name": f"room {number}", "memberIds": [p.user_id for p in here]}
            room = (await self.owner.call("POST", "/api/conversations", json=body))["id"]
            self.rooms.append(room)
            for person in here:
                person.enter(room)
        self.people, self.guests = persons, guests
        self._running = [asyncio.create_task(person.run()) for person in self.everybody]
        await self.all_joined()

    def talk(self) -> None:
        """Begin, and go on until `hush`."""
        self._quiet = False
        self._talking = [asyncio.create_task(self._chatter(person)) for person in self.everybody]
        self._talking += [
            asyncio.create_task(self._come_and_go(room, guest))
            for room, guest in zip(self.rooms, self.guests, strict=True)
        ]

    async def hush(self) -> None:
        """Everybody finishes what they have begun to say; guests come back."""
        self._quiet = True
        await asyncio.gather(*self._talking)

    async def leave(self) -> None:
        """End everything at once."""
        for task in (*self._talking, *self._running):
            task.cancel()
        await asyncio.gather(*self._talking, *self._running, return_exceptions=True)
        if self.owner is not None:
            await self.owner.close()

    async def all_joined(self) -> None:
        """Until everybody is in all their rooms; the caller sets the deadline."""
        while not all(set(person.conversations) <= person.joined for person in self.everybody):
            await asyncio.sleep(0.05)

    def waiting_rooms(self, since: float) -> list[str]:
        """Rooms in which no message was acknowledged that was sent after this moment (monotonic)."""
        newest: dict[str, float] = dict.fromkeys(self.rooms, 0.0)
        for person in self.everybody:
            for room, at in person.acked_since.items():
                newest[room] = max(newest[room], at)
        return [room for room, at in newest.items() if at <= since]

    def _names(self) -> Iterator[str]:
        unique = uuid4().hex[:6]
        return (f"p{number} {unique}" for number in count())

    def _person(self, name: str) -> Person:
        return Person(name, self._doors, self.history, random.Random(self._dice.random()))

    async def _chatter(self, person: Person) -> None:
        dice = random.Random(self._dice.random())
        while not self._quiet:
            await asyncio.sleep(dice.expovariate(1 / self.pace))
            room = dice.choice(person.conversations)
            what = dice.random()
            if what < 0.85:
                await person.say(room, f"{dice.random()}")
            elif what < 0.97:
                await person.change_something(room)
            else:
                await person.mark_read(room)

    async def _come_and_go(self, room: str, guest: Person) -> None:
        dice = random.Random(self._dice.random())
        assert self.owner is not None
        members = f"/api/conversations/{room}/members"
        while not self._quiet:
            await asyncio.sleep(dice.uniform(2, 12))
            with suppress(httpx.HTTPStatusError):
                await self.owner.call("DELETE", f"{members}/{guest.user_id}")
            await asyncio.sleep(dice.uniform(0, 2))
            await self.owner.call("POST", members, json={"userIds": [guest.user_id]})

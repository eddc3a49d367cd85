"""Rooms full of connected members, and the check that everybody got everything: once, in order, without holes."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from bench.target import AT_ONCE, BenchError, Person, Target
from bench.wire import Frame, Wire

READY_TIMEOUT = 60.0
SETTLE_TIMEOUT = 20.0
FILLER = "x" * 80  # a message of ordinary length
FAULTS_KEPT = 20


class Room:
    """One conversation. Its messages are numbered by `Room.send`; the number is the content's first word."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.members: list[Member] = []
        self.sent_at: dict[str, float] = {}  # tempId → when, or for a fixed rate when it should have been
        self.acknowledged: dict[str, tuple[int | None, str]] = {}  # tempId → seq (if there is one), message id
        self.stored: dict[int, str] = {}  # seq → message id, as first delivered
        self.to_sent: list[float] = []
        self.to_delivered: list[float] = []
        self.last_delivery: dict[str, float] = {}  # tempId → delay of the latest one so far
        self.last_answer = 0.0
        self.refusals: Counter[str] = Counter()
        self.faults: list[str] = []

    @property
    def unanswered(self) -> int:
        """Messages on their way to being stored."""
        return len(self.sent_at) - len(self.acknowledged) - self.refusals.total()

    def fault(self, text: str) -> None:
        """Something that must not happen did."""
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(f"{self.id}: {text}")

    def settled(self) -> bool:
        """Everything is answered, and everybody has as many messages as there are."""
        head = len(self.acknowledged)
        return self.unanswered <= 0 and all(member.last >= head for member in self.members)

    def check(self) -> list[str]:
        """What is wrong, after all has settled."""
        if self.unanswered > 0:
            self.fault(f"{self.unanswered} messages were never answered")
        for code, times in self.refusals.items():
            self.fault(f"{times} messages were refused with {code}")
        sent = len(self.acknowledged)
        seqs = sorted(seq for seq, _ in self.acknowledged.values() if seq is not None)
        if seqs and seqs != list(range(1, sent + 1)) and not self.refusals:
            self.fault(f"the acknowledged seqs are not 1..{sent}")
        delivered = {message_id: seq for seq, message_id in self.stored.items()}
        for seq, message_id in self.acknowledged.values() if self.members else ():
            if message_id not in delivered or seq not in (None, delivered[message_id]):
                self.fault(f"{message_id} was acknowledged as seq {seq} and delivered as {delivered.get(message_id)}")
        for member in self.members:
            if sent and member.last != max(self.stored, default=0):
                self.fault(f"a member ended at seq {member.last} of {max(self.stored, default=0)}")
        return self.faults


class Member:
    """One person's socket in one room."""

    def __init__(self, room: Room, person: Person) -> None:
        self.last = 0
        self.answered: Any = None  # called with each answer to a send of ours
        self.told: Any = None  # called with frames that are about no message
        self._room = room
        self._person = person
        self._wire = Wire(self._receive, self._closed)
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def enter(self, url: str) -> None:
        """Connect, authenticate, join."""
        try:
            await self._wire.connect(url)
            self._wire.send({"type": "authenticate", "token": self._person.token})
            async with asyncio.timeout(READY_TIMEOUT):
                await self._joined
        except (OSError, TimeoutError) as error:
            raise BenchError(f"{url}: {str(error) or 'no answer in time'}") from None

    def send(self, at: float | None = None) -> None:
        """Send the next message of the room; `at`: when it was due."""
        temp_id = str(len(self._room.sent_at))
        self._room.sent_at[temp_id] = at or time.perf_counter()
        self._wire.send(
            {
                "type": "send_message",
                "conversationId": self._room.id,
                "content": f"{temp_id} {FILLER}",
                "tempId": temp_id,
            }
        )

    def post(self, frame: Frame) -> None:
        """Send any frame."""
        self._wire.send(frame)

    def close(self) -> None:
        """Go."""
        self._wire.close()

    def _receive(self, frame: Frame) -> None:
        match frame["type"]:
            case "new_message":
                self._delivered(frame["message"])
            case "message_sent":
                self._acknowledged(frame)
            case "message_error":
                self._room.refusals[frame["code"]] += 1
                if self.answered is not None:
                    self.answered(frame)
            case "authenticated":
                self._wire.send({"type": "join_conversation", "conversationId": self._room.id})
            case "joined_conversation":
                self._joined.set_result(None)
            case "resync":
                self._room.fault(f"a member was told to fetch from seq {frame['fromSeq']}")
            case "error" | "auth_error":
                self._failed(f"{frame['code']}: {frame['error']}")
            case _ if self.told is not None:
                self.told(frame)

    def _delivered(self, message: Frame) -> None:
        # A system that does not number its messages must still bring all of them to everybody in one order.
        room, seq = self._room, message.get("seq", self.last + 1)
        if seq != self.last + 1:
            room.fault(f"a member got seq {seq} after {self.last}")
        self.last = max(seq, self.last)
        if room.stored.setdefault(seq, message["id"]) != message["id"]:
            room.fault(f"seq {seq} is {room.stored[seq]} for one member and {message['id']} for another")
        temp_id = message["content"].partition(" ")[0]
        delay = time.perf_counter() - room.sent_at[temp_id]
        room.to_delivered.append(delay)
        room.last_delivery[temp_id] = delay

    def _acknowledged(self, frame: Frame) -> None:
        room, temp_id = self._room, frame["tempId"]
        if temp_id in room.acknowledged:
            room.fault(f"message {temp_id} was acknowledged twice")
        room.acknowledged[temp_id] = frame.get("seq"), frame["messageId"]
        room.last_answer = time.perf_counter()
        room.to_sent.append(room.last_answer - room.sent_at[temp_id])
        if self.answered is not None:
            self.answered(frame)

    def _closed(self, why: str) -> None:
        self._failed(f"a member's connection ended: {why}")

    def _failed(self, what: str) -> None:
        if self._joined.done():
            self._room.fault(what)
        else:
            self._joined.set_exception(OSError(what))


async def fill(target: Target, name: str, people: list[Person], urls: Iterable[str] | None = None) -> Room:
    """A new room with all of these in it, connected to all gateways (or to these addresses) in turn."""
    return await enter_all(target, await target.room(name, people), people, urls)


async def enter_all(
    target: Target, conversation_id: str, people: list[Person], urls: Iterable[str] | None = None
) -> Room:
    """A conversation without messages of which these are members, likewise."""
    room = Room(conversation_id)
    gate = asyncio.Semaphore(AT_ONCE)

    async def enter(member: Member, url: str) -> None:
        async with gate:
            await member.enter(url)

    room.members = [Member(room, person) for person in people]
    async with asyncio.timeout(READY_TIMEOUT):
        addresses = itertools.cycle(urls) if urls is not None else target.sockets()
        await asyncio.gather(*(enter(member, url) for member, url in zip(room.members, addresses, strict=False)))
    return room


async def settle(rooms: list[Room]) -> None:
    """Wait until nothing is on its way any more, or for too long. Polls: an event would cost every frame."""
    deadline = time.perf_counter() + SETTLE_TIMEOUT
    while time.perf_counter() < deadline and not all(room.settled() for room in rooms):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # for what should not come: a repeat


def empty(rooms: list[Room]) -> None:
    """Close every socket."""
    for member in [member for room in rooms for member in room.members]:
        member.close()


def refuse_limits(rooms: list[Room]) -> None:
    """Rate limits make every number meaningless."""
    if any(room.refusals["RATE_LIMITED"] for room in rooms):
        raise BenchError("RATE_LIMITED: start the target without limits, as in RATE_LIMITS=0 make run")

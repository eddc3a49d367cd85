"""Frames for `make fuzz`: those of the protocol at its edges, those whose fields are exchanged for anything, and no frames.

The same seed brings the same frames, but for ids that a running system gave to messages.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from contracts import limits
from contracts.frames import CLIENT_FRAMES
from services.gateway.settings import Settings
from tests.support.raw_socket import BINARY, TEXT, frame

STORED = 0.3  # the share of good frames about messages: these go to the persister, or to everybody who has joined
BURST = 12  # good frames of one kind in a row, on average
# The kinds of these, and how often each.
KINDS = {
    "send_message": 12,
    "add_reaction": 3,
    "remove_reaction": 2,
    "mark_read": 3,
    "edit_message": 1,
    "delete_message": 1,
    "typing_start": 2,
    "typing_stop": 1,
    "join_conversation": 1,
    "leave_conversation": 1,
}
LARGEST = Settings.model_fields["ws_max_frame"].default
TEXTS = [
    "",
    " ",
    "\0",
    "$ne",
    "a.b",
    "👍",
    "é" * 64,
    "x" * 65,
    "\u202e",
    "null",
    "{}",
    "x" * 9000,
    "\ud7ff\ue000",
    "__proto__",
]
NUMBERS = [0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63), 10**40, 0.5, 1e308, -0.0]
# What is good and next to what is not.
CONTENTS = [
    "x",
    " x ",
    "\0",
    "\u202e\u2066x",
    "$where",
    '{"$gt":""}',
    "a.b.c",
    "x" * limits.CONTENT_LENGTH,
    "👍" * limits.CONTENT_LENGTH,
    "\ud7ff\ue000\uffff",
    "word " * 1000,
    "\n".join("abc"),
]
IDS = ["x", "é" * 64, "👍" * 64, "$ne", "a.b", "\0", " ", "__proto__", "null"]
EMOJIS = ["👍", "👍🏽", "❤", "❤️", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣"]
ATTACHMENTS: list[dict[str, Any]] = [
    {"name": "a", "url": "/", "type": "x", "size": 0},
    {"name": "é" * 200, "url": "/" + "x" * 2047, "type": "x" * 200, "size": 2**53 - 1},
    {"name": "a", "url": "https://e", "type": "audio/ogg", "size": 1, "durationMs": 1, "waveform": [0.5, -1e308] * 512},
]


class Made(NamedTuple):
    """A frame as it is sent. `request_id` is that of its answer, where it has one of its own for sure."""

    data: bytes
    request_id: str | None = None
    may_close: bool = False  # it may be that nothing behind it is read


class World:
    """What good frames are about."""

    def __init__(self, tokens: Mapping[str, str], rooms: list[str]) -> None:
        self.tokens = dict(tokens)  # of each person
        self.rooms = rooms  # of which everybody is a member
        self.messages: dict[str, deque[str]] = {room: deque(["none"], 50) for room in rooms}  # ids, the newest last
        self.heads = dict.fromkeys(rooms, 0)


class Frames:
    """Frames of one person."""

    def __init__(self, seed: int, world: World, person: str) -> None:
        self._random = random.Random(seed)
        self._world = world
        self._person = person
        self._asked = 0
        self._kind, self._room = "send_message", world.rooms[0]

    def next(self) -> Made:
        """One WebSocket frame, which is good as such."""
        made = self._next()
        while len(made.data) > LARGEST and self._random.random() < 0.9:  # each ends the connection
            made = self._next()
        return made

    def _next(self) -> Made:
        chosen = self._random.random()
        if chosen < STORED:
            return self._good()
        if chosen < STORED + 0.02:
            return Made(frame(BINARY, self._random.randbytes(self._random.randrange(200))))
        if chosen < STORED + 0.12:
            return _made(self._spoiled(json.dumps(self._message()).encode()))
        if chosen < STORED + 0.2:
            return _made(json.dumps(self._anything(0)).encode("utf-8", "replace"))
        if chosen < STORED + 0.21:
            nested = self._random.choice([b"[", b'{"a":', b'{"type":"ping","heads":{"a":'])
            return _made(nested * self._random.randrange(1500))
        return _made(json.dumps(self._message(), ensure_ascii=self._random.random() < 0.5).encode())

    def _good(self) -> Made:
        """One that is carried out, or refused for what it is about: with edges of what is allowed.

        Several of a kind and of a conversation follow each other, as people's do: the persister takes them together.
        """
        if self._random.random() < 1 / BURST:
            self._kind = self._random.choices([*KINDS], [*KINDS.values()])[0]
            self._room = self._random.choice(self._world.rooms)
        self._asked += 1
        request_id = f"{self._person}-{self._asked}"
        body = {"type": self._kind, "requestId": request_id, **self._good_fields(self._kind, self._room)}
        data = json.dumps(body, ensure_ascii=self._random.random() < 0.5).encode()
        if self._kind.startswith("typing"):
            return Made(frame(TEXT, data))  # answered by nothing but NOT_JOINED
        return _made(data)._replace(request_id=None if len(data) > LARGEST else request_id)

    def _good_fields(self, kind: str, room: str) -> dict[str, Any]:
        pick, number, head = self._random.choice, self._random.randrange(1000), self._world.heads[room]
        message_id = pick(self._world.messages[room])
        fields: dict[str, Any] = {"conversationId": room}
        if kind in ("send_message", "edit_message"):
            fields["content"] = pick([f"{number}", f"word {number}", pick(CONTENTS)])
        if kind == "send_message":
            optional = {
                "tempId": pick([f"t{number}", pick(IDS)]),
                "replyTo": message_id,
                "mentions": [pick([*self._world.tokens, *IDS]) for _ in range(pick([0, 1, limits.MENTIONS]))],
                "mentionAll": pick([True, False]),
                "attachments": [pick(ATTACHMENTS)] * pick([1, 1, limits.ATTACHMENTS]),
            }
            return fields | {name: value for name, value in optional.items() if self._random.random() < 0.15}
        if kind in ("edit_message", "delete_message", "add_reaction", "remove_reaction"):
            fields["messageId"] = message_id
        if kind in ("add_reaction", "remove_reaction"):
            fields["emoji"] = pick(EMOJIS)
        if kind == "mark_read":
            fields["seq"] = pick([0, head, head + 1, 2**53 - 1])
        if kind == "join_conversation":
            resuming = {"afterSeq": max(0, head - pick([0, 1, 5])), "afterChange": 2**53 - 1}
            fields |= pick([resuming, {"limit": pick([1, 1, 1, limits.HISTORY_PAGE])}])
        return fields

    def _message(self) -> dict[str, Any]:
        kind = self._random.choice([*CLIENT_FRAMES, "nonsense"])
        if kind == "authenticate" and self._random.random() < 0.9:
            kind = "ping"  # every bad one ends the connection
        message = {"type": kind, **self._fields(kind)}
        if self._random.random() < 0.3:
            message["requestId"] = "r"
        while message and self._random.random() < 0.4:
            name = self._random.choice([*message, "conversationId", "extra"])
            if self._random.random() < 0.3:
                message.pop(name, None)
            else:
                message[name] = self._anything(0)
        return message

    def _fields(self, kind: str) -> dict[str, Any]:
        world, number = self._world, self._random.randrange(100)
        room = self._random.choice(world.rooms)
        where = {"conversationId": room}
        about = {**where, "messageId": self._random.choice(world.messages[room])}
        fields: dict[str, dict[str, Any]] = {
            "authenticate": {"token": world.tokens[self._person]},
            "ping": {"heads": {room: number}, "changes": {room: number}},
            "set_presence": {"status": self._random.choice(["online", "away", "busy", "invisible"])},
            "watch_presence": {"userIds": list(world.tokens)},
            "join_conversation": {**where, "limit": 1, "afterSeq": number * 10**6},
            "send_message": {**where, "content": "hello", "tempId": f"t{number}", "replyTo": about["messageId"]},
            "edit_message": {**about, "content": f"{number}"},
            "add_reaction": {**about, "emoji": "👍"},
            "remove_reaction": {**about, "emoji": "👍"},
            "delete_message": {**where, "messageId": "none"},
            "mark_read": {**where, "seq": number},
        }
        return fields.get(kind, where)

    def _anything(self, depth: int) -> Any:
        make: list[Callable[[], Any]] = [
            lambda: self._random.choice(TEXTS),
            lambda: self._random.choice(NUMBERS),
            lambda: self._random.choice([None, True, False]),
            lambda: "".join(chr(self._random.randrange(0xD800)) for _ in range(self._random.randrange(70))),
        ]
        if depth < 3:
            make += [
                lambda: [self._anything(depth + 1) for _ in range(self._random.randrange(4))],
                lambda: {self._random.choice([*TEXTS, "$gt"]): self._anything(depth + 1) for _ in range(3)},
                lambda: [self._random.choice(TEXTS)[:65]] * self._random.choice([1, limits.MENTIONS + 1, 600]),
            ]
        return self._random.choice(make)()

    def _spoiled(self, body: bytes) -> bytes:
        spoiled = bytearray(body)
        for _ in range(self._random.randrange(1, 4)):
            place = self._random.randrange(len(spoiled) + 1)
            spoiled[place : place + self._random.randrange(3)] = self._random.randbytes(self._random.randrange(3))
        if self._random.random() < 0.99:  # what is no UTF-8 ends the connection
            return bytes(spoiled).decode(errors="replace").encode()
        return bytes(spoiled)


def _made(data: bytes) -> Made:
    """What ends a connection is no UTF-8, is too large, or is no token."""
    closes = len(data) > LARGEST or b"authenticate" in data.lower() or not _is_text(data)
    return Made(frame(TEXT, data), may_close=closes)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

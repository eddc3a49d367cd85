"""What must never be, looked for in what clients saw and in what the servers have. Pure: nothing is read or awaited.

The promises are those of docs/protocol.md. Each `Defect` names the one that was broken, and tells the smallest story of it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tests.faults.history import (
    Acked,
    Ended,
    Event,
    Fetched,
    History,
    Joined,
    New,
    Removed,
    Resynced,
    Seen,
    Stored,
    Truth,
    Updated,
)

Rule = Literal[
    "lost",  # acknowledged and not stored
    "twice",  # stored, or acknowledged, under two numbers
    "hole",  # among the numbers that are stored
    "skipped",  # a client was given a later message first, without being told to fetch
    "repeated",  # a client was given a message again, or out of order
    "made up",  # a client was given what is not stored
    "missing",  # a client that is there in the end never got it
    "uninvited",  # delivered to somebody who was removed
    "change out of order",  # a change came after a later one, or before its message
    "stale",  # a client holds another state than whoever fetches now
    "event missing",
    "event wrong",  # it tells what is not stored, or two things under one id
]
FINAL = 1 << 62  # a seq above every other
STORIES = 5  # defects of one rule that are told in full: each is looked for in everything


class Defect(NamedTuple):
    """One broken promise, and all that is known of the message that shows it."""

    rule: Rule
    conversation: str
    seq: int
    story: tuple[str, ...]

    def __str__(self) -> str:
        return "\n    ".join((f"{self.rule}: {self.conversation}:{self.seq}", *self.story))


def check(history: History, truth: Truth) -> list[Defect]:
    """Every broken promise."""
    case = Case(history, truth)
    return [*_storing(case), *_receiving(case), *_ending(case), *_telling(case)]


@dataclass
class Case:
    """History and truth, and what is looked up in them often."""

    history: History
    truth: Truth
    stored: dict[tuple[str, int], Stored] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    told: Counter[Rule] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for message in self.truth.stored:
            self.stored[message.conversation, message.seq] = message
            self.heads[message.conversation] = max(self.heads.get(message.conversation, 0), message.seq)

    def defect(self, rule: Rule, conversation: str, seq: int, *why: str, person: str | None = None) -> Defect:
        """With the story of that message; of what people saw only this person's part, if one is named."""
        self.told[rule] += 1
        story = self._story(conversation, seq, person) if self.told[rule] <= STORIES else ()
        return Defect(rule, conversation, seq, (*why, *story))

    def _story(self, conversation: str, seq: int, person: str | None) -> Iterator[str]:
        here = (conversation, seq)
        for acked in self.history.acked:
            if (acked.conversation, acked.seq) == here:
                sent = self.history.sent.get(acked.temp_id)
                yield f"{sent.person if sent else '?'} was told that {acked.temp_id} is stored as {acked.id}"
        yield from (f"MongoDB: {m}" for m in self.truth.stored if (m.conversation, m.seq) == here)
        yield from (f"event: {e}" for e in self.truth.events if (e.conversation, e.seq) == here)
        people = [person] if person is not None else []
        for name in people:
            yield from (f"{name} saw: {line}" for line in _around(self.history.seen[name], conversation, seq))


def _around(seen: list[Seen], conversation: str, seq: int) -> Iterator[Seen]:
    """What a client saw of a message and its neighbours, and how its connections began and ended there."""
    frame: Seen | None = None  # the last that changed whether the client is in the room; told if something follows
    for line in seen:
        if isinstance(line, Joined | Removed | Resynced | Ended):
            if isinstance(line, Ended) or line.conversation == conversation:
                frame = line
        elif line.conversation == conversation and abs(line.seq - seq) <= 1:
            if frame is not None:
                yield frame
                frame = None
            yield line


# ---------------------------------------------------------------------------------------------------------- storing


def _storing(case: Case) -> Iterator[Defect]:
    by_temp: dict[tuple[str, str, str], Stored] = {}
    numbers: dict[str, set[int]] = defaultdict(set)
    ids: set[str] = set()
    for message in case.truth.stored:
        if message.seq in numbers[message.conversation] or message.id in ids:
            yield case.defect("twice", message.conversation, message.seq, "one number or id, two messages")
        numbers[message.conversation].add(message.seq)
        ids.add(message.id)
        if message.temp_id is not None:
            key = (message.conversation, message.sender, message.temp_id)
            if key in by_temp:
                yield case.defect("twice", message.conversation, message.seq, f"also stored as {by_temp[key]}")
            by_temp[key] = message
    for conversation, found in numbers.items():
        for seq in range(1, max(found) + 1):
            if seq not in found:
                yield case.defect("hole", conversation, seq)
    known: dict[str, Acked] = {}
    for acked in case.history.acked:
        stored = case.stored.get((acked.conversation, acked.seq))
        if stored is None or (stored.id, stored.temp_id) != (acked.id, acked.temp_id):
            yield case.defect("lost", acked.conversation, acked.seq)
        first = known.setdefault(acked.temp_id, acked)
        if first != acked:
            yield case.defect("twice", acked.conversation, acked.seq, f"also acknowledged as {first}")


# -------------------------------------------------------------------------------------------------------- receiving


@dataclass
class _Room:
    """One client in one conversation, from joining on."""

    joined_at: int  # the head then
    next: int
    change: int = 0
    told_to_fetch: bool = False


def _receiving(case: Case) -> Iterator[Defect]:
    absences = _absences(case.truth.events)
    for person, seen in case.history.seen.items():
        rooms: dict[str, _Room] = {}
        for line in seen:
            match line:
                case Ended():
                    rooms.clear()
                case Removed():
                    rooms.pop(line.conversation, None)
                case Joined():
                    rooms[line.conversation] = _Room(line.last, line.last + 1 if line.first is None else line.first)
                    if line.first is None and line.last > line.after:
                        yield case.defect(
                            "skipped", line.conversation, line.last, "nothing was replayed", person=person
                        )
                case Resynced():
                    if line.conversation in rooms:
                        rooms[line.conversation].told_to_fetch = True
                case New():
                    yield from _new(case, person, rooms.get(line.conversation), line, absences)
                case Updated() if not line.asked:
                    yield from _updated(case, person, rooms.get(line.conversation), line)
            if isinstance(line, New | Updated | Fetched):
                stored = case.stored.get((line.conversation, line.seq))
                if stored is None or stored.id != line.id or line.change > stored.change:
                    yield case.defect("made up", line.conversation, line.seq, person=person)


def _new(
    case: Case, person: str, room: _Room | None, line: New, absences: dict[tuple[str, str], list["_Absence"]]
) -> Iterator[Defect]:
    if room is None:
        yield case.defect("uninvited", line.conversation, line.seq, "not joined", person=person)
        return
    stored = case.stored.get((line.conversation, line.seq))
    for absence in absences.get((line.conversation, person), ()):
        if stored is not None and stored.at < absence.since:
            continue  # told after the removal and stored before it: so it is with two persisters
        if line.at >= absence.ended:
            continue  # a member again, who may read all of it: the gateway heard of neither, or only now
        if room.joined_at <= absence.left < line.seq <= absence.back:
            why = f"joined at {room.joined_at}, removed after {absence.left}"
            yield case.defect("uninvited", line.conversation, line.seq, why, person=person)
    if line.seq < room.next:
        yield case.defect("repeated", line.conversation, line.seq, person=person)
        return
    if line.seq > room.next and not room.told_to_fetch:
        yield case.defect("skipped", line.conversation, room.next, f"{line.seq} came instead", person=person)
    room.next, room.told_to_fetch = line.seq + 1, False


def _updated(case: Case, person: str, room: _Room | None, line: Updated) -> Iterator[Defect]:
    if room is None:
        yield case.defect("uninvited", line.conversation, line.seq, "a change, not joined", person=person)
        return
    if line.change <= room.change:
        yield case.defect(
            "change out of order", line.conversation, line.seq, f"{room.change} came before", person=person
        )
    elif line.seq >= room.next and not room.told_to_fetch:
        yield case.defect("change out of order", line.conversation, line.seq, "before its message", person=person)
    room.change = max(room.change, line.change)


class _Absence(NamedTuple):
    """When somebody was no member: after which message they were removed, and when, and up to which one that lasted,
    and until when."""

    left: int
    since: float
    back: int = FINAL
    ended: float = math.inf


def _absences(events: list[Event]) -> dict[tuple[str, str], list[_Absence]]:
    heads: dict[str, int] = defaultdict(int)
    found: dict[tuple[str, str], list[_Absence]] = defaultdict(list)
    told: set[str] = set()
    for event in events:
        if event.id in told:
            continue
        told.add(event.id)
        if event.kind == "created":
            heads[event.conversation] = max(heads[event.conversation], event.seq)
        for user in event.users:
            absent = found[event.conversation, user]
            is_open = bool(absent) and absent[-1].back == FINAL
            if event.kind == "member_removed" and not is_open:
                absent.append(_Absence(heads[event.conversation], event.at))
            elif event.kind == "member_added" and is_open:
                absent[-1] = absent[-1]._replace(back=heads[event.conversation], ended=event.at)
    return found


# ----------------------------------------------------------------------------------------------- in the end, and events


def _ending(case: Case) -> Iterator[Defect]:
    for person, conversation in sorted(case.history.present):
        held: dict[int, tuple[int, str]] = {}
        for line in case.history.seen[person]:
            if isinstance(line, New | Updated | Fetched) and line.conversation == conversation:
                known = held.get(line.seq)
                if known is None or line.change >= known[0]:
                    held[line.seq] = (line.change, line.digest)
        for seq in range(1, case.heads.get(conversation, 0) + 1):
            if seq not in held:
                yield case.defect("missing", conversation, seq, person=person)
            elif held[seq][1] != case.truth.shown.get((conversation, seq)):
                yield case.defect("stale", conversation, seq, person=person)


def _telling(case: Case) -> Iterator[Defect]:
    told: dict[str, Event] = {}
    for event in case.truth.events:
        if event.kind not in ("created", "updated"):
            continue
        stored = case.stored.get((event.conversation, event.seq))
        first = told.setdefault(event.id, event)
        same = (first.kind, first.seq, first.message) == (event.kind, event.seq, event.message)
        number = f"{event.conversation}:{event.seq if event.kind == 'created' else f'c{event.change}'}"
        if stored is None or stored.id != event.message or not same or event.id != number:
            yield case.defect("event wrong", event.conversation, event.seq)
    for message in case.truth.stored:
        if f"{message.conversation}:{message.seq}" not in told:
            yield case.defect("event missing", message.conversation, message.seq)
        if message.change and f"{message.conversation}:c{message.change}" not in told:
            yield case.defect("event missing", message.conversation, message.seq, f"of change {message.change}")

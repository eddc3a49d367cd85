"""The checker finds nothing in a good history, and every defect that is put into one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.faults.checker import Rule, check
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
    Sent,
    Stored,
    Truth,
    Updated,
)

PEOPLE = ("alice", "bob", "carol")
ROOMS = ("c", "d")


@dataclass
class World:
    """A system that keeps all its promises, in a few lines."""

    history: History = field(default_factory=History)
    truth: Truth = field(default_factory=Truth)
    messages: dict[str, list[Stored]] = field(default_factory=lambda: {room: [] for room in ROOMS})
    changes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROOMS, 0))
    joined: dict[tuple[str, str], int] = field(default_factory=dict)  # -> the last change it knows
    held: dict[tuple[str, str], int] = field(default_factory=dict)
    out: set[tuple[str, str]] = field(default_factory=set)
    sent: int = 0
    now: float = 0.0

    def join(self, person: str, room: str, portion: int = 1000) -> None:
        if (person, room) in self.joined or (person, room) in self.out:
            return
        after, head = self.held.get((person, room), 0), len(self.messages[room])
        seen = self.history.seen[person]
        from_here = max(after, head - portion)
        first = from_here + 1 if from_here < head else None
        seen.append(Joined(room, after, first, head))
        for message in self.messages[room]:
            kind = New if message.seq > from_here else Fetched
            if message.seq > after:
                seen.append(kind(room, message.seq, message.id, self.digest(message), message.change))
        for message in sorted(self.messages[room][:after], key=lambda m: m.change):
            if message.change > self.joined.get((person, room), 0):
                seen.append(Updated(room, message.seq, message.id, self.digest(message), message.change, False))
        self.joined[person, room], self.held[person, room] = self.changes[room], head

    def digest(self, message: Stored) -> str:
        return f"{message.id} at {message.change}"

    def send(self, person: str, room: str) -> None:
        if (person, room) in self.out:
            return
        self.sent += 1
        temp, seq = f"t{self.sent}", len(self.messages[room]) + 1
        self.now += 1
        message = Stored(room, seq, f"m{self.sent}", person, temp, at=self.now)
        self.messages[room].append(message)
        self.history.sent[temp] = Sent(person, room)
        self.truth.events.append(Event(f"{room}:{seq}", "created", room, seq, message.id))
        self.history.acked.append(Acked(temp, room, seq, message.id))
        for other in PEOPLE:
            if (other, room) in self.joined:
                self.history.seen[other].append(New(room, seq, message.id, self.digest(message), 0))
                self.held[other, room] = seq

    def retried(self) -> None:
        """An acknowledgement and an event that come again."""
        self.history.acked += self.history.acked[-1:]
        self.truth.events += self.truth.events[-1:]

    def edit(self, room: str, which: int) -> None:
        if not self.messages[room]:
            return
        index = which % len(self.messages[room])
        self.changes[room] += 1
        message = self.messages[room][index] = self.messages[room][index]._replace(change=self.changes[room])
        number = f"{room}:c{message.change}"
        self.truth.events.append(Event(number, "updated", room, message.seq, message.id, message.change))
        for other in PEOPLE:
            if (other, room) in self.joined:
                seen = self.history.seen[other]
                seen.append(Updated(room, message.seq, message.id, self.digest(message), message.change, False))

    def disconnect(self, person: str) -> None:
        for room in ROOMS:
            self.joined.pop((person, room), None)
        self.history.seen[person].append(Ended(1006))

    def remove(self, person: str, room: str) -> None:
        if (person, room) in self.out:
            return
        self.out.add((person, room))
        self.now += 1
        number = f"{room}:x{len(self.truth.events)}"
        self.truth.events.append(Event(number, "member_removed", room, users=(person,), at=self.now))
        if self.joined.pop((person, room), None) is not None:
            self.history.seen[person].append(Removed(room))

    def add(self, person: str, room: str) -> None:
        if (person, room) not in self.out:
            return
        self.out.discard((person, room))
        self.now += 1
        number = f"{room}:x{len(self.truth.events)}"
        self.truth.events.append(Event(number, "member_added", room, users=(person,), at=self.now))

    def end(self) -> None:
        """Whoever is a member comes once more."""
        for room in ROOMS:
            for person in PEOPLE:
                self.join(person, room)
                if (person, room) in self.joined:
                    self.history.present.add((person, room))
        self.truth.stored = [message for room in ROOMS for message in self.messages[room]]
        self.truth.shown = {(m.conversation, m.seq): self.digest(m) for m in self.truth.stored}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    person, room = st.sampled_from(PEOPLE), st.sampled_from(ROOMS)
    for _ in range(draw(st.integers(5, 40))):
        match draw(st.sampled_from(["send", "send", "send", "join", "edit", "disconnect", "remove", "add", "retried"])):
            case "send":
                world.send(draw(person), draw(room))
            case "join":
                world.join(draw(person), draw(room), draw(st.sampled_from([2, 1000])))
            case "edit":
                world.edit(draw(room), draw(st.integers(0, 20)))
            case "disconnect":
                world.disconnect(draw(person))
            case "remove":
                world.remove(draw(person), draw(room))
            case "add":
                world.add(draw(person), draw(room))
            case _:
                world.retried()
    world.end()
    return world


@given(worlds())
def test_a_good_history_has_no_defect(world: World) -> None:
    assert check(world.history, world.truth) == []


# ------------------------------------------------------------------------------------------------- one defect each


def _index(world: World, person: str, kind: type, number: int = 0) -> int:
    """Where somebody saw such a thing the n-th time; whoever did not makes no case of it."""
    found = [index for index, line in enumerate(world.history.seen[person]) if type(line) is kind]
    assume(len(found) > number)
    return found[number]


def _stored(world: World, number: int = 0) -> Stored:
    assume(len(world.truth.stored) > number)
    return world.truth.stored[number]


def forget_what_was_acked(world: World) -> None:
    acked = {(a.conversation, a.seq) for a in world.history.acked}
    assume(acked)
    world.truth.stored.remove(next(m for m in world.truth.stored if (m.conversation, m.seq) in acked))


def store_again(world: World) -> None:
    message = _stored(world)
    world.truth.stored.append(message._replace(seq=len(world.messages[message.conversation]) + 1, id="another"))


def give_a_number_twice(world: World) -> None:
    world.truth.stored.append(_stored(world)._replace(id="another", temp_id="another"))


def ack_two_numbers(world: World) -> None:
    assume(world.history.acked)
    first = world.history.acked[0]
    world.history.acked.append(first._replace(seq=first.seq + 1))


def leave_a_hole(world: World) -> None:
    message = _stored(world)
    assume(len(world.messages[message.conversation]) > 1)
    world.truth.stored.remove(message)


def skip_one(world: World) -> None:
    seen = world.history.seen["alice"]
    index = _index(world, "alice", New)
    room = seen[index]
    assert isinstance(room, New)
    after = seen[index + 1 :]
    following = [line for line in after if isinstance(line, New | Joined | Ended | Removed)]
    assume(following and isinstance(following[0], New) and following[0].conversation == room.conversation)
    del seen[index]


def replay_nothing(world: World) -> None:
    seen = world.history.seen["alice"]
    index = _index(world, "alice", Joined)
    joined = seen[index]
    assert isinstance(joined, Joined)
    assume(joined.first is not None)
    seen[index] = joined._replace(first=None)


def repeat_one(world: World) -> None:
    index = _index(world, "alice", New)
    world.history.seen["alice"].insert(index + 1, world.history.seen["alice"][index])


def swap_two(world: World) -> None:
    seen = world.history.seen["alice"]
    index = _index(world, "alice", New)
    assume(index + 1 < len(seen))
    one, other = seen[index : index + 2]
    assume(isinstance(one, New) and isinstance(other, New) and one.conversation == other.conversation)
    seen[index : index + 2] = [other, one]


def deliver_another(world: World) -> None:
    index = _index(world, "alice", New)
    line = world.history.seen["alice"][index]
    assert isinstance(line, New)
    world.history.seen["alice"][index] = line._replace(id="another")


def deliver_what_is_not_stored(world: World) -> None:
    room, person = ROOMS[0], "alice"
    assume((person, room) in world.joined)
    seq = len(world.messages[room]) + 1
    world.history.seen[person].append(New(room, seq, "made up", "made up", 0))


def never_deliver_the_last(world: World) -> None:
    seen = world.history.seen["alice"]
    assume(("alice", "c") in world.history.present)
    lines = [line for line in seen if isinstance(line, New | Updated | Fetched) and line.conversation == "c"]
    assume(lines and max(line.seq for line in lines) == len(world.messages["c"]))
    for line in lines:
        if line.seq == len(world.messages["c"]):
            seen.remove(line)


def deliver_after_removal(world: World) -> None:
    seen = world.history.seen["alice"]
    index = _index(world, "alice", Removed)
    removed = seen[index]
    assert isinstance(removed, Removed)
    seq = next((m.seq for m in reversed(world.messages[removed.conversation])), 0)
    assume(seq)
    message = world.messages[removed.conversation][seq - 1]
    seen.insert(index + 1, New(removed.conversation, seq, message.id, world.digest(message), message.change))


def tell_nobody_of_the_removal(world: World) -> None:
    """The gateway goes on delivering what is said then."""
    seen = world.history.seen["alice"]
    room, person = "c", "alice"
    world.add(person, room)
    world.join(person, room)
    world.remove(person, room)
    removed = seen.pop()
    assume(isinstance(removed, Removed))
    world.send("bob", room)
    assume(("bob", room) not in world.out)
    message = world.messages[room][-1]
    seen.append(New(room, message.seq, message.id, world.digest(message), 0))
    world.add(person, room)
    world.join(person, room)
    world.end()


def change_backwards(world: World) -> None:
    index = _index(world, "alice", Updated)
    world.history.seen["alice"].insert(index + 1, world.history.seen["alice"][index])


def change_before_its_message(world: World) -> None:
    seen = world.history.seen["alice"]
    for index, (one, other) in enumerate(pairwise(seen)):
        if (
            isinstance(one, New)
            and isinstance(other, Updated)
            and (one.conversation, one.seq) == (other.conversation, other.seq)
        ):
            seen[index : index + 2] = [other, one]
            return
    assume(False)


def keep_an_old_state(world: World) -> None:
    assume(world.history.present)
    _, room = sorted(world.history.present)[0]
    assume(world.messages[room])
    world.truth.shown[room, 1] = "as it is now"


def lose_an_event(world: World) -> None:
    message = _stored(world)
    number = f"{message.conversation}:{message.seq}"
    world.truth.events = [event for event in world.truth.events if event.id != number]


def lose_the_event_of_a_change(world: World) -> None:
    changed = [m for m in world.truth.stored if m.change]
    assume(changed)
    number = f"{changed[0].conversation}:c{changed[0].change}"
    world.truth.events = [event for event in world.truth.events if event.id != number]


def tell_one_under_another_id(world: World) -> None:
    created = [event for event in world.truth.events if event.kind == "created"]
    assume(created)
    world.truth.events.append(created[0]._replace(id="another"))


def tell_two_under_one_id(world: World) -> None:
    updated = [event for event in world.truth.events if event.kind == "updated"]
    assume(updated)
    other = [m for m in world.messages[updated[0].conversation] if m.seq != updated[0].seq]
    assume(other)
    world.truth.events.append(updated[0]._replace(seq=other[0].seq, message=other[0].id))


MUTATIONS: list[tuple[Callable[[World], None], Rule]] = [
    (forget_what_was_acked, "lost"),
    (store_again, "twice"),
    (give_a_number_twice, "twice"),
    (ack_two_numbers, "twice"),
    (leave_a_hole, "hole"),
    (skip_one, "skipped"),
    (replay_nothing, "skipped"),
    (repeat_one, "repeated"),
    (swap_two, "repeated"),
    (deliver_another, "made up"),
    (deliver_what_is_not_stored, "made up"),
    (never_deliver_the_last, "missing"),
    (deliver_after_removal, "uninvited"),
    (tell_nobody_of_the_removal, "uninvited"),
    (change_backwards, "change out of order"),
    (change_before_its_message, "change out of order"),
    (keep_an_old_state, "stale"),
    (lose_an_event, "event missing"),
    (lose_the_event_of_a_change, "event missing"),
    (tell_one_under_another_id, "event wrong"),
    (tell_two_under_one_id, "event wrong"),
]


@pytest.mark.parametrize(("mutate", "rule"), MUTATIONS, ids=[mutate.__name__ for mutate, _ in MUTATIONS])
@settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(world=worlds())
def test_every_defect_is_found(mutate: Callable[[World], None], rule: Rule, world: World) -> None:
    mutate(world)
    found = check(world.history, world.truth)
    assert rule in {defect.rule for defect in found}
    assert all(str(defect) for defect in found)


def test_who_is_given_what_was_stored_before_their_removal_was_invited_though_it_is_told_after_it() -> None:
    world = World()
    world.join("alice", "c")
    world.send("bob", "c")
    world.send("bob", "c")
    world.remove("alice", "c")
    told = world.truth.events
    told[-2:] = reversed(told[-2:])  # two persisters: the one that removed her tells of the other's message, too
    world.end()
    assert check(world.history, world.truth) == []
    told[-2] = told[-2]._replace(at=world.messages["c"][-1].at - 0.5)
    assert [defect.rule for defect in check(world.history, world.truth)] == ["uninvited"]


def test_who_is_a_member_again_may_be_told_what_was_said_meanwhile_and_nobody_before() -> None:
    """A gateway that was cut off hears of neither the removal nor the return."""
    world = World()
    world.join("alice", "c")
    world.remove("alice", "c")
    seen = world.history.seen["alice"]
    assert isinstance(seen.pop(), Removed)
    world.send("bob", "c")
    world.add("alice", "c")
    message = world.messages["c"][-1]
    line = New("c", message.seq, message.id, world.digest(message), 0, at=world.now)
    seen.append(line)
    world.held["alice", "c"] = message.seq
    world.end()
    assert check(world.history, world.truth) == []
    seen[seen.index(line)] = line._replace(at=world.now - 0.5)
    assert [defect.rule for defect in check(world.history, world.truth)] == ["uninvited"]


def test_what_a_client_was_told_to_fetch_is_no_hole() -> None:
    world = World()
    for _ in range(4):
        world.send("bob", "c")
    world.end()
    seen = world.history.seen["alice"]
    at = next(index for index, line in enumerate(seen) if isinstance(line, New) and line.seq == 2)
    line = seen[at]
    assert isinstance(line, New)
    seen[at] = Resynced("c")
    seen.append(Fetched(*line[:5]))
    assert check(world.history, world.truth) == []
    seen.pop()
    (defect,) = check(world.history, world.truth)
    assert (defect.rule, defect.seq) == ("missing", 2)
    assert "alice" in str(defect)

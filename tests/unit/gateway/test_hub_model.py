"""People come, leave, are removed and are told to fetch, while the fan-out loses, repeats and delays, and holes are read
late, in portions, or not at once. Everybody is given what was promised: `tests/faults/checker.py` says what that is.
"""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from services.gateway.changes import Changed
from services.gateway.hub import Hub, Join
from services.gateway.outbox import Outbox, Turn
from services.gateway.recent import Numbered
from tests.faults.checker import check
from tests.faults.history import Event, Fetched, History, Joined, New, Resynced, Stored, Truth, Updated
from tests.unit.gateway.test_hub import FakeConnection

ROOM = "c"


class Room(RuleBasedStateMachine):
    """One conversation, its history, and a gateway that hears of it what the fan-out likes to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.stored: dict[int, int] = {}  # seq -> number of its last change
        self.change = 0
        self.events: list[Event] = []
        self.holes: list[tuple[int, int]] = []  # to be read
        self.change_holes: list[tuple[int, int]] = []
        self.late: list[tuple[int, int]] = []  # what the fan-out has not told yet: seq and change
        self.hub = Hub(
            lambda _, above, below: self.holes.append((above, below)),
            lambda _, above, below: self.change_holes.append((above, below)),
        )
        self.connections: dict[str, FakeConnection] = {}
        self.joining: dict[str, tuple[int, int]] = {}  # with the head and the last change that they have read
        self.number = 0

    # --------------------------------------------------------------------------------------------- what is said

    @rule(fate=st.sampled_from(["told", "told", "lost", "twice", "late"]))
    def send(self, fate: str) -> None:
        seq = len(self.stored) + 1
        self.stored[seq] = 0
        self.events.append(Event(f"{ROOM}:{seq}", "created", ROOM, seq, f"m{seq}"))
        self._told(seq, 0, fate)

    @precondition(lambda self: self.stored)
    @rule(which=st.integers(0, 50), fate=st.sampled_from(["told", "told", "lost", "twice", "late"]))
    def edit(self, which: int, fate: str) -> None:
        seq = which % len(self.stored) + 1
        self.change += 1
        self.stored[seq] = self.change
        self.events.append(Event(f"{ROOM}:c{self.change}", "updated", ROOM, seq, f"m{seq}", self.change))
        self._told(seq, self.change, fate)

    @precondition(lambda self: self.late)
    @rule(which=st.integers(0, 50))
    def tell_late(self, which: int) -> None:
        self._tell(*self.late.pop(which % len(self.late)))

    def _told(self, seq: int, change: int, fate: str) -> None:
        if fate in ("told", "twice"):
            self._tell(seq, change)
        if fate in ("twice", "late"):
            self.late.append((seq, change))

    def _tell(self, seq: int, change: int) -> None:
        if change:
            self.hub.change(ROOM, Changed(change, seq, "edited", _body(seq, change)))
        else:
            self.hub.message(ROOM, Numbered(seq, _body(seq, 0), "sender"))

    # ------------------------------------------------------------------------------------- reading what is missing

    @precondition(lambda self: self.holes)
    @rule(whole=st.booleans())
    def read_a_hole(self, whole: bool) -> None:
        """As the egress does: in portions, which may be one message."""
        above, below = self.holes.pop(0)
        until = below if whole else min(below, above + 2)
        self.hub.fill(ROOM, [Numbered(s, _body(s, self.stored[s]), "sender") for s in range(above + 1, until)])
        if until < below:
            self.hub.behind(ROOM, below - 1)

    @precondition(lambda self: self.change_holes)
    @rule()
    def read_a_hole_of_changes(self) -> None:
        above, below = self.change_holes.pop(0)
        found = sorted((number, seq) for seq, number in self.stored.items() if above < number < below)
        self.hub.fill_changes(ROOM, [Changed(n, seq, "edited", _body(seq, n)) for n, seq in found], below - 1)

    @precondition(lambda self: self.holes)
    @rule()
    def not_be_able_to_read_a_hole(self) -> None:
        self.holes.pop(0)
        self.hub.unhealed(ROOM)

    @precondition(lambda self: self.change_holes)
    @rule()
    def not_be_able_to_read_a_hole_of_changes(self) -> None:
        self.change_holes.pop(0)
        self.hub.unhealed_changes(ROOM)

    @precondition(lambda self: self.holes)
    @rule()
    def give_up(self) -> None:
        _, below = self.holes.pop(0)
        self.hub.give_up(ROOM, below - 1)

    @rule()
    def catch_up(self) -> None:
        self.hub.behind(ROOM, len(self.stored))
        self.hub.behind_changes(ROOM, self.change)

    # --------------------------------------------------------------------------------------------- coming and going

    @rule()
    def come(self) -> None:
        self.number += 1
        name = f"p{self.number}"
        connection = self.connections[name] = FakeConnection(name)
        connection.outbox = Outbox(connection.socket, 10**9, Turn(connection.ends.append))
        self.hub.add(connection)
        self.hub.begin_join(connection, ROOM)
        self.joining[name] = self._replay(name, 0)

    @precondition(lambda self: self.joining)
    @rule(which=st.integers(0, 50))
    def be_live(self, which: int) -> None:
        """The replay is sent; or it took too long, and goes on from there."""
        name = sorted(self.joining)[which % len(self.joining)]
        head, change = self.joining.pop(name)
        if self.hub.finish_join(self.connections[name], ROOM, head, change) is Join.BEHIND:
            self.joining[name] = self._replay(name, head, change)

    @precondition(lambda self: self.connections)
    @rule(which=st.integers(0, 50), removed=st.booleans())
    def go(self, which: int, removed: bool) -> None:
        name = sorted(self.connections)[which % len(self.connections)]
        connection = self.connections.pop(name)
        self.joining.pop(name, None)
        if removed:
            self.hub.evict(ROOM, [name])
            told = len(_frames(connection))
            if self.stored:
                self._tell(len(self.stored), 0)
            assert len(_frames(connection)) == told, "nothing after the removal"
        self.hub.remove(connection)
        self._write_down(name, connection)

    def _replay(self, name: str, above: int, known: int = 0) -> tuple[int, int]:
        """What a join reads and sends by itself; above 0 it goes on, with the changes behind `known` of what was sent."""
        seen, head = self.history.seen[name], len(self.stored)
        if above == 0:
            seen.append(Joined(ROOM, 0, 1 if head else None, head))
        self._write_down(name, self.connections[name])
        for seq in range(above + 1, head + 1):
            seen.append(New(ROOM, seq, f"m{seq}", f"{seq}@{self.stored[seq]}", self.stored[seq]))
        for seq, change in sorted(self.stored.items(), key=lambda item: item[1]):
            if seq <= above and change > known:
                seen.append(Updated(ROOM, seq, f"m{seq}", f"{seq}@{change}", change, False))
        return head, self.change

    def _write_down(self, name: str, connection: FakeConnection) -> None:
        """What was written to a connection since the last time."""
        seen = self.history.seen[name]
        for frame in _frames(connection):
            told = json.loads(frame[frame.index(b"{") :])
            if told["type"] == "resync":
                seen.append(Resynced(ROOM))
                for seq in range(told["fromSeq"], len(self.stored) + 1):
                    seen.append(Fetched(ROOM, seq, f"m{seq}", f"{seq}@{self.stored[seq]}", self.stored[seq]))
                continue
            seq, change = told["message"]["seq"], told["message"]["changeSeq"]
            state = (ROOM, seq, f"m{seq}", f"{seq}@{change}", change)
            seen.append(New(*state) if told["type"] == "new_message" else Updated(*state, False))
        connection.socket.frames.clear()

    def teardown(self) -> None:
        """In the end everything can be read, and everybody has everything."""
        for _ in range(1000):
            if self.holes:
                self.read_a_hole(whole=True)
            elif self.change_holes:
                self.read_a_hole_of_changes()
            elif self.joining:
                self.be_live(0)
            else:
                self.catch_up()
                if not self.holes and not self.change_holes:
                    break
        for name, connection in self.connections.items():
            self._write_down(name, connection)
            self.history.present.add((name, ROOM))
        stored = [Stored(ROOM, seq, f"m{seq}", "sender", None, change) for seq, change in self.stored.items()]
        shown = {(ROOM, seq): f"{seq}@{change}" for seq, change in self.stored.items()}
        defects = check(self.history, Truth(stored, shown, self.events))
        assert not defects, "\n".join(map(str, defects))


def _frames(connection: FakeConnection) -> list[bytes]:
    connection.end_turn()
    return list(connection.socket.frames)


def _body(seq: int, change: int) -> bytes:
    return b'{"seq":%d,"changeSeq":%d}' % (seq, change)


Room.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRoom = Room.TestCase

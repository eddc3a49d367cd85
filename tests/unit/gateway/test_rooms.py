"""A conversation against the hub: whatever the fan-out loses, repeats or delays, everybody ends with what is stored."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.changes import Changed
from services.gateway.hub import Hub, Join
from services.gateway.outbox import Outbox, Turn
from services.gateway.recent import Numbered
from tests.unit.gateway.test_hub import FakeConnection

Told = tuple[int, int]  # a message's seq, and the number of the change; 0 for the message itself


class Simulated:
    """A conversation and its history, from which holes are read at once."""

    def __init__(self) -> None:
        self.stored: dict[int, int] = {}  # seq -> number of its last change
        self.change = 0
        self.hub = Hub(self._fill, self._fill_changes)

    def send(self) -> Told:
        self.stored[len(self.stored) + 1] = 0
        return len(self.stored), 0

    def edit(self, seq: int) -> Told:
        self.change += 1
        self.stored[seq] = self.change
        return seq, self.change

    def tell(self, told: Told) -> None:
        seq, number = told
        if number:
            self.hub.change("c", self._changed(number, seq))
        else:
            self.hub.message("c", self._message(seq, 0))

    def join(self, name: str) -> tuple[FakeConnection, dict[int, int]]:
        """Somebody new, who is replayed everything: from what the hub remembers, if it does. And what that was."""
        connection = FakeConnection(name)
        connection.outbox = Outbox(connection.socket, 10**9, Turn(connection.ends.append))
        self.hub.add(connection)
        self.hub.begin_join(connection, "c")
        head, change = len(self.stored), self.change
        remembered = self.hub.recent("c", 0, head)
        if remembered is None:
            messages = [self._message(seq, number) for seq, number in self.stored.items()]
            self.hub.remember("c", 0, messages, change)
        else:
            messages, known = remembered
            change = min(change, known)
        assert self.hub.finish_join(connection, "c", head, change) is Join.DONE
        return connection, {m.seq: json.loads(m.body)["changeSeq"] for m in messages}

    def catch_up(self) -> None:
        self.hub.behind("c", len(self.stored))
        self.hub.behind_changes("c", self.change)

    def _message(self, seq: int, number: int) -> Numbered:
        return Numbered(seq, b'{"seq":%d,"changeSeq":%d}' % (seq, number), "sender")

    def _changed(self, number: int, seq: int) -> Changed:
        return Changed(number, seq, "edited", b'{"seq":%d,"changeSeq":%d}' % (seq, number))

    def _fill(self, _: str, above: int, below: int) -> None:
        self.hub.fill("c", [self._message(seq, self.stored[seq]) for seq in range(above + 1, below)])

    def _fill_changes(self, _: str, above: int, below: int) -> None:
        found = sorted((number, seq) for seq, number in self.stored.items() if above < number < below)
        self.hub.fill_changes("c", [self._changed(number, seq) for number, seq in found], below - 1)


@given(st.data())
def test_every_connection_ends_with_what_is_stored_in_rising_order(data: st.DataObject) -> None:
    room = Simulated()
    room.tell(room.send())
    joined = [room.join("first")]
    delayed: list[Told] = []
    for step in range(data.draw(st.integers(1, 30))):
        what = data.draw(st.sampled_from(["send", "edit", "edit", "join", "late"]))
        if what == "join":
            joined.append(room.join(f"joiner {step}"))
        elif what == "late" and delayed:
            room.tell(delayed.pop(data.draw(st.integers(0, len(delayed) - 1))))
        else:
            told = room.send() if what == "send" else room.edit(data.draw(st.sampled_from(sorted(room.stored))))
            fate = data.draw(st.sampled_from(["told", "told", "lost", "twice", "delayed"]))
            if fate in ("told", "twice"):
                room.tell(told)
            if fate in ("twice", "delayed"):
                delayed.append(told)
    room.catch_up()
    for connection, held in joined:
        connection.end_turn()
        seqs, numbers = [], []
        for frame in connection.socket.frames:
            told_frame = json.loads(frame[frame.index(b"{") :])
            seq, number = told_frame["message"]["seq"], told_frame["message"]["changeSeq"]
            if told_frame["type"] == "new_message":
                assert seq not in held
                seqs.append(seq)
            else:
                assert seq in held, "behind its message"
                numbers.append(number)
            held[seq] = max(held.get(seq, 0), number)
        assert seqs == sorted(seqs)
        assert numbers == sorted(set(numbers))
        assert held == room.stored

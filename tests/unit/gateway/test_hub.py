"""The hub keeps every conversation's order, whatever the fan-out brings."""

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from contracts.errors import CloseCode
from services.gateway import outbox
from services.gateway.changes import Changed
from services.gateway.hub import HELD, Hub, Join
from services.gateway.outbox import Outbox, Turn
from services.gateway.recent import Numbered


class FakeSocket:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.waiting = 0
        self.frames: list[bytes] = []
        self.writes = 0
        self.code: int | None = None
        self.ended: Callable[[], None] = lambda: None

    def write(self, frames: Sequence[bytes]) -> None:
        self.frames += frames
        self.writes += 1

    async def taken(self) -> None:
        self.waiting = 0

    def close(self, code: int, reason: str = "") -> None:
        self.code = code
        self.ended()


class FakeConnection:
    """A connection of one user."""

    def __init__(self, name: str, user_id: str = "") -> None:
        self.id = name
        self.user_id = user_id or name
        self.joined: set[str] = set()
        self.gone = False
        self.socket = FakeSocket()
        self.ends: list[Callable[[], None]] = []
        self.outbox = Outbox(self.socket, 1000, Turn(self.ends.append))

    def end_turn(self) -> None:
        """As the event loop would."""
        while self.ends:
            self.ends.pop()()

    @property
    def seqs(self) -> list[int]:
        """The numbers of the messages that were written to it."""
        self.end_turn()
        return [int(frame.rsplit(b'"seq":', 1)[1].split(b"}")[0].split(b",")[0]) for frame in self.socket.frames]

    @property
    def story(self) -> list[tuple[str, int] | tuple[str, int, str | None]]:
        """Messages, changes and what else was written to it, as `("new", seq)`, `("changed", number, requestId)`."""
        self.end_turn()
        frames = [json.loads(frame[frame.index(b"{") :]) for frame in self.socket.frames]
        return [
            ("new", frame["message"]["seq"])
            if frame["type"] == "new_message"
            else ("changed", frame["message"]["changeSeq"], frame.get("requestId"))
            if frame["type"] == "message_updated"
            else (frame["type"], frame["lastChange"])
            for frame in frames
        ]


class Holes(list[tuple[str, int, int]]):
    """The holes that the hub asked to be healed."""

    def __call__(self, conversation_id: str, above: int, below: int) -> None:
        self.append((conversation_id, above, below))


def message(seq: int) -> Numbered:
    return Numbered(seq, b'{"seq":%d}' % seq, "sender")


def changed(number: int, seq: int = 1, **asked: FakeConnection) -> Changed:
    body = b'{"seq":%d,"changeSeq":%d}' % (seq, number)
    return Changed(number, seq, "edited", body, {connection: [request] for request, connection in asked.items()})


def joined(hub: Hub, name: str, head: int, change: int = 0) -> FakeConnection:
    connection = FakeConnection(name)
    hub.add(connection)
    hub.begin_join(connection, "c")
    assert hub.finish_join(connection, "c", head, change) is Join.DONE
    return connection


def test_messages_arrive_in_order_once() -> None:
    hub = Hub(Holes(), Holes())
    one = joined(hub, "one", 2)
    for seq in (1, 2, 3, 3, 4, 2):
        hub.message("c", message(seq))
    assert one.seqs == [3, 4]


def test_a_hole_is_healed_before_what_follows() -> None:
    holes = Holes()
    hub = Hub(holes, Holes())
    one = joined(hub, "one", 0)
    hub.message("c", message(3))
    hub.message("c", message(4))
    assert (one.seqs, holes) == ([], [("c", 0, 3)])
    hub.fill("c", [message(1), message(2)])
    assert one.seqs == [1, 2, 3, 4]


def test_what_is_found_missing_while_a_hole_is_read_is_read_behind_it() -> None:
    holes = Holes()
    hub = Hub(holes, Holes())
    one = joined(hub, "one", 0)
    hub.message("c", message(3))
    hub.behind("c", 5)
    hub.fill("c", [message(1), message(2)])
    assert (one.seqs, holes) == ([1, 2, 3], [("c", 0, 3), ("c", 3, 6)])
    hub.fill("c", [message(4), message(5)])
    hub.behind("c", 5)
    assert (one.seqs, holes[2:]) == ([1, 2, 3, 4, 5], [])


def test_what_is_found_missing_before_the_first_join_has_ended_is_read_behind_it() -> None:
    holes, holes_among_changes = Holes(), Holes()
    hub = Hub(holes, holes_among_changes)
    one = FakeConnection("one")
    hub.add(one)
    hub.begin_join(one, "c")
    hub.behind("c", 4)
    hub.behind_changes("c", 7)
    assert (holes, holes_among_changes) == ([], [])
    assert hub.finish_join(one, "c", 2, 6) is Join.DONE
    assert (holes, holes_among_changes) == ([("c", 2, 5)], [("c", 6, 8)])


def test_a_first_join_that_takes_long_holds_no_more_than_any() -> None:
    holes, holes_among_changes = Holes(), Holes()
    hub = Hub(holes, holes_among_changes)
    slow, away = FakeConnection("slow"), FakeConnection("away")
    hub.add(slow)
    hub.begin_join(slow, "c")
    most = 2 * HELD + 5
    for number in range(1, most + 1):
        hub.message("c", message(number))
        hub.change("c", changed(number, r=away))
    assert [entry[:2] for entry in away.story] == [("changed", number) for number in range(1, most + 1)], "at once"
    room = hub.rooms["c"]
    assert max(len(room.held), len(room.changes.held)) <= HELD
    assert hub.finish_join(slow, "c", 0, 0) is Join.DONE
    assert [hole[1] for hole in (*holes, *holes_among_changes)] == [0, 0]
    hub.fill("c", [message(number) for number in range(1, most + 1)])
    assert slow.seqs == list(range(1, most + 1))
    hub.fill_changes("c", [changed(number) for number in range(1, most + 1)], most)
    assert [entry[1] for entry in slow.story if entry[0] == "changed"] == list(range(1, most + 1))


def test_more_at_once_than_is_held_is_delivered_without_reading_it() -> None:
    holes = Holes()
    hub = Hub(holes, Holes())
    one = joined(hub, "one", 0)
    hub.message("c", *(message(seq) for seq in range(1, 2 * HELD)))
    assert (one.seqs, holes) == (list(range(1, 2 * HELD)), [])


def test_what_arrives_while_joining_follows_the_replay() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 1)
    late = FakeConnection("late")
    hub.add(late)
    hub.begin_join(late, "c")
    for seq in (2, 3, 4):
        hub.message("c", message(seq))
    assert hub.finish_join(late, "c", 3, 0) is Join.DONE
    hub.message("c", message(5))
    assert late.seqs == [4, 5]


def test_a_replay_that_is_ahead_of_the_fanout_repeats_nothing() -> None:
    hub = Hub(Holes(), Holes())
    one = joined(hub, "one", 1)
    late = joined(hub, "late", 3)
    for seq in (2, 3, 4):
        hub.message("c", message(seq))
    assert (one.seqs, late.seqs) == ([2, 3, 4], [4])


def test_the_first_join_holds_what_comes_before_its_replay_is_read() -> None:
    hub = Hub(Holes(), Holes())
    one = FakeConnection("one")
    hub.add(one)
    hub.begin_join(one, "c")
    hub.message("c", message(7))
    hub.message("c", message(8))
    assert hub.finish_join(one, "c", 7, 0) is Join.DONE
    assert one.seqs == [8]


def test_losing_membership_while_joining_ends_the_join() -> None:
    hub = Hub(Holes(), Holes())
    one = FakeConnection("one")
    hub.add(one)
    hub.begin_join(one, "c")
    hub.evict("c", ["one"])
    assert hub.finish_join(one, "c", 0, 0) is Join.GONE
    assert hub.rooms == {}


def test_nothing_remains_of_a_connection_that_has_gone() -> None:
    hub = Hub(Holes(), Holes())
    one = joined(hub, "one", 0)
    other = FakeConnection("other")
    hub.add(other)
    hub.begin_join(other, "d")
    hub.leave(other, "d")
    hub.remove(one)
    hub.remove(other)
    assert (hub.rooms, hub.connections, hub.users) == ({}, {}, {})


def test_a_slow_connection_loses_typing_first_and_then_itself() -> None:
    one = FakeConnection("one")
    one.socket.waiting = 501
    one.outbox.offer(b"typing")
    assert one.socket.frames == []
    one.outbox.write(b"message")
    one.end_turn()
    assert one.socket.frames == [b"message"]
    one.socket.waiting = 1001
    one.outbox.write(b"message")
    one.end_turn()
    assert one.socket.code == CloseCode.TOO_SLOW


def test_who_is_too_slow_in_the_middle_of_a_delivery_leaves_the_others_theirs() -> None:
    """Closing ends a connection at once, and so takes it out of the room that is being told."""
    hub = Hub(Holes(), Holes())
    slow, other = joined(hub, "slow", 0), joined(hub, "other", 0)
    slow.socket.waiting = 1001
    slow.socket.ended = lambda: hub.remove(slow)
    long = b"x" * 70_000
    hub.message("c", message(1)._replace(body=b'{"content":"%b","seq":1}' % long))
    assert (slow.socket.code, hub.rooms["c"].members) == (CloseCode.TOO_SLOW, {other: 0})
    hub.message("c", message(2))
    assert other.seqs == [1, 2]
    slow = joined(hub, "slow", 2)
    slow.socket.waiting = 1001
    slow.socket.ended = lambda: hub.remove(slow)
    third = joined(hub, "third", 2)
    for connection in (other, third):
        connection.end_turn()
        connection.socket.frames.clear()
    hub.change("c", Changed(1, 1, "edited", b'{"content":"%b"}' % long))
    assert slow.socket.code == CloseCode.TOO_SLOW
    for connection in (other, third):
        connection.end_turn()
        assert len(connection.socket.frames) == 1


async def test_who_takes_nothing_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TAKEN_TIMEOUT", 0.01)
    stopped = FakeConnection("stopped")

    async def never() -> None:
        await asyncio.Event().wait()

    stopped.socket.taken = never  # type: ignore[method-assign]
    await stopped.outbox.taken()
    assert stopped.socket.code == CloseCode.TOO_SLOW


def test_the_frames_of_a_turn_leave_in_one_write() -> None:
    hub = Hub(Holes(), Holes())
    one = joined(hub, "one", 0)
    for seq in range(1, 9):
        hub.message("c", message(seq))
    assert one.seqs == [1, 2, 3, 4, 5, 6, 7, 8]
    assert one.socket.writes == 1


def test_what_was_said_before_a_close_is_written_first() -> None:
    one = FakeConnection("one")
    one.outbox.write(b"why")
    one.outbox.close(CloseCode.AUTHENTICATION_FAILED)
    assert (one.socket.frames, one.socket.code) == ([b"why"], CloseCode.AUTHENTICATION_FAILED)


def test_more_than_can_be_collected_is_written_at_once() -> None:
    """However much comes in one turn, the bound on what waits is looked at in time."""
    one = FakeConnection("one")
    one.outbox.write(b"x" * 70_000)
    assert one.socket.writes == 1


def test_two_first_joins_that_read_different_heads_both_get_everything() -> None:
    """What the one has read and the fan-out then brings is dropped, being old; the other must read on."""
    hub = Hub(Holes(), Holes())
    slow, quick = FakeConnection("slow"), FakeConnection("quick")
    for connection in (slow, quick):
        hub.add(connection)
        hub.begin_join(connection, "c")
    assert hub.finish_join(quick, "c", 7, 0) is Join.DONE
    hub.message("c", message(6))
    hub.message("c", message(7))
    hub.message("c", message(8))
    assert hub.finish_join(slow, "c", 5, 0) is Join.BEHIND
    assert hub.finish_join(slow, "c", 7, 0) is Join.DONE
    assert slow.seqs == [8]


def test_a_join_that_takes_long_in_a_busy_room_reads_on() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 0)
    late = FakeConnection("late")
    hub.add(late)
    hub.begin_join(late, "c")
    for seq in range(1, HELD + 2):
        hub.message("c", message(seq))
    assert hub.finish_join(late, "c", 0, 0) is Join.BEHIND
    assert hub.finish_join(late, "c", HELD, 0) is Join.DONE
    assert late.seqs == [HELD + 1]


def test_a_join_during_which_a_hole_is_given_up_reads_on() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 0)
    late = FakeConnection("late")
    hub.add(late)
    hub.begin_join(late, "c")
    hub.message("c", message(1))
    hub.behind("c", 2)
    hub.give_up("c", 2)
    assert hub.finish_join(late, "c", 0, 0) is Join.BEHIND
    assert hub.finish_join(late, "c", 2, 0) is Join.DONE
    hub.message("c", message(3))
    assert late.seqs == [3]


def test_what_a_join_has_read_and_what_came_after_is_remembered_for_the_next() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 3)
    hub.remember("c", 1, [message(2), message(3)], 0)
    hub.message("c", message(4))
    assert hub.recent("c", 1, 4) == ([message(2), message(3), message(4)], 0)
    assert hub.recent("c", 0, 4) is None
    assert hub.recent("c", 1, 5) is None, "5 is stored, and did not come yet"


def test_nothing_is_remembered_that_would_leave_a_hole() -> None:
    holes = Holes()
    hub = Hub(holes, Holes())
    joined(hub, "one", 3)
    hub.remember("c", 1, [message(2)], 0)
    assert hub.recent("c", 1, 2) is None, "3 was delivered before, and will not come again"
    hub.remember("c", 1, [message(2), message(3), message(4)], 0)
    assert hub.recent("c", 1, 4) is None, "4 will come again"
    hub.remember("c", 2, [message(3)], 0)
    hub.message("c", message(9))
    hub.give_up("c", 8)
    assert hub.recent("c", 2, 9) is None
    assert hub.recent("c", 8, 9) is None


def test_nothing_is_remembered_of_a_room_without_a_member_and_all_is_forgotten_with_the_last() -> None:
    hub = Hub(Holes(), Holes())
    hub.remember("c", 0, [message(1)], 0)
    first = FakeConnection("first")
    hub.add(first)
    hub.begin_join(first, "c")
    hub.remember("c", 0, [message(1)], 0)
    assert hub.finish_join(first, "c", 1, 0) is Join.DONE
    assert hub.recent("c", 0, 1) is None
    hub.remember("c", 0, [message(1)], 0)
    assert hub.recent("c", 0, 1) == ([message(1)], 0)
    hub.leave(first, "c")
    joined(hub, "second", 1)
    assert hub.recent("c", 0, 1) is None


# ------------------------------------------------------------------------------------------------ changes


def test_changes_arrive_in_order_once_after_their_messages() -> None:
    holes = Holes()
    hub = Hub(holes, Holes())
    one = joined(hub, "one", 1)
    for number in (1, 1, 2):
        hub.change("c", changed(number))
    hub.change("c", changed(3, seq=2))
    assert (one.story, holes) == ([("changed", 1, None), ("changed", 2, None)], [("c", 1, 3)])
    hub.fill("c", [message(2)])
    assert one.story[2:] == [("new", 2), ("changed", 3, None)]


def test_a_hole_among_changes_is_healed_before_what_follows() -> None:
    holes = Holes()
    hub = Hub(Holes(), holes)
    one = joined(hub, "one", 5)
    hub.change("c", changed(4))
    hub.change("c", changed(5))
    assert (one.story, holes) == ([], [("c", 0, 4)])
    hub.fill_changes("c", [changed(2, seq=3)], 3)
    assert one.story == [("changed", 2, None), ("changed", 4, None), ("changed", 5, None)]
    hub.behind_changes("c", 5)
    hub.behind_changes("c", 7)
    assert holes == [("c", 0, 4), ("c", 5, 8)]


def test_whoever_asked_is_answered_once_in_the_order_of_the_room() -> None:
    hub = Hub(Holes(), Holes())
    one, other = joined(hub, "one", 1), joined(hub, "other", 1)
    away = FakeConnection("away")
    hub.add(away)
    hub.change("c", changed(2, r2=one, r3=away))
    assert (one.story, away.story) == ([], []), "1 comes first"
    hub.change("c", changed(1))
    assert one.story == [("changed", 1, None), ("changed", 2, "r2")]
    assert other.story == [("changed", 1, None), ("changed", 2, None)]
    assert away.story == [("changed", 2, "r3")]


def test_whoever_asks_for_what_was_told_already_is_answered() -> None:
    hub = Hub(Holes(), Holes())
    one, other = joined(hub, "one", 1, change=3), joined(hub, "other", 1, change=3)
    hub.change("c", changed(3, r=one))
    hub.change("nowhere", changed(1, r2=one))
    assert (one.story, other.story) == ([("changed", 3, "r"), ("changed", 1, "r2")], [])


def test_nobody_waits_for_an_answer_in_a_room_that_ends_or_gives_up() -> None:
    hub = Hub(Holes(), Holes())
    one, other = joined(hub, "one", 1), joined(hub, "other", 1)
    hub.change("c", changed(5, r=other))
    hub.leave(one, "c")
    hub.leave(other, "c")
    assert other.story == [("changed", 5, "r")]
    third = joined(hub, "third", 1)
    hub.change("c", changed(5, r=other))
    hub.give_up_changes("c", 6)
    hub.change("c", changed(7))
    assert other.story == [("changed", 5, "r")] * 2
    assert third.story == [("resync", 6), ("changed", 7, None)]


def test_changes_that_arrive_while_joining_follow_the_replay() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 1)
    late = FakeConnection("late")
    hub.add(late)
    hub.begin_join(late, "c")
    hub.change("c", changed(1))
    hub.change("c", changed(2))
    hub.message("c", message(2))
    hub.change("c", changed(3, seq=2))
    assert hub.finish_join(late, "c", 1, 1) is Join.DONE
    hub.change("c", changed(4))
    assert late.story == [("changed", 2, None), ("new", 2), ("changed", 3, None), ("changed", 4, None)]


def test_a_replay_with_changes_that_did_not_come_yet_repeats_none() -> None:
    hub = Hub(Holes(), Holes())
    one = joined(hub, "one", 1)
    late = joined(hub, "late", 1, change=2)
    for number in (1, 2, 3):
        hub.change("c", changed(number))
    assert [number for _, number, *_ in one.story] == [1, 2, 3]
    assert [number for _, number, *_ in late.story] == [3]


def test_two_first_joins_that_read_different_changes_both_get_everything() -> None:
    hub = Hub(Holes(), Holes())
    slow, quick = FakeConnection("slow"), FakeConnection("quick")
    for connection in (slow, quick):
        hub.add(connection)
        hub.begin_join(connection, "c")
    hub.change("c", changed(4))
    hub.change("c", changed(6))
    assert hub.finish_join(quick, "c", 1, 5) is Join.DONE
    assert hub.finish_join(slow, "c", 1, 3) is Join.BEHIND
    assert hub.finish_join(slow, "c", 1, 5) is Join.DONE
    assert (quick.story, slow.story) == ([("changed", 6, None)], [("changed", 6, None)])


def test_a_join_that_takes_long_while_much_changes_reads_on() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 1)
    late = FakeConnection("late")
    hub.add(late)
    hub.begin_join(late, "c")
    for number in range(1, HELD + 2):
        hub.change("c", changed(number))
    assert hub.finish_join(late, "c", 1, 0) is Join.BEHIND
    assert hub.finish_join(late, "c", 1, HELD + 1) is Join.DONE
    assert late.story == []


def test_what_is_remembered_for_the_next_has_the_changes_that_were_delivered() -> None:
    hub = Hub(Holes(), Holes())
    joined(hub, "one", 2, change=1)
    hub.remember("c", 0, [message(1), message(2)], 1)
    hub.change("c", changed(2, seq=2))
    assert hub.recent("c", 0, 2) == ([message(1), message(2)._replace(body=changed(2, seq=2).body)], 2)
    hub.remember("c", 0, [message(1), message(2)], 1)
    assert hub.recent("c", 1, 2) == ([message(2)._replace(body=changed(2, seq=2).body)], 2), "those are older"

"""The order of changes: whatever comes twice, late, or not at all, each is taken once, rising, after its message."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.changes import Changed, Changes


def changed(number: int, seq: int = 1, asked: dict[str, list[str | None]] | None = None) -> Changed:
    return Changed(number, seq, "edited", b"{}", asked or {})


def numbers(taken: list[Changed]) -> list[int]:
    return [change.number for change in taken]


def begun(last: int = 0) -> Changes:
    changes = Changes()
    changes.begin(last)
    return changes


def test_a_hole_holds_back_until_it_is_read() -> None:
    changes = begun()
    for number in (1, 4, 5):
        assert changes.add(changed(number))
    assert numbers(changes.take(9)) == [1]
    assert changes.hole == (1, 4)
    changes.fill([changed(3)], 3)  # 2 was superseded
    assert numbers(changes.take(9)) == [3, 4, 5]
    assert changes.last == 5
    assert changes.hole is None


def test_a_hole_that_was_superseded_altogether_is_passed_over() -> None:
    changes = begun()
    changes.fill([], 3)
    assert numbers(changes.take(9)) == []
    assert changes.last == 3
    assert not changes.add(changed(2))
    assert changes.add(changed(4))
    assert numbers(changes.take(9)) == [4]


def test_a_change_waits_for_its_message() -> None:
    changes = begun()
    changes.add(changed(1, seq=8))
    changes.add(changed(2, seq=7))
    assert numbers(changes.take(7)) == []
    assert changes.awaits == 8
    assert numbers(changes.take(8)) == [1, 2]
    assert changes.awaits is None


def test_what_was_read_does_not_pass_what_waits() -> None:
    changes = begun()
    changes.fill([changed(2, seq=8)], 5)
    assert (numbers(changes.take(7)), changes.last, changes.awaits) == ([], 0, 8)
    assert (numbers(changes.take(8)), changes.last) == ([2], 5)


def test_nothing_is_taken_before_the_first_join_and_old_ones_are_dropped_with_it() -> None:
    changes = Changes()
    for number in (3, 4, 5):
        changes.add(changed(number))
    assert (changes.take(9), changes.hole, changes.awaits) == ([], None, None)
    assert numbers(changes.drop(4)) == [3, 4]
    changes.begin(4)
    assert numbers(changes.take(9)) == [5]


def test_whoever_asks_twice_for_what_is_held_is_answered_twice() -> None:
    changes = begun()
    changes.add(changed(2, asked={"a": ["r1"]}))
    changes.add(changed(2, asked={"a": ["r2"], "b": [None]}))
    changes.add(changed(1))
    assert [change.asked for change in changes.take(9)] == [{}, {"a": ["r1", "r2"], "b": [None]}]


def test_a_bound_drops_nothing_that_was_read() -> None:
    changes = begun()
    changes.fill([changed(1, seq=8), changed(2)], 2)
    for number in (9, 5, 7):
        changes.add(changed(number))
    assert changes.bound(5) == []
    assert numbers(changes.bound(4)) == [5, 7]
    assert (numbers(changes.take(8)), changes.hole) == ([1, 2], (2, 9))


def test_whoever_asks_for_what_is_held_already_is_remembered() -> None:
    changes = begun()
    changes.add(changed(2, asked={"a": ["r1"]}))
    changes.add(changed(2, asked={"b": ["r2"]}))
    changes.fill([changed(1)], 1)
    assert changes.take(9)[1].asked == {"a": ["r1"], "b": ["r2"]}


@given(st.data())
def test_any_order_of_arrival(data: st.DataObject) -> None:
    """Some of the changes are told, in any order and number; the rest is read where a hole shows, as it is by then."""
    total = data.draw(st.integers(1, 12))
    seqs = data.draw(st.lists(st.integers(1, 5), min_size=total, max_size=total))
    newest_of = {seq: number for number, seq in enumerate(seqs, 1)}  # what the database has in the end
    arrivals = data.draw(st.lists(st.one_of(st.integers(1, total), st.none()), max_size=40))
    changes, delivered, newest = begun(), [], 0
    for number in [*arrivals, None, None, None, None, None, total]:
        if number is None:
            newest += 1  # a message is delivered
        else:
            changes.add(changed(number, seqs[number - 1]))
        while True:
            delivered += [(c.number, c.seq) for c in changes.take(newest)]
            if (hole := changes.hole) is None:
                break
            found = sorted((n, seq) for seq, n in newest_of.items() if hole[0] < n < hole[1])
            changes.fill([changed(n, seq) for n, seq in found], hole[1] - 1)
    delivered += [(c.number, c.seq) for c in changes.take(5)]
    assert [number for number, _ in delivered] == sorted({number for number, _ in delivered})
    assert all(seqs[number - 1] == seq for number, seq in delivered)
    assert {seq: number for number, seq in delivered} == newest_of, "the newest state of every message was told"

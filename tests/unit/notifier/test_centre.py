"""Which numbers an entry of the notification centre counts."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.centre import MARKS, is_marked, mark


@given(st.lists(st.integers(1, 200), min_size=1))
def test_marks_know_the_newest_numbers_and_take_older_ones_for_counted(seqs: list[int]) -> None:
    newest, marks = mark(seqs[0], 1, seqs)
    assert newest == max(seqs)
    assert 0 < marks < 1 << 63, "an integer of MongoDB"
    for seq in range(1, 210):
        assert is_marked(newest, marks, seq) == (seq in seqs or seq <= newest - MARKS)

"""Who should handle which partition."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.persister.peers import shares

names = st.text("0123456789abcdef", min_size=4, max_size=8)


@given(partitions=st.integers(1, 64), persisters=st.sets(names, min_size=1, max_size=12))
def test_nobody_has_more_than_an_even_share_and_all_agree(partitions: int, persisters: set[str]) -> None:
    chosen = shares(partitions, sorted(persisters))
    assert len(chosen) == partitions
    assert set(chosen) <= persisters
    assert max(Counter(chosen).values()) <= -(-partitions // len(persisters))
    assert shares(partitions, sorted(persisters, reverse=True)) == chosen


def test_one_that_comes_moves_little_more_than_its_own_share() -> None:
    moved = []
    for number in range(200):
        persisters = [f"{number}-{n}" for n in range(4)]
        before, after = shares(64, persisters[:3]), shares(64, persisters)
        moved.append(sum(a != b for a, b in zip(before, after, strict=True)))
    assert 16 <= sum(moved) / len(moved) < 24

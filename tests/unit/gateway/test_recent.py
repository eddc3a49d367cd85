"""What is remembered of a room is in a row, bounded, and never said to be more than it is."""

import pytest

from services.gateway import recent
from services.gateway.recent import Numbered, Recent


def message(seq: int, size: int = 10) -> Numbered:
    return Numbered(seq, b"x" * size)


def seqs(messages: list[Numbered] | None) -> list[int] | None:
    return None if messages is None else [message.seq for message in messages]


@pytest.mark.parametrize(
    ("above", "until", "found"),
    [
        (3, 6, [4, 5, 6]),
        (4, 5, [5]),
        (6, 6, []),
        (2, 6, None),  # 3 is not known
        (3, 7, None),  # 7 is stored, and did not come yet
        (7, 7, None),
    ],
)
def test_it_has_all_of_what_it_is_asked_for_or_nothing(above: int, until: int, found: list[int] | None) -> None:
    assert seqs(Recent(3, [message(4), message(5), message(6)]).between(above, until)) == found


def test_the_oldest_are_forgotten_past_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 3)
    room = Recent(0, [message(seq) for seq in range(1, 6)])
    assert (seqs(room.between(2, 5)), room.between(1, 5)) == ([3, 4, 5], None)


def test_the_oldest_are_forgotten_past_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_BYTES", 100)
    room = Recent(0, [message(1, 40), message(2, 40), message(3, 40)])
    assert (seqs(room.between(1, 3)), room.between(0, 3)) == ([2, 3], None)
    room.add(message(4, 101))
    assert (room.between(3, 4), seqs(room.between(4, 4))) == (None, []), "larger than everything: known by number only"
    room.add(message(5, 40))
    assert seqs(room.between(4, 5)) == [5]

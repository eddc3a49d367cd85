"""The line above what is unread."""

from services.cli.reading import Reading


def test_the_line_goes_above_the_first_unread_message() -> None:
    reading = Reading(3)
    assert [reading.begins_unread(seq, seen=False) for seq in (2, 3, 4, 5)] == [False, False, True, False]


def test_what_comes_while_somebody_looks_has_no_line() -> None:
    reading = Reading(3)
    assert not reading.begins_unread(4, seen=True)
    reading.read(4)
    assert reading.begins_unread(5, seen=False)


def test_a_new_line_comes_once_everything_was_read() -> None:
    reading = Reading(3)
    assert reading.begins_unread(4, seen=False)
    reading.read(2)
    assert not reading.begins_unread(5, seen=False)
    reading.read(5)
    assert (reading.mark, reading.begins_unread(6, seen=False)) == (5, True)

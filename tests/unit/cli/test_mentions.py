"""Whom a text mentions."""

import pytest

from services.cli.mentions import Mentions, mentions_in

NAMES = {
    "a": "Alice Martin",
    "b": "Bob",
    "b2": "Bob Green",
    "c": "Chloé",
    "d": "Dan One",
    "d2": "Dan Two",
    "e": "Eve",
    "e2": "eve",
}


@pytest.mark.parametrize(
    ("text", "user_ids"),
    [
        ("@Alice Martin, come", "a"),
        ("(@alice) come", "a"),
        ("@alice.", "a"),
        ("@Bob and @Bob Green", "b b2"),
        ("@bob green", "b2"),
        ("@bob greenhouse", "b"),
        ("@CHLOÉ!", "c"),
        ("@Eve", "e e2"),
        ("@b2", "b2"),
        ("@bob @bob @alice", "b a"),
        ("bob@alice.example @ alice", ""),
    ],
)
def test_names(text: str, user_ids: str) -> None:
    assert mentions_in(text, NAMES) == Mentions(tuple(user_ids.split()))


def test_everybody() -> None:
    assert mentions_in("@All, and @bob", NAMES) == Mentions(("b",), everybody=True)
    assert not mentions_in("@allow @all_of_us", NAMES).everybody
    assert mentions_in("@all", {"x": "All"}) == Mentions(("x",))


def test_a_first_name_of_several_means_nobody() -> None:
    assert mentions_in("@dan or @Dan Two", NAMES) == Mentions(("d2",), unclear=("dan",))


def test_who_is_not_here_is_unknown() -> None:
    assert mentions_in("@alicia and @bob", NAMES) == Mentions(("b",), unknown=("alicia",))


def test_no_more_than_a_message_may_name() -> None:
    many = {str(number): f"P{number}" for number in range(60)}
    assert len(mentions_in(" ".join(f"@P{number}" for number in range(60)), many).user_ids) == 50

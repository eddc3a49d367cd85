"""Reactions: each person's emoji is there once or not at all, in the order of reacting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ErrorCode, Refusal
from contracts.limits import REACTION_KINDS
from services.persister import reactions
from services.persister.reactions import Reactions

CLICKS = st.lists(st.tuples(st.sampled_from("👍🎉😀"), st.sampled_from("abcd"), st.booleans()), max_size=40)


@given(CLICKS)
def test_any_clicks(clicks: list[tuple[str, str, bool]]) -> None:
    state: Reactions = {}
    since: dict[tuple[str, str], None] = {}  # whose reaction is there, in the order since when
    for emoji, user, present in clicks:
        state = (reactions.put if present else reactions.take_back)(state, emoji, user)
        if present:
            since.setdefault((emoji, user))
        else:
            since.pop((emoji, user), None)
    assert {(emoji, user) for emoji, users in state.items() for user in users} == set(since)
    for emoji, users in state.items():
        assert users == [user for kind, user in since if kind == emoji]


def test_nothing_is_changed_in_place() -> None:
    before: Reactions = {"👍": ["a"]}
    assert reactions.take_back(reactions.put(before, "👍", "b"), "👍", "a") == {"👍": ["b"]}
    assert before == {"👍": ["a"]}


def test_no_more_kinds_than_allowed() -> None:
    state: Reactions = {}
    for number in range(REACTION_KINDS):
        state = reactions.put(state, chr(0x1F600 + number), "a")
    with pytest.raises(Refusal) as refused:
        reactions.put(state, "🎉", "a")
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert len(reactions.put(state, chr(0x1F600), "b")) == REACTION_KINDS

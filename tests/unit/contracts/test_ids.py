"""Ids and routing keys fit into AMQP's short strings, whatever people are called."""

from hashlib import sha256
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import events, limits
from contracts.ids import SHORT_STRING, change_event_id, direct_conversation_id, message_event_id, read_event_id
from tests.support.builders import new_id

LONGEST = "𐀀" * limits.ID_LENGTH  # four bytes each
MOST = 2**53 - 1
users = st.text(min_size=1, max_size=limits.ID_LENGTH) | st.just(LONGEST)


@given(user=users, other=users)
def test_whatever_is_told_of_a_conversation_fits(user: str, other: str) -> None:
    for conversation in (new_id(), direct_conversation_id(user, other)):
        told = [
            message_event_id(conversation, MOST),
            change_event_id(conversation, MOST),
            read_event_id(conversation, user, MOST),
            *(events.routing_key(event.model_fields["type"].default, conversation) for event in get_args(events.Event)),
        ]
        assert max(len(text.encode()) for text in told) <= SHORT_STRING


@given(user=users, other=users)
def test_two_people_never_share_an_id(user: str, other: str) -> None:
    conversation = new_id()
    same = read_event_id(conversation, user, 7) == read_event_id(conversation, other, 7)
    assert same == (user == other)


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("bob", "bob"),
        ("é" * limits.ID_LENGTH, "é" * limits.ID_LENGTH),
        (LONGEST, f"sha256:{sha256(LONGEST.encode()).hexdigest()}"),
    ],
    ids=["short", "long", "too-long"],
)
def test_who_has_read_is_named_where_there_is_room(user: str, shown: str) -> None:
    assert read_event_id("c" * 32, user, 7) == f"{'c' * 32}:{shown}:7"

"""Who is known in a conversation, and what is said of its changes."""

from typing import Any

import pytest

from services.cli.changes import sentence
from services.cli.people import People

ALICE = {"userId": "a", "userName": "Alice", "role": "admin"}
BOB = {"userId": "b", "userName": "Bob", "role": "member"}
CAROL = {"userId": "c", "userName": "Carol", "role": "member"}


def people() -> People:
    return People({"id": "x", "members": [ALICE, BOB]})


def test_changes_are_followed() -> None:
    known = people()
    known.told({"updateType": "member_added", "userIds": ["c"], "members": [CAROL]})
    assert known.names() == {"a": "Alice", "b": "Bob", "c": "Carol"}
    known.told({"updateType": "member_removed", "userIds": ["b"]})
    assert known.names() == {"a": "Alice", "c": "Carol"}
    assert (known.name("b"), known.name("z"), known.name(None)) == ("Bob", "Somebody", "Somebody")
    known.told({"updateType": "member_added", "userIds": ["b"], "members": [BOB]})
    assert "b" in known.names()


def test_those_who_speak_are_known() -> None:
    known = people()
    known.spoke({"senderId": "z", "senderName": "Zoe"})
    assert known.names() == {"a": "Alice", "b": "Bob", "z": "Zoe"}


@pytest.mark.parametrize(
    ("change", "actor", "facts", "said"),
    [
        ("created", "a", {"name": "x"}, "Alice started the conversation"),
        ("member_added", "a", {"userIds": ["b"]}, "Alice added Bob"),
        ("member_added", "b", {"userIds": ["b"]}, "Bob joined"),
        ("member_added", None, {"userIds": ["b"]}, "Somebody added Bob"),
        ("member_removed", "a", {"userIds": ["b"]}, "Alice removed Bob"),
        ("member_removed", "b", {"userIds": ["b"]}, "Bob left"),
        ("name_changed", "a", {"name": "y"}, "Alice named it y"),
        ("role_changed", "a", {"userIds": ["b"], "roles": {"b": "admin"}}, "Alice made Bob admin"),
        ("role_changed", "a", {"userIds": ["b"], "members": [BOB]}, "Alice took the admin role from Bob"),
        ("visibility_changed", "a", {"public": True}, "Alice made it public"),
        ("closed", "a", {}, "Alice closed it: it can be read, not changed"),
        ("reopened", "a", {}, "Alice opened it again"),
        ("pinned", "a", {"messageId": "m"}, "Alice pinned a message"),
        ("settings_changed", None, {"muted": True}, None),
        ("something_new", "a", {}, None),
    ],
)
def test_words(change: str, actor: str | None, facts: dict[str, Any], said: str | None) -> None:
    assert sentence(change, actor, facts, people().name) == said


def test_of_many_the_first_are_named() -> None:
    facts = {"userIds": ["a", "b", "c", "d", "e"]}
    assert sentence("member_added", "a", facts, people().name) == "Alice added Alice, Bob, Somebody and 2 more"

"""Who is told of whom: by name, or by the small conversations that were joined."""

from typing import cast

import pytest

from services.gateway.hub import Connection, Hub, Room
from services.gateway.watching import Watching


class Viewer:
    """A connection as far as watching goes."""

    outbox = None

    def __init__(self, user_id: str) -> None:
        self.id = self.user_id = user_id
        self.joined: set[str] = set()


@pytest.fixture
def hub() -> Hub:
    return Hub(lambda *_: None, lambda *_: None)


@pytest.fixture
def watching(hub: Hub) -> Watching:
    return Watching(hub)


def viewer(hub: Hub, user: str, *conversations: str) -> Connection:
    one = cast(Connection, Viewer(user))
    hub.add(one)
    for conversation in conversations:
        hub.rooms.setdefault(conversation, Room(last=0)).members[one] = 0
    return one


def test_by_the_conversations_that_were_joined(hub: Hub, watching: Watching) -> None:
    alice, bob = viewer(hub, "alice", "c1"), viewer(hub, "bob", "c1", "c2")
    assert set(watching.joined(alice, "c1")) == set()
    assert watching.wanted == {"c1": {alice}}
    watching.know({"c1": ["alice", "bob"], "c2": ["bob", "carol"], "c3": ["alice", "dora"]})
    assert set(watching.joined(bob, "c1")) == {"alice", "bob"}
    assert watching.of("alice") == {bob}, "oneself knows"
    assert watching.of("carol") == {bob}
    assert watching.of("dora") == set(), "nobody here has joined c3"


def test_names_replace_what_was_watched_before(hub: Hub, watching: Watching) -> None:
    alice = viewer(hub, "alice", "c1")
    watching.know({"c1": ["alice", "bob"]})
    watching.watch(alice, ["carol"])
    assert (watching.of("bob"), watching.of("carol")) == (set(), {alice})
    watching.watch(alice, ["dora"])
    assert (watching.of("carol"), watching.of("dora")) == (set(), {alice})
    watching.watch(alice, [])
    assert watching.of("dora") == watching.of("bob") == set(), "nobody is asked for, and nobody is told"
    watching.forget(alice)
    assert watching.of("bob") == {alice}


def test_large_conversations_do_not_count(hub: Hub, watching: Watching) -> None:
    alice = viewer(hub, "alice", "c1")
    watching.know({"c1": ["alice", *(f"p{n}" for n in range(100))]})
    assert watching.of("p1") == set()
    assert set(watching.joined(alice, "c1")) == set()
    assert watching.wanted == {}, "it is known to be large"


def test_changes_of_members_are_followed(hub: Hub, watching: Watching) -> None:
    alice = viewer(hub, "alice", "c1")
    watching.know({"c1": ["alice", "bob"]})
    assert set(watching.changed("c1", ["alice", "bob", "carol"], [])) == {"carol"}
    assert watching.of("carol") == {alice}
    assert set(watching.changed("c1", ["alice", "bob", "carol"], ["bob"])) == set()
    assert watching.of("bob") == set()
    watching.removed("c1", ["carol"])
    assert watching.of("carol") == set()
    del hub.rooms["c1"]
    watching.tidy()
    assert (watching._rosters, watching._rooms) == ({}, {})


def test_whoever_is_removed_makes_names_doubtful_both_ways(hub: Hub, watching: Watching) -> None:
    alice, bob, carol = (viewer(hub, name) for name in ("alice", "bob", "carol"))
    for one, named in ((alice, "bob"), (bob, "alice"), (carol, "alice")):
        watching.watch(one, [named])
    watching.removed("c1", ["bob"])
    assert watching.doubtful == {alice, bob}
    watching.forget(alice)
    assert watching.doubtful == {bob}

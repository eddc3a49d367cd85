"""Leases merge what gateways say, end by themselves, and tell every change once."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.presence import Here
from services.leases import Leases, merged

LIFETIME = 75.0
USERS = st.sampled_from(["alice", "bob", "carol"])
GATEWAYS = st.sampled_from(["g1", "g2", "g3"])
STATUSES = st.sampled_from(["online", "away", "busy"])


class AgainstModel(RuleBasedStateMachine):
    """The same said to a plain table of (gateway, user) -> (status, renewed), looked through every time."""

    @initialize()
    def begin(self) -> None:
        self.leases = Leases(LIFETIME)
        self.model: dict[tuple[str, str], tuple[Here, float]] = {}
        self.ends: dict[str, float] = {}
        self.held = 0.0
        self.now = 0.0
        self.shown: dict[str, str] = {}

    @rule(gateway=GATEWAYS, here=st.dictionaries(USERS, STATUSES), gone=st.sets(USERS))
    def say(self, gateway: str, here: dict[str, Any], gone: set[str]) -> None:
        gone -= here.keys()
        self.leases.say(gateway, here, gone, self.now)
        for user, status in here.items():
            self.model[gateway, user] = (status, self.now)
        for user in gone:
            self.model.pop((gateway, user), None)
        self.forget_empty()

    @rule(gateway=GATEWAYS, grace=st.floats(0, 20))
    def leave(self, gateway: str, grace: float) -> None:
        self.leases.leave(gateway, self.now + grace)
        if any(place == gateway for place, _ in self.model):
            self.ends[gateway] = self.now + grace

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reconnect(self) -> None:
        self.leases.hold(self.now + LIFETIME)
        self.held = self.now + LIFETIME

    @rule()
    def expire(self) -> None:
        ended = self.leases.expire(self.now)
        if self.now < self.held:
            assert not ended
            return
        over = {
            (gateway, user)
            for (gateway, user), (_, renewed) in self.model.items()
            if renewed + LIFETIME <= self.now or self.ends.get(gateway, self.now + 1) <= self.now
        }
        last = {user: max(self.model[pair][1] for pair in over if pair[1] == user) for _, user in over}
        for pair in over:
            del self.model[pair]
        self.forget_empty()
        nowhere = {user for user in last if not any(u == user for _, u in self.model)}
        assert ended.keys() == nowhere
        assert all(ended[user] <= last[user] for user in nowhere)

    @rule()
    def show(self) -> None:
        """Whoever is told of what has changed, and of nothing else, knows everything."""
        while self.leases.changed:
            user = next(iter(self.leases.changed))
            before = self.leases.changed.pop(user)
            assert before == self.shown.get(user, "offline")
            self.shown[user] = self.leases.status(user)
        for user in ("alice", "bob", "carol"):
            assert self.shown.get(user, "offline") == self.leases.status(user)

    @invariant()
    def is_what_was_said(self) -> None:
        for user in ("alice", "bob", "carol"):
            said = [status for (_, u), (status, _) in self.model.items() if u == user]
            assert self.leases.status(user) == merged(said)
        assert self.leases.gateways == {gateway for gateway, _ in self.model}

    def forget_empty(self) -> None:
        self.ends = {g: at for g, at in self.ends.items() if any(place == g for place, _ in self.model)}


AgainstModel.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=timedelta(seconds=5))
TestAgainstModel = AgainstModel.TestCase


@given(st.lists(STATUSES))
def test_the_liveliest_device_counts(statuses: list[Any]) -> None:
    expected = next((s for s in ("busy", "online", "away") if s in statuses), "offline")
    assert merged(statuses) == expected


def test_whoever_came_to_another_gateway_in_time_is_never_offline() -> None:
    leases = Leases(LIFETIME)
    leases.say("g1", {"alice": "online"}, (), 0.0)
    leases.changed.clear()
    leases.say("g2", {"alice": "online"}, (), LIFETIME - 1)
    assert leases.expire(LIFETIME) == {}
    assert leases.changed.pop("alice", "online") == leases.status("alice") == "online"


def test_nobody_ends_while_nobody_could_be_heard() -> None:
    leases = Leases(LIFETIME)
    leases.say("g1", {"alice": "busy"}, (), 0.0)
    leases.hold(1000.0 + LIFETIME)
    assert leases.expire(1000.0) == {}
    assert leases.expire(1000.0 + LIFETIME) == {"alice": 0.0}

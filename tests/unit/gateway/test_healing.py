"""A hole whose healing failed for whatever reason is healed with the next event."""

from typing import Any, cast

import pytest

from services.amqp import Broker
from services.gateway.directory import Directory
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.hub import Join
from services.gateway.ingress import Ingress
from services.gateway.outbox import Turn
from services.gateway.settings import Settings
from tests.support.eventually import eventually
from tests.unit.gateway.test_cost import FakeBroker, Member


class BrokenHistory:
    """Fails for a reason of its own."""

    def __init__(self) -> None:
        self.reads = 0

    async def missed(self, *_: Any) -> Any:
        self.reads += 1
        raise ValueError("made up")

    changed = missed


@pytest.mark.parametrize("what", ["behind", "behind_changes"])
async def test_a_hole_is_healed_again_after_any_failure(what: str) -> None:
    settings, broker, history = Settings(auth_dev=True), cast(Broker, FakeBroker()), BrokenHistory()
    ingress = Ingress(settings, broker, "g")
    egress = Egress(settings, broker, cast(History, history), cast(Directory, None), ingress)
    member = Member("m", Turn(lambda _: None))
    egress.hub.add(member)
    egress.hub.begin_join(member, "c")
    assert egress.hub.finish_join(member, "c", 0, 0) is Join.DONE
    for number in (1, 2):
        getattr(egress.hub, what)("c", 3)
        await eventually(lambda: not egress._healing)
        assert history.reads == number

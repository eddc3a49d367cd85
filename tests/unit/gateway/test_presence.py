"""Whoever has gone before an answer came is told nothing, and nobody else notices."""

from typing import Any, cast

import pytest

from contracts import fanout, frames
from contracts.conversation import Profile
from services.amqp import Broker
from services.gateway.directory import Directory
from services.gateway.ingress import Ingress
from services.gateway.presence import Presence
from services.gateway.settings import Settings
from tests.unit.gateway.test_cost import FakeBroker, room_of

ALICE = Profile(user_id="m0", user_name="Alice", avatar=None)


async def test_an_answer_may_come_after_its_person_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, (alice,), _ = room_of(1)
    settings, broker = Settings(auth_dev=True, presence_grace=0), cast(Broker, FakeBroker())
    ingress = Ingress(settings, broker, "g")
    presence = Presence(settings, broker, cast(Directory, None), ingress, hub)
    for name in ("_tell", "_publish", "_store_seen"):
        monkeypatch.setattr(presence, name, lambda *_: None)
    waiting: list[Any] = []
    monkeypatch.setattr(ingress, "submit", lambda command, answered: waiting.append((command, answered)))
    presence.arrived(alice)
    presence.set(cast(Any, alice), ALICE, frames.SetPresence(type="set_presence", status="busy"))
    hub.remove(alice)
    presence.left(alice)
    presence.tick()
    ((command, answered),) = waiting
    answered(fanout.Reply(command_id=command.id))
    assert "m0" not in presence._local

"""A replay goes as fast as the client takes it, and ends with the membership."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.errors import ErrorCode, Refusal
from services.gateway.hub import Hub
from services.gateway.joining import _replay
from tests.unit.gateway.test_hub import FakeConnection, Holes, message


async def test_a_slow_replay_ends_when_its_reader_is_removed() -> None:
    hub = Hub(Holes(), Holes())
    slow = FakeConnection("slow")
    hub.add(slow)
    hub.begin_join(slow, "c")
    slow.socket.waiting = 900  # of the 1,000 bytes that may wait

    async def taken() -> None:
        slow.socket.waiting = 0
        hub.evict("c", ["slow"])

    slow.socket.taken = taken  # type: ignore[method-assign]
    gateway = cast(Any, SimpleNamespace(hub=hub))
    with pytest.raises(Refusal) as refusal:
        await _replay(gateway, cast(Any, slow), "c", [message(1), message(2)])
    assert refusal.value.code is ErrorCode.NOT_A_MEMBER
    assert slow.seqs == []

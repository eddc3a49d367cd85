"""A replay goes as fast as the client takes it, and ends with the membership."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.errors import ErrorCode, Refusal
from contracts.frames import JoinConversation
from services.gateway.hub import Hub
from services.gateway.joining import _replay, join
from services.gateway.recent import Numbered
from services.mongo import Front
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


async def test_whoever_is_removed_while_the_history_is_read_is_told_nothing_more() -> None:
    hub = Hub(Holes(), Holes())
    joiner = FakeConnection("removed")
    hub.add(joiner)

    async def front_for(conversation_id: str, user_id: str) -> Front:
        return Front(2, 0)

    async def replay(conversation_id: str, above: int, until: int) -> list[Numbered]:
        hub.evict(conversation_id, ["removed"])  # who was told so
        return [message(1), message(2)]

    history, directory = SimpleNamespace(replay=replay), SimpleNamespace(front_for=front_for)
    gateway = cast(
        Any, SimpleNamespace(hub=hub, history=history, directory=directory, settings=SimpleNamespace(resume_limit=10))
    )
    with pytest.raises(Refusal) as refusal:
        await join(gateway, cast(Any, joiner), JoinConversation(type="join_conversation", conversation_id="c"))
    joiner.end_turn()
    assert (refusal.value.code, joiner.socket.frames) == (ErrorCode.NOT_A_MEMBER, [])

"""Commands on their way, where RabbitMQ takes some and not others."""

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any, cast

import pytest

from contracts import lines
from contracts.commands import SendMessage
from contracts.errors import ErrorCode, Refusal
from contracts.fanout import Reply
from contracts.ids import partition_of
from contracts.topology import Topology
from services.amqp import Broker, Outgoing, Unroutable
from services.gateway import ingress as gateway_ingress
from services.gateway.ingress import Ingress
from services.gateway.settings import Settings
from tests.support.builders import make_message
from tests.support.eventually import eventually


class BrokenBroker:
    """One partition has no queue. A message for any other is answered as soon as it is published."""

    def __init__(self, missing: int) -> None:
        self.topology = Topology()
        self.publisher = type("Link", (), {"up": asyncio.Event()})()
        self.publisher.up.set()
        self.missing: str | None = f".{missing:02d}"
        self.published: list[str] = []
        self.ingress: Ingress | None = None

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float = 0) -> None:
        for message in messages:
            if self.missing is not None and message.routing_key.endswith(self.missing):
                continue
            for line in lines.unpack(message.body):
                command = SendMessage.decode(line)
                self.published.append(command.id)
                assert self.ingress is not None
                self.ingress.answer(command.id, Reply(command_id=command.id))
        await asyncio.sleep(0)
        if self.missing is not None and any(message.routing_key.endswith(self.missing) for message in messages):
            raise Unroutable("made up")


async def test_a_partition_without_a_queue_costs_the_others_nothing() -> None:
    settings = Settings(auth_dev=True)
    sent = [make_message(f"c{number}") for number in range(40)]
    missing = partition_of("c0", settings.partitions)
    stuck = {c.id for c in sent if partition_of(c.conversation_id, settings.partitions) == missing}
    assert 0 < len(stuck) < len(sent)
    broker = BrokenBroker(missing)
    broker.ingress = ingress = Ingress(settings, cast(Broker, broker), "g")
    answers: dict[str, Any] = {}
    for command in sent:
        ingress.submit(command, lambda answer, key=command.id: answers.setdefault(key, answer))  # type: ignore[misc]
    work = asyncio.create_task(ingress.run())
    await eventually(lambda: len(answers) == len(sent) - len(stuck))
    assert not [a for a in answers.values() if isinstance(a, Refusal) and a.code is ErrorCode.INTERNAL]
    assert not stuck & set(answers)
    broker.missing = None  # somebody declares it
    await eventually(lambda: len(answers) == len(sent))
    assert all(isinstance(answer, Reply) for answer in answers.values())
    assert [c.id for c in sent if c.id in stuck] == [i for i in broker.published if i in stuck], "in their order"
    work.cancel()


@pytest.mark.parametrize("bound", [{"max_pending": 3}, {"max_pending_bytes": 3 * 8000}], ids=str)
async def test_what_waits_for_its_answer_is_bounded(bound: dict[str, int]) -> None:
    """In number and in bytes, or a few people could fill the memory while the broker or the persisters are away."""
    ingress = Ingress(
        Settings(auth_dev=True, send_timeout=0.01).model_copy(update=bound), cast(Broker, BrokenBroker(0)), "g"
    )
    answers: list[Any] = []
    sent = [make_message("c", "x" * 8000) for _ in range(3)]
    for command in sent:
        ingress.submit(command, answers.append)
    with pytest.raises(Refusal) as refused:
        ingress.submit(make_message("c"), answers.append)
    assert (refused.value.code, refused.value.code.retryable) == (ErrorCode.UNAVAILABLE, True)
    ingress.answer(sent[0].id, Reply(command_id=sent[0].id))
    ingress.submit(make_message("c", "x" * 8000), answers.append)
    with pytest.raises(Refusal):
        ingress.submit(make_message("c"), answers.append)
    giving_up = asyncio.create_task(ingress.give_up_late())
    await eventually(lambda: len(answers) == 4)
    giving_up.cancel()
    for _ in range(3):
        ingress.submit(make_message("c", "x" * 8000), answers.append)


class Watched(dict[str, Any]):
    """Knows that it was gone through."""

    looks = 0

    def items(self) -> Any:
        self.looks += 1
        return super().items()


class Asker:
    """Waits for an answer, as a connection does."""

    def answered(self, answer: Any) -> None:
        """It came."""


async def test_who_was_answered_is_kept_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a look for what is late fell into the time in which they waited."""
    monkeypatch.setattr(gateway_ingress, "TICK", 0)
    ingress = Ingress(Settings(auth_dev=True), cast(Broker, BrokenBroker(0)), "g")
    ingress._pending = pending = Watched()
    asker, command = Asker(), make_message("c")
    ingress.submit(command, asker.answered)
    seen = weakref.ref(asker)
    del asker
    giving_up = asyncio.create_task(ingress.give_up_late())
    await eventually(lambda: pending.looks > 0)
    ingress.answer(command.id, Reply(command_id=command.id))
    assert seen() is None
    giving_up.cancel()

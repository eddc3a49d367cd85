"""What is asked together is read together; nobody waits who is alone, and nobody for a read that is stuck."""

import asyncio
from collections.abc import Sequence

import pytest

from services.gateway import gathering
from services.gateway.gathering import Gathered
from tests.support.eventually import eventually


class Source:
    """Answers with the question's length, when it is let; remembers what it was asked."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.lengths = Gathered(self._read)

    async def _read(self, questions: Sequence[str]) -> dict[str, int]:
        self.reads.append(list(questions))
        await self.open.wait()
        return {question: len(question) for question in questions if question != "unknown"}


async def test_those_of_one_turn_share_a_read_and_the_same_question_its_answer() -> None:
    source = Source()
    assert await asyncio.gather(*(source.lengths.ask(q) for q in ("a", "bb", "a", "ccc"))) == [1, 2, 1, 3]
    assert source.reads == [["a", "bb", "ccc"]]


async def test_one_who_is_alone_is_asked_for_at_once() -> None:
    source = Source()
    assert [await source.lengths.ask("a"), await source.lengths.ask("a")] == [1, 1]
    assert source.reads == [["a"], ["a"]], "and an answer is not kept: each read begins after its question"


async def test_those_that_come_during_a_read_share_the_next_one() -> None:
    source = Source()
    source.open.clear()
    first = asyncio.create_task(source.lengths.ask("a"))
    await eventually(lambda: source.reads == [["a"]])
    others = [asyncio.create_task(source.lengths.ask(q)) for q in ("a", "bb")]
    await asyncio.sleep(0)
    source.open.set()
    assert await asyncio.gather(first, *others) == [1, 1, 2]
    assert source.reads == [["a"], ["a", "bb"]]


async def test_a_read_asks_for_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", 2)
    source = Source()
    await asyncio.gather(*(source.lengths.ask(q) for q in "abcde"))
    assert source.reads == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_failure_is_that_of_all_who_asked_together_and_of_nobody_later() -> None:
    source = Source()
    answers = await asyncio.gather(*(source.lengths.ask(q) for q in ("a", "unknown")), return_exceptions=True)
    assert [type(answer) for answer in answers] == [KeyError, KeyError]
    assert await source.lengths.ask("a") == 1


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    source = Source()
    source.open.clear()
    impatient, patient = (asyncio.create_task(source.lengths.ask("a")) for _ in range(2))
    await eventually(lambda: source.reads == [["a"]])
    impatient.cancel()
    source.open.set()
    assert await patient == 1
    assert impatient.cancelled()


async def test_a_read_that_is_stuck_holds_up_only_those_who_asked_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "STALLED", 0.01)
    source = Source()
    source.open.clear()
    stuck = asyncio.create_task(source.lengths.ask("a"))
    await eventually(lambda: source.reads == [["a"]])
    later = asyncio.create_task(source.lengths.ask("bb"))
    await eventually(lambda: source.reads == [["a"], ["bb"]])
    assert not stuck.done()
    source.open.set()
    assert (await stuck, await later) == (1, 2)

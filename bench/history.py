"""Reading what was said: pages over REST, and joining with a replay, in a long conversation; and lists of conversations."""

import random
import time
from typing import Any

from bench import seeding
from bench.processes import CpuMeter
from bench.report import PROCESSES, Result, latencies, percentile
from bench.rest import Rest
from bench.talker import Talker
from bench.target import Person, Target

PAGE = 50
READS, JOINS, LISTS = 500, 200, 100
LISTED, MEMBERS = 50, 20  # conversations of a list, people in each of them


async def history(target: Target, messages: int) -> Result:
    """Pages of 50 from anywhere in a conversation of so many, one after the other; then joins after a gap of 50; lists."""
    result, conversation_id, reader = await _pages(target, messages)
    joins = await _joins(target.urls[0][1], reader, conversation_id, messages - PAGE, result)
    _add(result, f"join with {PAGE} messages", joins)
    _add(result, f"list of {LISTED} conversations of {MEMBERS}", await _lists(target, result))
    return result


async def pages(target: Target, messages: int) -> Result:
    """The pages alone, which a peer has too."""
    return (await _pages(target, messages))[0]


async def _pages(target: Target, messages: int) -> tuple[Result, str, Person]:
    """With the conversation, and somebody in it."""
    result = Result(f"History: pages and replays of {PAGE} from a conversation of {messages:,}")
    archive = target.archive or _Ours(target)
    people = await target.people(2)
    conversation_id = await target.room("bench history", people)
    start = time.perf_counter()
    await archive.fill(conversation_id, messages, people[0])
    result.rows.append(("seconds to seed it", f"{time.perf_counter() - start:,.1f}"))
    took: list[float] = []
    meter = CpuMeter(target.pids)
    meter.start()
    async with Rest(target.urls[0][0], people[0].token) as rest:
        for _ in range(READS):
            before = random.randint(PAGE + 1, messages + 1)
            start = time.perf_counter()
            page = await rest.get(archive.page(conversation_id, before, PAGE))
            took.append(time.perf_counter() - start)
            if [_number(item) for item in page["items"]] != list(range(before - PAGE, before)):
                result.faults.append(f"the page below {before} is not the {PAGE} messages before it")
    result.cpu, result.unit, result.count = meter.stop(), "page", READS
    _add(result, f"history page of {PAGE} from {messages:,}", took)
    if used := result.cpu_of(*PROCESSES):
        result.figures[f"all processes: CPU µs a page of {PAGE}"] = used * 1e6 / READS
    return result, conversation_id, people[0]


def _add(result: Result, name: str, values: list[float]) -> None:
    result.rows += latencies(name, values)
    result.figures[f"{name}, p50, ms"] = percentile(values, 0.5) * 1000
    result.figures[f"{name}, p99, ms"] = percentile(values, 0.99) * 1000


def _number(message: dict[str, Any]) -> int:
    """By the system that numbers its messages, else as it was put in."""
    return int(message["seq"] if "seq" in message else message["content"].partition(" ")[0])


class _Ours:
    """Palabre's own."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def fill(self, conversation_id: str, count: int, sender: Person) -> None:
        await seeding.messages(self._target, conversation_id, count, sender)

    def page(self, conversation_id: str, before: int, limit: int) -> str:
        return f"/api/conversations/{conversation_id}/messages?beforeSeq={before}&limit={limit}"


async def _joins(url: str, person: Person, conversation_id: str, after: int, result: Result) -> list[float]:
    """Seconds from each `join_conversation` to the last message of its replay."""
    seconds: list[float] = []
    async with Talker(url, person) as talker:
        for _ in range(JOINS):
            start = time.perf_counter()
            talker.send({"type": "join_conversation", "conversationId": conversation_id, "afterSeq": after})
            replay = await talker.until("new_message", PAGE)
            seconds.append(time.perf_counter() - start)
            if [frame["message"]["seq"] for frame in replay] != list(range(after + 1, after + PAGE + 1)):
                result.faults.append(f"the replay above {after} is not what follows it")
    return seconds


async def _lists(target: Target, result: Result) -> list[float]:
    """Seconds that each list of conversations took, with their newest messages and first members."""
    people = await target.people(MEMBERS)
    made = await seeding.conversations(target, [people] * LISTED, LISTED)
    await seeding.spread(target, made, LISTED, people[0])
    seconds: list[float] = []
    async with Rest(target.urls[0][0], people[-1].token) as rest:
        for _ in range(LISTS):
            start = time.perf_counter()
            page = await rest.get(f"/api/conversations?limit={LISTED}")
            seconds.append(time.perf_counter() - start)
            if {item["id"] for item in page["items"]} != set(made):
                result.faults.append(f"the list is not the {LISTED} conversations that were talked in last")
    return seconds

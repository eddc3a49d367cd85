"""Reading what was said: pages over REST, and joining with a replay, in a long conversation."""

import random
import time

from bench import seeding
from bench.processes import CpuMeter
from bench.report import Result, latencies, percentile
from bench.rest import Rest
from bench.talker import Talker
from bench.target import Person, Target

PAGE = 50
READS, JOINS = 500, 200


async def history(target: Target, messages: int) -> Result:
    """Pages of 50 from anywhere in a conversation of so many, one after the other; then joins after a gap of 50."""
    result = Result(f"History: pages and replays of {PAGE} from a conversation of {messages:,}")
    people = await target.people(2)
    conversation_id = await target.room("bench history", people)
    start = time.perf_counter()
    await seeding.messages(target, conversation_id, messages, people[0])
    result.rows.append(("seconds to seed it", f"{time.perf_counter() - start:,.1f}"))
    url, socket = target.urls[0]
    pages: list[float] = []
    meter = CpuMeter(target.pids)
    meter.start()
    async with Rest(url, people[0].token) as rest:
        for _ in range(READS):
            before = random.randint(PAGE + 1, messages + 1)
            start = time.perf_counter()
            page = await rest.get(f"/api/conversations/{conversation_id}/messages?beforeSeq={before}&limit={PAGE}")
            pages.append(time.perf_counter() - start)
            if [item["seq"] for item in page["items"]] != list(range(before - PAGE, before)):
                result.faults.append(f"the page below {before} is not the {PAGE} messages before it")
    result.cpu, result.unit, result.count = meter.stop(), "page", READS
    joins = await _joins(socket, people[0], conversation_id, messages - PAGE, result)
    result.rows += [*latencies("page", pages), *latencies(f"join with {PAGE} messages", joins)]
    for name, values in ((f"history page of {PAGE} from {messages:,}", pages), (f"join with {PAGE} messages", joins)):
        result.figures[f"{name}, p50, ms"] = percentile(values, 0.5) * 1000
        result.figures[f"{name}, p99, ms"] = percentile(values, 0.99) * 1000
    return result


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

"""Whether a message costs more when there are more conversations, and when more is stored already."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from bench import plans, seeding
from bench.processes import CpuMeter
from bench.report import Result
from bench.room import FILLER
from bench.target import BenchError, Person, Target
from bench.wire import Frame, Wire

FEW, EACH_ITS_OWN = 10, 200  # from the second on, all that are on their way go to different conversations
SENDERS, MEMBERS, IN_FLIGHT = 2 * FEW, 10, 8  # two of the members of each conversation send
SETTLE = 20.0
SLOWEST = 200  # messages a second; what is slower is not waited for
CALM, CALM_INTERVAL = 0.2, 0.25  # cores that all processes together use when nothing is left to do; seconds
OURS = ("gateway", "persister", "notifier")
THEIRS = ("rabbitmq", "mongodb")


class Sender:
    """One person who sends into their conversations in turn, and has joined none."""

    def __init__(self, person: Person, conversations: list[str], result: Result) -> None:
        self.sent = self.answered = 0
        self.seqs: dict[str, list[int]] = defaultdict(list)
        self.until = 0.0
        self._person = person
        self._conversations = conversations
        self._result = result
        self._wire = Wire(self._receive, lambda why: result.faults.append(f"a sender's connection ended: {why}"))
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, url: str) -> None:
        """Authenticate."""
        await self._wire.connect(url)
        self._wire.send({"type": "authenticate", "token": self._person.token})
        async with asyncio.timeout(20):
            await self._ready

    def start(self, seconds: float) -> None:
        """Keep so many on their way until the time is over."""
        self.until = time.perf_counter() + seconds
        for _ in range(IN_FLIGHT):
            self._send()

    def touch(self) -> None:
        """One message into each conversation, at most so many on their way."""
        self.until = 0.0
        for _ in range(min(len(self._conversations), IN_FLIGHT)):
            self._send()

    @property
    def touched(self) -> bool:
        """Whether each has had one."""
        return self.answered >= len(self._conversations)

    def close(self) -> None:
        """Go."""
        self._wire.close()

    def _send(self) -> None:
        conversation_id = self._conversations[self.sent % len(self._conversations)]
        self.sent += 1
        frame = {"type": "send_message", "conversationId": conversation_id, "content": f"{self.sent} {FILLER}"}
        self._wire.send({**frame, "tempId": str(self.sent)})

    def _receive(self, frame: Frame) -> None:
        match frame["type"]:
            case "authenticated":
                self._ready.set_result(None)
            case "message_sent":
                self.answered += 1
                self.seqs[frame["conversationId"]].append(frame["seq"])
                if time.perf_counter() < self.until or self.sent < len(self._conversations):
                    self._send()
            case "message_error" | "error" | "auth_error":
                self.answered += 1  # and its place stays empty: a loop of refusals would measure nothing
                if len(self._result.faults) < 10:
                    self._result.faults.append(f"{frame['code']}: {frame['error']}")


async def growth(target: Target, seconds: float, many: int, stored: int = 0) -> Result:
    """The same load into few conversations and into many; each is touched once before, so that all are known.

    A batch notes the newest message of each of its conversations, so few conversations cost less. Growth would show
    between those numbers at which every message on its way has a conversation to itself. So many messages as `stored`
    are in the many conversations before.
    """
    sizes = sorted({FEW, EACH_ITS_OWN, many})
    title = f"Growth: {SENDERS} senders, {IN_FLIGHT} in flight each, into {FEW} conversations and up to {many:,}"
    result = Result(f"{title} with {stored:,} messages" if stored else title)
    people = await target.people(100)
    each: dict[int, float] = {}
    for count in sizes:
        before = stored if count == many else 0
        part = await _one(target, seconds, count, people, before)
        result.faults += part.faults
        result.messages, result.cpu = part.messages, part.cpu  # those of the last are shown
        result.rows += part.rows
        if ours := part.cpu_of(*OURS):
            each[count] = ours * 1e6 / max(part.messages, 1)
            result.rows.append((f"CPU a message, {count:,}: ours / all", _cpu(part, part.messages)))
            result.figures[f"our CPU µs a message, {_name(count, before)}"] = each[count]
            for kind in THEIRS:
                name = f"{kind}: CPU µs a message, {count:,} conversations"
                result.figures[name] = part.cpu_of(kind) * 1e6 / max(part.messages, 1)
    if EACH_ITS_OWN in each and many > EACH_ITS_OWN:
        result.figures[f"the same, {many:,} to {EACH_ITS_OWN}: ratio"] = each[many] / each[EACH_ITS_OWN]
    await plans.hot(target, people, result)
    return result


def _name(count: int, stored: int) -> str:
    return f"{count:,} conversations" + (f", {stored:,} stored" if stored else "")


def _cpu(result: Result, messages: int) -> str:
    ours, all_of_them = (result.cpu_of(*kinds) * 1e6 / max(messages, 1) for kinds in (OURS, (*OURS, *THEIRS)))
    return f"{ours:,.0f} / {all_of_them:,.0f} µs"


async def _one(target: Target, seconds: float, count: int, people: list[Person], stored: int) -> Result:
    result = Result("")
    made, heads = await _seeded(target, count, people, stored, result)
    senders = [Sender(people[n], made[n % FEW :: FEW], result) for n in range(SENDERS)]
    urls = target.sockets()
    meter = CpuMeter(target.pids)
    try:
        for sender in senders:
            await sender.connect(next(urls))
        await _calm(target)  # MongoDB has what was put into it to write
        meter.start()
        for sender in senders:
            sender.touch()
        await _until(lambda: all(sender.touched for sender in senders), "touching every conversation", count)
        await _calm(target)
        before = sum(sender.answered for sender in senders)
        touching = Result("", cpu=meter.stop())
        if count > EACH_ITS_OWN and touching.cpu_of(*OURS):
            result.rows.append(("CPU of a sender's first there: ours / all", _cpu(touching, before)))
        meter.start()
        start = time.perf_counter()
        for sender in senders:
            sender.start(seconds)
        await asyncio.sleep(seconds)
        await _until(lambda: all(s.answered >= s.sent for s in senders), "the last answers")
        elapsed = time.perf_counter() - start
        await _calm(target)  # the notifier lags a little
        result.cpu = meter.stop()
    finally:
        for sender in senders:
            sender.close()
    result.messages = sum(sender.answered for sender in senders) - before
    acknowledged: dict[str, list[int]] = defaultdict(list)
    for sender in senders:
        for conversation_id, seqs in sender.seqs.items():
            acknowledged[conversation_id] += seqs
    for conversation_id, seqs in acknowledged.items():
        head = heads[conversation_id]
        if sorted(seqs) != list(range(head + 1, head + len(seqs) + 1)):
            result.faults.append(f"{conversation_id}: the acknowledged seqs are not {head + 1}..{head + len(seqs)}")
    result.rows.append((f"stored /s, {count:,} conversations", f"{result.messages / elapsed:,.0f}"))
    return result


async def _seeded(
    target: Target, count: int, people: list[Person], stored: int, result: Result
) -> tuple[list[str], dict[str, int]]:
    """So many conversations with so many messages in all: their ids, and their heads by id."""
    silent = people[SENDERS:]
    groups = [
        [people[n % FEW], people[FEW + n % FEW], *(silent[(n + m) % len(silent)] for m in range(MEMBERS - 2))]
        for n in range(count)
    ]
    start = time.perf_counter()
    made = await seeding.conversations(target, groups, stored)
    result.rows.append((f"seconds to seed {count:,} conversations", f"{time.perf_counter() - start:,.1f}"))
    if stored:
        start = time.perf_counter()
        await seeding.spread(target, made, stored, people[0])
        took = time.perf_counter() - start
        result.rows.append((f"seconds to seed {stored:,} messages (/s)", f"{took:,.1f} ({stored / took:,.0f})"))
    return made, dict(zip(made, seeding.heads(stored, count), strict=True))


async def _calm(target: Target) -> None:
    """Until nobody is at work any more, or for too long: then what is left is counted with what comes."""
    deadline = time.perf_counter() + SETTLE
    meter = CpuMeter(target.pids)
    busy = True
    while busy and time.perf_counter() < deadline:
        meter.start()
        await asyncio.sleep(CALM_INTERVAL)
        busy = sum(used for name, used in meter.stop().items() if name in target.pids) > CALM * CALM_INTERVAL


async def _until(done: Callable[[], bool], what: str, messages: int = 0) -> None:
    longest = SETTLE + messages / SLOWEST
    deadline = time.perf_counter() + longest
    while not done():
        if time.perf_counter() > deadline:
            raise BenchError(f"{what} took longer than {longest:.0f} s")
        await asyncio.sleep(0.02)

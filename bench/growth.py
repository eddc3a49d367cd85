"""Whether a message costs more when there are more conversations."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from bench import seeding
from bench.processes import CpuMeter
from bench.report import Result
from bench.room import FILLER
from bench.target import BenchError, Person, Target
from bench.wire import Frame, Wire

FEW, EACH_ITS_OWN = 10, 200  # from the second on, all that are on their way go to different conversations
SENDERS, MEMBERS, IN_FLIGHT = 2 * FEW, 10, 8  # two of the members of each conversation send
SETTLE = 20.0
OURS = ("gateway", "persister", "notifier")


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


async def growth(target: Target, seconds: float, many: int) -> Result:
    """The same load into few conversations and into many; each is touched once before, so that all are known.

    A batch notes the newest message of each of its conversations, so few conversations cost less. Growth would show
    between those numbers at which every message on its way has a conversation to itself.
    """
    sizes = sorted({FEW, EACH_ITS_OWN, many})
    title = f"Growth: {SENDERS} senders, {IN_FLIGHT} in flight each, into {FEW} conversations and up to {many:,}"
    result = Result(title)
    people = await target.people(100)
    each: dict[int, float] = {}
    for count in sizes:
        part = await _one(target, seconds, count, people)
        result.faults += part.faults
        result.messages, result.cpu = part.messages, part.cpu  # those of the last are shown
        ours, all_of_them = part.cpu_of(*OURS), part.cpu_of(*OURS, "rabbitmq", "mongodb")
        result.rows += part.rows
        if ours:
            each[count] = ours * 1e6 / max(part.messages, 1)
            total = all_of_them * 1e6 / max(part.messages, 1)
            result.rows.append((f"CPU a message, {count:,}: ours / all", f"{each[count]:,.0f} / {total:,.0f} µs"))
            result.figures[f"our CPU µs a message, {count:,} conversations"] = each[count]
    if EACH_ITS_OWN in each and many > EACH_ITS_OWN:
        result.figures[f"the same, {many:,} to {EACH_ITS_OWN}: ratio"] = each[many] / each[EACH_ITS_OWN]
    return result


async def _one(target: Target, seconds: float, count: int, people: list[Person]) -> Result:
    result = Result("")
    silent = people[SENDERS:]
    groups = [
        [people[n % FEW], people[FEW + n % FEW], *(silent[(n + m) % len(silent)] for m in range(MEMBERS - 2))]
        for n in range(count)
    ]
    made = await seeding.conversations(target, groups)
    senders = [Sender(people[n], made[n % FEW :: FEW], result) for n in range(SENDERS)]
    urls = target.sockets()
    meter = CpuMeter(target.pids)
    try:
        for sender in senders:
            await sender.connect(next(urls))
        for sender in senders:
            sender.touch()
        await _until(lambda: all(sender.touched for sender in senders), "touching every conversation")
        before = sum(sender.answered for sender in senders)
        meter.start()
        start = time.perf_counter()
        for sender in senders:
            sender.start(seconds)
        await asyncio.sleep(seconds)
        await _until(lambda: all(s.answered >= s.sent for s in senders), "the last answers")
        elapsed = time.perf_counter() - start
        await asyncio.sleep(0.5)  # the notifier lags a little
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
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            result.faults.append(f"{conversation_id}: the acknowledged seqs are not 1..{len(seqs)}")
    result.rows.append((f"stored /s, {count:,} conversations", f"{result.messages / elapsed:,.0f}"))
    return result


async def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.perf_counter() + SETTLE
    while not done():
        if time.perf_counter() > deadline:
            raise BenchError(f"{what} took longer than {SETTLE:.0f} s")
        await asyncio.sleep(0.02)

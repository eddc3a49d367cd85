"""Many in one place: a channel of thousands who are elsewhere, hundreds who type, a thousand who react to one message."""

import asyncio
import time

from bench.load import fixed_rate, measure
from bench.processes import CpuMeter
from bench.report import Result, latencies, percentile
from bench.room import empty, enter_all
from bench.seeding import conversations
from bench.sockets import connect_all, until
from bench.target import Person, Target
from bench.wire import Frame, Wire

PRESENT = 20  # of the channel's members: connected and joined
SENDERS = 2
RATE = 20.0  # messages a second into the channel
TYPING = 500
TYPING_EVERY = 3.0  # seconds after which whoever types on says so again
REACTING = 1000
KINDS = ("gateway", "persister", "notifier", "rabbitmq", "mongodb")


async def crowd(target: Target, seconds: float, members: int) -> Result:
    """One after the other, each in a conversation of its own."""
    result = Result(f"Crowds: a channel of {members:,}; {TYPING} who type; {REACTING:,} reactions on one message")
    people = await target.people(max(TYPING, REACTING))
    await _channel(result, target, people[:PRESENT], seconds, PRESENT)
    await _channel(result, target, people[:PRESENT], seconds, members)
    await _typing(result, target, people[:TYPING], seconds)
    await _reactions(result, target, people[:REACTING])
    return result


async def _channel(result: Result, target: Target, present: list[Person], seconds: float, members: int) -> None:
    """What a message costs where most members are not connected."""
    absent = [Person(f"bench-absent-{number}", "") for number in range(members - len(present))]
    part = Result("")
    [channel] = await conversations(target, [[*present, *absent]])
    room = await enter_all(target, channel, present)
    try:
        await measure(target, part, [room], lambda: fixed_rate(room.members[:SENDERS], RATE, seconds))
    finally:
        empty([room])
    result.faults += part.faults
    result.messages += part.messages
    name = f"channel of {members:,}"
    result.rows += latencies(f"{name}: send → delivered", room.to_delivered)
    result.figures[f"{name}: send → delivered p99, ms"] = percentile(room.to_delivered, 0.99) * 1000
    for kind in KINDS:
        each = part.cpu_of(kind) * 1e6 / max(part.messages, 1)
        result.rows.append((f"{name}: {kind}'s CPU a message", f"{each:,.0f} µs"))
        result.figures[f"{name}: {kind}'s CPU µs a message"] = each
    result.figures[f"{name}: all processes' CPU µs a message"] = sum(part.cpu.values()) * 1e6 / max(part.messages, 1)


async def _typing(result: Result, target: Target, people: list[Person], seconds: float) -> None:
    """Everybody types, and a few also send: these must not wait."""
    room = await enter_all(target, await target.room("bench typing", people), people)
    seen = 0

    def told(frame: Frame) -> None:
        nonlocal seen
        seen += frame["type"] == "user_typing"

    for member in room.members:
        member.told = told

    async def type_on() -> None:
        start, number = time.perf_counter(), 0
        while (due := start + number * TYPING_EVERY / len(people)) < start + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            room.members[number % len(people)].post({"type": "typing_start", "conversationId": room.id})
            number += 1

    async def load() -> None:
        await asyncio.gather(type_on(), fixed_rate(room.members[:SENDERS], RATE / 4, seconds))

    part = Result("")
    try:
        await measure(target, part, [room], load)
    finally:
        empty([room])
    result.faults += part.faults
    result.messages += part.messages
    name = f"{len(people)} who type"
    result.rows += [
        *latencies(f"{name}: send → delivered", room.to_delivered),
        (f"{name}: `user_typing` frames/s", f"{seen / seconds:,.0f}"),
        (f"{name}: gateways' CPU", f"{part.cpu_of('gateway') / part.seconds:.0%} of a core"),
    ]
    result.figures[f"{name}: send → delivered p99, ms"] = percentile(room.to_delivered, 0.99) * 1000
    result.figures[f"{name}: frames/s"] = seen / seconds
    result.figures[f"{name}: gateways' CPU µs a frame"] = part.cpu_of("gateway") * 1e6 / max(seen, 1)


async def _reactions(result: Result, target: Target, people: list[Person]) -> None:
    """All at once, and then everybody must have all of them."""
    conversation = await target.room("bench reactions", people)
    counts: dict[int, int] = {}
    wires: list[Wire] = []
    message: list[str] = []

    def receiver(number: int):  # type: ignore[no-untyped-def]
        def receive(frame: Frame) -> None:
            if frame["type"] == "message_sent":
                message.append(frame["messageId"])
            if frame["type"] == "message_updated":
                counts[number] = max(counts.get(number, 0), len(frame["message"]["reactions"].get("👍", ())))

        return receive

    for number, (_, url) in enumerate(target.urls):
        mine = people[number :: len(target.urls)]
        wires += await connect_all(url, mine, receiver(number))
    watching = [wires[0], wires[-1]]
    for wire in watching:
        wire.send({"type": "join_conversation", "conversationId": conversation})
    wires[0].send({"type": "send_message", "conversationId": conversation, "content": "one"})
    try:
        await until(lambda: bool(message), "the message")
        meter = CpuMeter(target.pids)
        meter.start()
        begun = time.perf_counter()
        for wire in wires:
            wire.send({"type": "add_reaction", "conversationId": conversation, "messageId": message[0], "emoji": "👍"})
        await until(lambda: all(counts.get(n) == len(people) for n in range(len(target.urls))), "all reactions")
        elapsed = time.perf_counter() - begun
        used = meter.stop()
    finally:
        for wire in wires:
            wire.close()
    result.rows += [
        (f"{len(people):,} reactions at once are seen after", f"{elapsed:,.2f} s"),
        ("their CPU, all processes", f"{sum(used.values()) * 1e6 / len(people):,.0f} µs each"),
    ]
    result.figures[f"{len(people):,} reactions on one message: seconds"] = elapsed
    for kind in KINDS:
        each = Result("", cpu=used).cpu_of(kind) * 1e6 / len(people)
        result.figures[f"{len(people):,} reactions on one message: {kind}'s CPU µs each"] = each

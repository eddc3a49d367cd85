"""Our own processes end, freeze, are replaced, or are there twice."""

import asyncio
import signal
import time
from pathlib import Path
from uuid import uuid4

from contracts.topology import Topology
from tests.faults.kinds import kind
from tests.faults.stage import Stage
from tests.support.system import Process

FREEZE = 3.0
BELIEVED_DEAD = 40.0  # RabbitMQ gives a silent connection up after two heartbeats of 15 s
TWIN = 6.0
DRAINING = 1012
CLOCK_WRONG = 3.0
# Debian's package `faketime`; it makes a process believe in a time that a file names.
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def killed(stage: Stage, process: Process) -> float:
    """kill -9; others have to take over before it is back."""
    process.kill()
    took = await stage.recovery()
    await process.wait()
    await process.start()
    await stage.whole()
    return took


async def stopped(stage: Stage, process: Process) -> float:
    """SIGTERM."""
    begun = time.monotonic()
    code = await process.stop()
    if code:
        stage.notes.append(f"{process.service} ended with {code} on SIGTERM")
    took = await stage.recovery(begun)
    await process.start()
    await stage.whole()
    return took


@kind("gateway killed", "process")
async def gateway_killed(stage: Stage) -> float:
    return await killed(stage, stage.one_of(stage.gateways))


@kind("gateway stopped", "process")
async def gateway_stopped(stage: Stage) -> float:
    return await stopped(stage, stage.one_of(stage.gateways))


@kind("persister killed", "process")
async def persister_killed(stage: Stage) -> float:
    return await killed(stage, stage.one_of(stage.persisters))


@kind("persister stopped", "process")
async def persister_stopped(stage: Stage) -> float:
    return await stopped(stage, stage.one_of(stage.persisters))


@kind("notifier killed", "process")
async def notifier_killed(stage: Stage) -> float:
    return await killed(stage, stage.one_of(stage.notifiers))


@kind("notifier stopped", "process")
async def notifier_stopped(stage: Stage) -> float:
    return await stopped(stage, stage.one_of(stage.notifiers))


async def frozen(stage: Stage, process: Process, seconds: float) -> float:
    """It does nothing for a while and knows nothing of that."""
    process.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        process.signal(signal.SIGCONT)
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("gateway frozen", "process")
async def gateway_frozen(stage: Stage) -> float:
    return await frozen(stage, stage.one_of(stage.gateways), FREEZE)


@kind("persister frozen", "process")
async def persister_frozen(stage: Stage) -> float:
    return await frozen(stage, stage.one_of(stage.persisters), FREEZE)


@kind("persister believed dead", "process")
async def persister_believed_dead(stage: Stage) -> float:
    """It wakes up with a batch in hand that somebody else has carried out meanwhile."""
    return await frozen(stage, stage.one_of(stage.persisters), BELIEVED_DEAD)


@kind("persister twice", "process")
async def persister_twice(stage: Stage) -> float:
    """Another process believes that it has every partition, and is sent every message too.

    It has queues of its own, to which messages are copied, and tells a world of its own; both write to the same
    conversations.
    """
    topology = Topology(f"twin{uuid4().hex[:6]}.", stage.topology.partitions)
    twin = stage.another("persister", PREFIX=topology.prefix)
    await twin.start()
    async with asyncio.timeout(30):
        await twin.ready()
    copied = [
        (topology.persister_queue(number).name, stage.topology.commands.name, f"message.send.{number:02d}")
        for number in range(topology.partitions)
    ]
    async with stage.channel() as channel:
        for queue, exchange, key in copied:
            await (await channel.get_queue(queue)).bind(exchange, key)
        await asyncio.sleep(TWIN)
        for queue, exchange, key in copied:
            await (await channel.get_queue(queue)).unbind(exchange, key)
        await twin.stop()
        for declared in topology.queues:
            await channel.queue_delete(declared.name)
        for exchange_of_twin in topology.exchanges:
            await channel.exchange_delete(exchange_of_twin.name)
    return await stage.recovery()


@kind("clock jumps", "process", needs=("libfaketime",))
async def clock_jumps(stage: Stage) -> float:
    """One more persister, or gateway, is ahead of everybody for a while, then behind."""
    service = stage.dice.choice(("persister", "gateway"))
    clock = stage.folder / f"clock-{uuid4().hex[:6]}"
    clock.write_text("+0")
    process = stage.another(
        service,
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    await process.start()
    async with asyncio.timeout(30):
        await process.ready()
    if service == "gateway":
        stage.doors.append(process)
        for person in stage.crowd.people:
            person.drop()
    await asyncio.sleep(2)
    for jump in ("+1200", "-1200"):
        clock.write_text(jump)
        await asyncio.sleep(CLOCK_WRONG)
    clock.write_text("+0")
    await asyncio.sleep(1)
    took = await stage.recovery()
    if process in stage.doors:
        stage.doors.remove(process)
    await process.stop()
    return took


@kind("deploy", "process")
async def deploy(stage: Stage) -> float:
    """Every process is replaced by a new one. Nobody notices more than one reconnect, with a goodbye."""
    begun = time.monotonic()
    ends_before = {person.name: len(person.ends) for person in stage.crowd.everybody}
    refused_before = sum(len(person.refused) for person in stage.crowd.everybody)
    old = stage.processes
    stage.gateways = [stage.another("gateway") for _ in stage.gateways]
    stage.persisters = [stage.another("persister") for _ in stage.persisters]
    stage.notifiers = [stage.another("notifier") for _ in stage.notifiers]
    await asyncio.gather(*(process.start() for process in stage.processes))
    await stage.whole()
    stage.doors = list(stage.gateways)  # first the new ones are let in, then the old ones are sent away
    for process in old:
        if await process.stop():
            stage.notes.append(f"{process.service} was not stopped in order by a deploy")
    took = await stage.recovery()
    for person in stage.crowd.everybody:
        ends = [code for _, code in person.ends[ends_before[person.name] :]]
        if len(ends) > 1 or any(code != DRAINING for code in ends):
            stage.notes.append(f"a deploy was noticed by {person.name}: {ends}")
    if refused := sum(len(person.refused) for person in stage.crowd.everybody) - refused_before:
        stage.notes.append(f"a deploy cost {refused} sends, after {time.monotonic() - begun:.0f} s")
    return took

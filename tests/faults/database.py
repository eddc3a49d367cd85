"""MongoDB loses its primary, answers with errors, late, or not at all."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

from pymongo.errors import PyMongoError

from tests.faults.kinds import kind
from tests.faults.stage import Stage

OUTAGE = 6.0  # longer than an election takes
WRITES = ["insert", "update", "findAndModify"]
DISK_FULL, NOT_PRIMARY, WRITE_CONCERN_TIMEOUT = 14031, 10107, 64
OUR_DATABASE = ("database",)


@kind("MongoDB's primary killed", "database", within=10.0, needs=OUR_DATABASE)
async def primary_killed(stage: Stage) -> float:
    """The others elect a new one, which takes most of the time."""
    async with asyncio.timeout(60):
        member = await stage.database.primary()
    await member.kill()
    took = await stage.recovery()
    await member.start()
    await stage.whole()
    return took


@kind("MongoDB's primary frozen", "database", within=15.0, needs=OUR_DATABASE)
async def primary_frozen(stage: Stage) -> float:
    async with asyncio.timeout(60):
        member = await stage.database.primary()
    os.kill(member.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(OUTAGE)
    finally:
        os.kill(member.pid, signal.SIGCONT)
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("MongoDB's primary steps down", "database", within=10.0, needs=OUR_DATABASE)
async def step_down(stage: Stage) -> float:
    async with asyncio.timeout(60):
        member = await stage.database.primary()
    with suppress(PyMongoError, TimeoutError):  # it may close our connection, too
        await stage.database.command(member, "replSetStepDown", 5, secondaryCatchUpPeriodSecs=2)
    took = await stage.recovery()
    await stage.whole()
    return took


async def failing(stage: Stage, seconds: float, commands: list[str], **how: Any) -> float:
    """The primary answers these commands of everybody so, for a while."""
    async with asyncio.timeout(60):
        member = await stage.database.primary()
    data = {"failCommands": commands, **how}
    await stage.database.command(member, "configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        await asyncio.sleep(seconds)
    finally:
        await stage.database.command(member, "configureFailPoint", "failCommand", mode="off")
    return await stage.recovery()


@kind("MongoDB's disk full", "database", needs=OUR_DATABASE)
async def disk_full(stage: Stage) -> float:
    """Nothing is written, and said to be for want of space."""
    return await failing(stage, 3, WRITES, errorCode=DISK_FULL)


@kind("MongoDB not primary", "database", needs=OUR_DATABASE)
async def not_primary(stage: Stage) -> float:
    return await failing(stage, 1, WRITES, errorCode=NOT_PRIMARY)


@kind("MongoDB's answer lost", "database", needs=OUR_DATABASE)
async def unheard(stage: Stage) -> float:
    """What was written is not acknowledged by the majority in time."""
    error = {"code": WRITE_CONCERN_TIMEOUT, "errmsg": "waiting for replication timed out"}
    return await failing(stage, 1, WRITES, writeConcernError=error)


@kind("MongoDB hangs up", "database", needs=OUR_DATABASE)
async def hangs_up(stage: Stage) -> float:
    return await failing(stage, 1, [*WRITES, "find", "aggregate"], closeConnection=True)


@kind("MongoDB slow", "database", needs=OUR_DATABASE)
async def slow(stage: Stage) -> float:
    return await failing(stage, 4, [*WRITES, "find", "aggregate"], blockConnection=True, blockTimeMS=500)

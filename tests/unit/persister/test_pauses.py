"""Pauses end by themselves, and early for whoever waits."""

import asyncio

from services.persister.pauses import Pauses

LONG = 1000.0


async def test_they_end_by_themselves() -> None:
    await Pauses().pause(0.001)
    await Pauses().pause(-1.0)  # what is over already


async def test_they_are_ended() -> None:
    pauses = Pauses()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(pauses.pause(LONG))
        await asyncio.sleep(0)
        pauses.end()


async def test_there_are_none_for_a_while() -> None:
    pauses = Pauses()
    with pauses.none():
        async with asyncio.timeout(10):
            await pauses.pause(LONG)
    later = asyncio.create_task(pauses.pause(LONG))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not later.done()
    pauses.end()
    await later

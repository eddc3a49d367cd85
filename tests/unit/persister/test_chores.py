"""Chores are done one after the other, and whoever adds too many of them waits."""

import asyncio

import pytest

from services.persister import chores
from services.persister.chores import Chores
from services.persister.pauses import Pauses
from tests.support.eventually import eventually


async def test_they_are_done_one_after_the_other() -> None:
    done: list[str] = []
    todo = Chores(Pauses())

    async def chore(name: str) -> None:
        done.append(f"{name} begun")
        await asyncio.sleep(0)
        done.append(name)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(todo.run())
        first = await todo.add(lambda: chore("a"))
        second = await todo.add(lambda: chore("b"))
        await first
        assert done[:2] == ["a begun", "a"]
        await second
        assert done == ["a begun", "a", "b begun", "b"]
        running.cancel()


async def test_between_them_is_a_pause_that_can_be_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE", "LONGEST"):
        monkeypatch.setattr(chores, name, 1_000_000.0)  # so that none ends by itself
    pauses = Pauses()
    todo, done = Chores(pauses), 0

    async def chore() -> None:
        nonlocal done
        await asyncio.sleep(0.001)
        done += 1

    async with asyncio.TaskGroup() as group:
        running = group.create_task(todo.run())
        for _ in range(4):
            await todo.add(chore)
        await eventually(lambda: done == 1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert done == 1
        pauses.end()
        await eventually(lambda: done == 2)
        with pauses.none():
            await eventually(lambda: done == 4)
        running.cancel()


async def test_a_pause_after_what_took_long_is_not_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "PAUSE", 1_000_000.0)
    monkeypatch.setattr(chores, "LONGEST", 0.001)
    todo = Chores(Pauses())

    async def chore() -> None:
        await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(todo.run())
        for _ in range(3):
            last = await todo.add(chore)
        async with asyncio.timeout(10):
            await last
        running.cancel()


async def test_there_is_no_pause_while_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE", "LONGEST"):
        monkeypatch.setattr(chores, name, 1_000_000.0)
    todo, done = Chores(Pauses()), 0

    async def chore() -> None:
        nonlocal done
        await asyncio.sleep(0.001)
        done += 1

    for _ in range(chores.MANY + 3):
        await todo.add(chore)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(todo.run())
        await eventually(lambda: done == 4)  # from then on too few wait
        for _ in range(10):
            await asyncio.sleep(0)
        assert done == 4
        running.cancel()


async def test_whoever_adds_too_many_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "MOST", 2)
    todo, may, added = Chores(Pauses()), asyncio.Event(), 0

    async def chore() -> None:
        await may.wait()

    async def add_all() -> None:
        nonlocal added
        for _ in range(5):
            await todo.add(chore)
            added += 1

    async with asyncio.TaskGroup() as group:
        running = group.create_task(todo.run())
        adding = group.create_task(add_all())
        await eventually(lambda: added == 3)
        for _ in range(10):
            await asyncio.sleep(0)
        assert added == 3, "one in hand, two that wait"
        may.set()
        await adding
        running.cancel()


async def test_what_a_chore_raises_is_not_lost() -> None:
    todo = Chores(Pauses())

    async def broken() -> None:
        raise ZeroDivisionError

    await todo.add(broken)
    with pytest.raises(ZeroDivisionError):
        await todo.run()

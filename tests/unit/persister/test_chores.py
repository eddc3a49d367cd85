"""Chores are done one after the other, and whoever adds too many of them waits."""

import asyncio

import pytest

from services.persister import chores
from services.persister.chores import Chores
from tests.support.eventually import eventually


async def test_they_are_done_one_after_the_other() -> None:
    done: list[str] = []
    todo = Chores()

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


async def test_whoever_adds_too_many_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "MOST", 2)
    todo, may, added = Chores(), asyncio.Event(), 0

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
    todo = Chores()

    async def broken() -> None:
        raise ZeroDivisionError

    await todo.add(broken)
    with pytest.raises(ZeroDivisionError):
        await todo.run()

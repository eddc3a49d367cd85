"""Waiting for what happens soon, without sleeping for longer than it takes."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

POLL = 0.05


async def eventually(check: Callable[[], Any], timeout: float = 10, poll: float = POLL) -> Any:
    """Call `check`, a function or coroutine function, until it holds, and return what it returned.

    It holds when it raises no AssertionError and does not return False; None holds, for checks that only assert.
    Any other exception is raised at once. At the deadline the last AssertionError is raised.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            # A check that hangs must not outlive the deadline either; `max`: one that is late gets a last chance.
            async with asyncio.timeout(max(deadline - asyncio.get_running_loop().time(), poll)):
                result = check()
                if inspect.isawaitable(result):
                    result = await result
            failure = AssertionError(f"{_name(check)} returned {result!r}")
            if result is not False:
                return result
        except AssertionError as error:
            failure = error
        except TimeoutError:
            failure = AssertionError(f"{_name(check)} did not return in time")
        if asyncio.get_running_loop().time() >= deadline:
            raise failure
        await asyncio.sleep(poll)


def _name(check: Callable[[], Any]) -> str:
    return getattr(check, "__qualname__", repr(check))

"""Work that is done a little later, and not at all once there is no use for it any more."""

import asyncio
from collections.abc import Awaitable, Callable


class Later:
    """What waits; `cancel` forgets all of it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def soon(self, delay: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it after so many seconds."""

        async def wait() -> None:
            await asyncio.sleep(delay)
            await work()

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Nothing more happens."""
        for task in self._tasks:
            task.cancel()

"""Pauses of what is done behind the messages, so that more of it comes together, or it takes less of a core at a time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Pauses:
    """They end early when somebody waits."""

    def __init__(self) -> None:
        self._hurry = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Returns after so long, or when it is cut short."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def end(self) -> None:
        """End those that there are now."""
        self._hurry.set()
        self._hurry.clear()

    @contextmanager
    def none(self) -> Iterator[None]:
        """End those that there are, and have none meanwhile."""
        self._hurry.set()
        try:
            yield
        finally:
            self._hurry.clear()

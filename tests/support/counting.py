"""What something costs, counted and not timed: the same on any machine, however busy it is."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

PRODUCT = str(Path(__file__).parents[2] / "services")
# What a driver does by itself, whatever it is asked for.
OF_THE_DRIVER = {"hello", "ismaster", "isMaster", "ping", "endSessions", "killCursors"}


class RoundTrips(CommandListener):
    """Every command that a MongoDB client sends, in order, as it is sent."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        """One more."""
        if event.command_name not in OF_THE_DRIVER:
            self.commands.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Not counted again."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Not counted again."""

    @property
    def names(self) -> list[str]:
        """Command and collection of each, as `insert messages`."""
        return [f"{next(iter(command))} {next(iter(command.values()))}" for command in self.commands]


class Calls:
    """How often something is called that goes on working as before."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return function(*args, **kwargs)

        return counted


class CountingTransport:
    """A transport that counts its writes."""

    def __init__(self, transport: Any) -> None:
        self.writes = 0
        self._transport = transport

    def write(self, data: bytes) -> None:
        """One system call, as long as the peer takes what it gets."""
        self.writes += 1
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@contextmanager
def counted_tasks() -> Iterator[Counter[str]]:
    """The tasks that services create meanwhile, by the function that they run; those of tests are left out."""
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> Any:
        code = getattr(coroutine, "cr_code", None)
        if code is not None and code.co_filename.startswith(PRODUCT):
            counts[code.co_qualname] += 1
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    try:
        yield counts
    finally:
        loop.set_task_factory(before)


def stages(plan: Any) -> Iterator[dict[str, Any]]:
    """Every stage of an explained plan, wherever it is nested."""
    if isinstance(plan, Mapping):
        if "stage" in plan or "collectionScans" in plan:  # the latter: a $lookup
            yield dict(plan)
        for value in plan.values():
            yield from stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from stages(value)

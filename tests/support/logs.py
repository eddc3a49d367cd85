"""What services write while a test goes on: whatever a stranger sends, nothing of ours may fail."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.system import Process, System


class Logs:
    """What services wrote since this was made."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self._read: dict[Path, int] = {}
        self.allowed: set[str] = set()  # events that are an error by design
        for process in processes:
            self.watch(process)

    def watch(self, process: Process) -> None:
        """Look at this one, too."""
        written = process.log.read_bytes() if process.log.exists() else b""
        self._read[process.log] = written.rfind(b"\n") + 1

    def faults(self) -> list[str]:
        """Lines that tell of a failure: errors, and what is no line of ours at all, as a traceback of the interpreter's."""
        return [line for log, start in self._read.items() for line in self._lines(log, start) if self._is_fault(line)]

    @staticmethod
    def _lines(log: Path, start: int) -> Iterator[str]:
        with log.open("rb") as file:
            file.seek(start)
            *lines, _unfinished = file.read().split(b"\n")
        yield from (line.decode() for line in lines if line.strip())

    def _is_fault(self, line: str) -> bool:
        try:
            told = json.loads(line)
        except ValueError:
            return True
        return told["level"] in ("error", "critical") and told["event"] not in self.allowed


@asynccontextmanager
async def other_gateway(system: System, logs: Logs, **settings: str) -> AsyncIterator[Process]:
    """A gateway with settings of its own; what it writes is looked at, too."""
    gateway = system.another_gateway(**settings)
    logs.watch(gateway)
    await gateway.start()
    try:
        await gateway.ready()
        yield gateway
    finally:
        await gateway.stop()

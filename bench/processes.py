"""What processes cost (Linux; elsewhere nothing is reported)."""

import os
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float | None:
    """User and system time so far, with that of its living children; None when it cannot be read."""
    try:
        # The clock of another process, as clock_getcpuclockid(3) computes its id: exact and of all threads that ever
        # were, where /proc counts in steps of 10 ms.
        own = time.clock_gettime((~pid << 3) | 2)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return own + sum(cpu_seconds(int(child)) or 0.0 for child in children)


def resident_bytes(pid: int) -> int | None:
    """Resident memory; None when it cannot be read."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return None


def resident(pids: dict[str, int]) -> dict[str, int]:
    """The same of named processes, of those that can be read."""
    sizes = {name: resident_bytes(pid) for name, pid in pids.items()}
    return {name: size for name, size in sizes.items() if size is not None}


class CpuMeter:
    """CPU seconds of named processes between `start` and `stop`, and of ourselves."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before: dict[str, float | None] = {}

    def start(self) -> None:
        """Begin."""
        self._before = self._now()

    def stop(self) -> dict[str, float]:
        """Seconds used since `start`, of those that could be read both times."""
        used = {}
        for name, after in self._now().items():
            before = self._before[name]
            if before is not None and after is not None:
                used[name] = after - before
        return used

    def _now(self) -> dict[str, float | None]:
        others = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        # Ourselves without our children, which are the system that we started.
        return {**others, "load generator": time.process_time()}

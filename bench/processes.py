"""What processes cost, from /proc (Linux; elsewhere nothing is reported)."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float | None:
    """User and system time so far; None when it cannot be read."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS  # utime, stime: proc_pid_stat(5)


def fine_cpu_seconds(pid: int) -> float | None:
    """The same in nanoseconds, for short loads, of the threads that live; None when it cannot be read."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        return cpu_seconds(pid)


def family_cpu_seconds(pid: int) -> float | None:
    """Of a process and of those that it started and that live: a server with a process for each client."""
    total = cpu_seconds(pid)
    for folder in Path("/proc").glob("[0-9]*") if total is not None else ():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid:
            total = (total or 0.0) + (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_bytes(pid: int) -> int | None:
    """Resident memory; None when it cannot be read."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return None


class CpuMeter:
    """CPU seconds of named processes between `start` and `stop`, and of ourselves.

    Python's processes are read finely. A server's threads come and go, and take their share of that count with them.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = {**pids, "load generator": os.getpid()}
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
        readers = {"rabbitmq": cpu_seconds, "mongodb": cpu_seconds, "postgresql": family_cpu_seconds}
        return {name: readers.get(name, fine_cpu_seconds)(pid) for name, pid in self._pids.items()}

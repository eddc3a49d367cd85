"""What a measurement found, and how it is printed."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

PROCESSES = ("gateway", "persister", "notifier", "rabbitmq", "mongodb", "node", "postgresql")  # the kinds there are


@dataclass(frozen=True)
class Table:
    """What is too much for rows of two; printed as Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass
class Result:
    """Rows of (what, value), CPU seconds by process, what was violated, tables, and the figures for that at the end.

    CPU is divided by the messages, or by the `count` of another `unit`.
    """

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # in which that was used
    messages: int = 0
    unit: str = "message"
    count: int = 0
    faults: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def cpu_of(self, *kinds: str) -> float:
        """CPU seconds of all processes of these kinds: `gateway`, `persister` …"""
        return sum(seconds for name, seconds in self.cpu.items() if name.startswith(kinds))

    def cpu_above(self, idle: dict[str, float], *kinds: str) -> float:
        """The same without what they use by themselves: `idle` is in seconds a second."""
        names = [name for name in self.cpu if name.startswith(kinds)]
        return sum(self.cpu[name] - idle.get(name, 0.0) * self.seconds for name in names)


def latencies(name: str, delays: list[float]) -> list[tuple[str, str]]:
    """A row of percentiles."""
    if not delays:
        return [(name, "no message")]
    at = (percentile(delays, part) * 1000 for part in (0.5, 0.9, 0.99))
    return [(f"{name}, p50 / p90 / p99", " / ".join(f"{value:,.1f}" for value in at) + " ms")]


def percentile(values: list[float], part: float) -> float:
    """The value below which this part of them lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def show(result: Result) -> None:
    """One measurement, as soon as it is done."""
    print(f"\n{result.title}")
    for name, value in result.rows:
        print(f"  {name:<44} {value:>24}")
    if result.cpu:
        print(f"  {'CPU':<44} {'seconds':>12} {f'µs/{result.unit}':>11}")
        for name, used in result.cpu.items():
            print(f"    {name:<42} {used:>12.2f} {used * 1e6 / max(result.count or result.messages, 1):>11,.0f}")
    for table in result.tables:
        print(f"\n{markdown(table)}\n")
    for fault in result.faults:
        print(f"  VIOLATED  {fault}")
    if not result.faults:
        print("  Checked: nothing lost, repeated or out of order." if result.messages else "  Checked.")
    sys.stdout.flush()


def markdown(table: Table) -> str:
    """As it stands in a README; columns of numbers are flush right."""
    numeric = [bool(table.rows) and all(row[n][:1].isdigit() for row in table.rows) for n in range(len(table.columns))]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join([f"{table.title}\n", *(f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows))])


def number(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def heading() -> str:
    """What is measured, when, and on what; the load average is that of before."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = (
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before, Python {platform.python_version()}"
    )
    return f"Commit {_commit()}, {when}, {machine}"


def _commit() -> str:
    """With a plus when something was changed since."""
    ask = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def memory(before: dict[str, int], after: dict[str, int]) -> None:
    """What each process held at first and at last."""
    if before:
        print(f"\n  {'memory, MiB':<56} {'at first':>10} {'at last':>9}")
    for name, size in before.items():
        print(f"  {name:<56} {number(size / 2**20):>10} {number(after.get(name, 0) / 2**20):>9}")


def summary(head: str, figures: dict[str, float], ratios: dict[str, float]) -> None:
    """All figures in one table; beside each, how many times the floor of this machine it is."""
    print(f"\nSummary\n{head}")
    print(f"  {'':<56} {'figure':>10} {'to floor':>9}")
    for name, value in figures.items():
        ratio = f"{ratios[name]:.1f}" if name in ratios else ""
        print(f"  {name:<56} {number(value):>10} {ratio:>9}")
    sys.stdout.flush()


def keep(file: Path, head: str, figures: dict[str, float]) -> None:
    """Add the figures to a report, which keeps those of other runs; each says where and when it was measured.

    Raises:
        ValueError: the file is there and is no report.
    """
    measured = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    measured |= {name: {"value": float(f"{value:.4g}"), "measured": head} for name, value in figures.items()}
    text = json.dumps(dict(sorted(measured.items())), ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def comparison(head: str, sides: dict[str, dict[str, float]], rounds: int) -> None:
    """The figures that both have, and how many times better the first is: more a second, or less of anything else."""
    (name, ours), (other, theirs) = sides.items()
    print(f"\nMedians of {rounds}\n{head}")
    print(f"  {'':<56} {name:>10} {other:>20} {'times better':>13}")
    for figure in (figure for figure in ours if figure in theirs):
        one, two = ours[figure], theirs[figure]
        better = (one / two if "/s" in figure.split(",")[0] else two / one) if one and two else 0.0
        print(f"  {figure:<56} {number(one):>10} {number(two):>20} {better:>13.2f}")
    sys.stdout.flush()

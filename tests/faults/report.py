"""What came of a run, for people and as JSON."""

import json
import os
import platform
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.checker import Defect
from tests.faults.performance import Performance
from tests.faults.soak import Samples
from tests.faults.stage import Stage
from tests.faults.stopped_readers import Comparison

SHOWN = 10  # defects with their story


@dataclass
class Report:
    """A run that has ended."""

    stage: Stage
    performance: Performance
    defects: list[Defect]
    seconds: float
    readers: Comparison | None = None
    samples: Samples | None = None
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems += [*self.stage.notes, *self.performance.failures]
        if self.refused:
            self.problems.append(f"{len(self.refused)} sends were refused or not answered: {self.refused[:5]}")
        if self.readers is not None and self.readers.problem:
            self.problems.append(self.readers.problem)
        if self.samples is not None:
            self.problems += self.samples.growth()

    @property
    def refused(self) -> list[str]:
        """Sends that ended otherwise than stored."""
        return [refusal for person in self.stage.crowd.everybody for refusal in person.refused]

    @property
    def good(self) -> bool:
        """Nothing was lost, and everything came back in time."""
        return not self.defects and not self.problems

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        crowd, performance = self.stage.crowd, self.performance
        seen = sum(len(lines) for lines in crowd.history.seen.values())
        return {
            "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
            "seconds": round(self.seconds),
            "people": len(crowd.everybody),
            "acknowledged": crowd.acked,
            "observations": seen,
            "connections": sum(len(person.ends) for person in crowd.everybody),
            "faults": performance.faults,
            "kinds": {
                name: {
                    "count": record.count,
                    "seconds, alone": _spread(record.alone),
                    "seconds, among others": _spread(record.among_others),
                }
                for name, record in performance.records.items()
            },
            "places": len(performance.places),
            "defects": Counter(defect.rule for defect in self.defects),
            "problems": self.problems,
            **({"stopped readers": asdict(self.readers)} if self.readers else {}),
            **({"processes": self.samples.rows()} if self.samples else {}),
        }

    def text(self) -> str:
        """A table, the sum, and the stories of what was not as promised."""
        figures = self.figures()
        rows = [f"{'fault':34} {'times':>5}   {'seconds until every room works: median, most':>44}"]
        for name, record in sorted(self.performance.records.items()):
            spread = _spread(record.alone) or _spread(record.among_others)
            times = f"{spread['median']:.2f}, {spread['most']:.2f}" if spread and spread["most"] else ""
            rows.append(f"{name:34} {record.count:5}   {times:>44}")
        rows.append(
            f"\n{figures['acknowledged']:,} messages acknowledged to {figures['people']} people, "
            f"{figures['observations']:,} frames looked at, {figures['seconds']} s, "
            f"{figures['faults']} faults of {len(figures['kinds'])} kinds"
        )
        if self.performance.places:
            rows.append(f"{len(self.performance.places)} places died at: {', '.join(self.performance.places)}")
        if self.readers is not None:
            rows.append(f"beside {self.readers.readers} stopped readers: {self.readers}")
        if self.samples is not None:
            rows += ["  ".join(row) for row in self.samples.rows()]
        rows += [f"! {problem}" for problem in self.problems]
        counts = Counter(defect.rule for defect in self.defects)
        rows += [f"! {rule}: {number}" for rule, number in counts.items()]
        rows += [str(defect) for defect in self.defects[:SHOWN]]
        rows.append("Nothing was lost." if self.good else "NOT as promised.")
        return "\n".join(rows)

    def write(self, path: Path) -> None:
        """The figures."""
        path.write_text(json.dumps(self.figures(), indent=2, ensure_ascii=False) + "\n")


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": round(statistics.median(values), 2), "most": round(max(values), 2)}

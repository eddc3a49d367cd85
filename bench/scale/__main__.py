"""`python -m bench.scale`: what so many people would take; `--write` puts all tables into docs/scale.md."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.report import markdown
from bench.scale import tables
from bench.scale.costs import REPORT, MissingFigure, from_figures, read
from bench.scale.model import Setup
from bench.scale.people import Life

USUAL = Life()
DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


def filled(document: str, printed: dict[str, str]) -> str:
    """The document with each table between its two marks.

    Raises:
        ValueError: a table has no place, or a place no table.
    """
    places = re.findall(r"<!-- table: ([\w-]+) -->", document)
    if sorted(places) != sorted(printed):
        raise ValueError(f"the document has places for {sorted(places)}, and there are {sorted(printed)}")
    return re.sub(
        r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{printed[found[2]]}\n{found[3]}",
        document,
        flags=re.S,
    )


def main(
    report: Annotated[Path, typer.Option(help="Figures that `make bench` added with --report.")] = REPORT,
    users: Annotated[int | None, typer.Option(min=2, help="So many people alone, with what is said below.")] = None,
    connected: Annotated[
        float, typer.Option(min=0, max=1, help="Share of them at the busiest moment.")
    ] = USUAL.connected,
    devices: Annotated[float, typer.Option(min=1, help="Sockets of each of these.")] = USUAL.devices,
    a_day: Annotated[float, typer.Option(min=0, help="Messages of a person a day.")] = USUAL.a_day,
    peak: Annotated[float, typer.Option(min=1, help="How many times the mean in the busiest second.")] = USUAL.peak,
    addressed: Annotated[bool, typer.Option("--addressed", help="A switch: docs/scale.md.")] = False,
    watched: Annotated[bool, typer.Option("--watched", help="Likewise.")] = False,
    cells: Annotated[int, typer.Option(min=1, help="Likewise.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Put the tables into docs/scale.md.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail when docs/scale.md has others.")] = False,
) -> None:
    """What Palabre would take for so many people, by a model that multiplies measured costs. Nothing is started."""
    try:
        figures = read(report)
        costs = from_figures(figures)
        life = Life(connected, devices, a_day, peak)
        if users is not None:
            setup = Setup("", addressed=addressed, watched=watched, cells=cells)
            setup = tables.enough(users, costs, life, setup)
            print(markdown(tables.by_size(costs, life, (users,), lambda _: setup)))
            return
        made = tables.tables(costs, figures, life)
        if not write and not check:
            print("\n\n".join(markdown(table) for table in made.values()))
            return
        before = DOCUMENT.read_text(encoding="utf-8")
        after = filled(before, tables.printed(made))
    except (MissingFigure, OSError, ValueError) as error:
        sys.exit(f"Stopped: {error}")
    if write:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit(f"{DOCUMENT} is stale: run python -m bench.scale --write")


if __name__ == "__main__":
    typer.run(main)

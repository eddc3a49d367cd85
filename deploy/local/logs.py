"""Service logs on the terminal: warnings and errors, prefixed with the name. The files have everything."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

INTERVAL = 0.3
QUIET = {"debug", "info"}
NOT_FOR_PEOPLE = {"event", "level", "timestamp", "service", "instance", "exception"}


def set_aside(folder: Path) -> None:
    """Each run has logs of its own; those of the one before are kept."""
    for log_file in folder.glob("*.log"):
        log_file.replace(log_file.with_suffix(".log.previous"))


async def follow(name: str, log_file: Path, say: Callable[[str], None]) -> None:
    """Print what is added to a file. The service itself writes the file, so it never waits for a terminal."""
    position, rest = 0, b""
    while True:
        if log_file.exists():
            with log_file.open("rb") as log:
                log.seek(position)
                added = log.read()
            position += len(added)
            *lines, rest = (rest + added).split(b"\n")
            for line in lines:
                if text := _for_people(line.decode(errors="replace")):
                    say(f"{name} | {text}")
        await asyncio.sleep(INTERVAL)


def _for_people(line: str) -> str | None:
    """One line of log as text, None when it is not worth a line on the terminal."""
    try:
        entry = json.loads(line)
        level, event = entry["level"], entry["event"]
    except (ValueError, TypeError, KeyError):
        return line.rstrip() or None  # not ours: what the interpreter prints as it dies
    if level in QUIET:
        return None
    details = [f"{key}={value}" for key, value in entry.items() if key not in NOT_FOR_PEOPLE]
    for raised in entry.get("exception") or []:
        details.append(f"{raised.get('exc_type')}: {raised.get('exc_value')}")
    return " ".join([level, str(event), *details])

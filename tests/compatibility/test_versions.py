"""Today's code and that of every released version of v1 understand each other.

What fails here would break an integrator, a page that is still open, or a deploy in which two versions run side by side.
Within v1 only optional fields and new types are added; anything else needs a `.v2` beside it (docs/integrators.md).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility import record
from tests.compatibility.compare import Json, refused, removed
from tests.compatibility.families import FAMILIES

VERSIONS = sorted(record.V1.iterdir())
SAMPLES = [sample for version in VERSIONS for sample in sorted(version.glob("*/*.json"))]
SCHEMAS = [
    (version.name, json.loads(line))
    for version in VERSIONS
    for line in (version / "schemas.jsonl").read_text().splitlines()
]
TODAY = {(schema["family"], schema["tag"]): schema for schema in record.schemas()}


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """What of a sample is not in what was understood of it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            here = f"{path}.{name}"
            if name in after:
                yield from lost(value, after[name], here)
            else:
                yield here
    elif before != after:
        yield path


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: "/".join(sample.parts[-3:]))
def test_a_released_sample_is_read_with_all_that_it_says(sample: Path) -> None:
    family = FAMILIES[sample.parent.name]
    body = sample.read_bytes().strip()
    if family.read is None:
        return  # written only: the schemas are compared below
    understood = family.read(body)
    assert isinstance(understood, family.models[sample.stem])
    # A client's `timestamp` is allowed and never read, and it may say more than we know.
    unread = {".timestamp", ".later"} if sample.parent.name == "client_frames" else set()
    assert set(lost(json.loads(body), json.loads(understood.encode()))) <= unread


@pytest.mark.parametrize(
    ("version", "released"), SCHEMAS, ids=lambda part: part if isinstance(part, str) else part["tag"]
)
def test_both_versions_understand_each_other(version: str, released: Json) -> None:
    today = TODAY.get((released["family"], released["tag"]))
    assert today is not None, f"{released['tag']} is not there any more"
    readers = FAMILIES[released["family"]].readers
    assert list(removed(released["read"], today["read"])) == []
    assert list(refused(reader=today["read"], writer=released["written"])) == [], f"{version} writes it, today reads it"
    if readers is not None:
        reader = released["written" if readers == "others" else "read"]
        assert list(refused(reader, writer=today["written"])) == [], f"today writes it, {version} reads it"


def test_this_version_is_recorded() -> None:
    folder = record.V1 / record.version()
    if record.is_released(record.version()):
        return  # what has come since belongs to the next one
    tags = {(sample.parent.name, sample.stem) for sample in folder.glob("*/*.json")}
    assert tags == set(TODAY), "run: .venv/bin/python -m tests.compatibility.record"

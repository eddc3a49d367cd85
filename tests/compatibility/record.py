"""Keeps what this version writes and reads, for all later ones: `python -m tests.compatibility.record`.

The folder is `v1/<version of pyproject.toml>`: a sample of each shape, and the schemas, a shape a line. A sample that is
there stays as it is; what has come since is added. Once the changelog has a section of this version nothing is written.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from tests.compatibility.compare import Json
from tests.compatibility.families import FAMILIES

ROOT = Path(__file__).parents[2]
V1 = Path(__file__).parent / "v1"


def version() -> str:
    """This version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def is_released(name: str) -> bool:
    """Whether the changelog has a section of this version."""
    return re.search(rf"^## \[{re.escape(name)}\]", (ROOT / "CHANGELOG.md").read_text(), re.M) is not None


def schemas() -> list[Json]:
    """What this version reads and writes, shape by shape."""
    return [
        {"family": name, "tag": tag, "read": read, "written": written[tag]}
        for name, family in FAMILIES.items()
        for written in [family.schemas("serialization")]
        for tag, read in family.schemas("validation").items()
    ]


def main() -> int:
    """Write what is not there yet; returns the exit code."""
    if is_released(version()):
        print(f"{version()} is released: raise the version in pyproject.toml first", file=sys.stderr)
        return 1
    folder = V1 / version()
    for name, family in FAMILIES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for sample in family.samples:
            file = folder / name / f"{json.loads(sample)[family.tag]}.json"
            if not file.exists():
                file.write_bytes(sample + b"\n")
    lines = "".join(json.dumps(schema, ensure_ascii=False) + "\n" for schema in schemas())
    (folder / "schemas.jsonl").write_text(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())

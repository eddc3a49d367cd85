"""The contracts are installed alone, as an integrator does: into an empty environment, with nothing of the services."""

import asyncio
import venv
from pathlib import Path

import pytest

from contracts.examples import EVENTS

CONTRACTS = Path(__file__).parents[2] / "contracts"
# Isolated, so that neither this checkout nor the environment of the tests is seen.
PROGRAM = """
import importlib.util
import sys
from importlib.metadata import distributions
from contracts import generate
from contracts.events import parse_event

for line in sys.stdin.buffer.read().splitlines():
    print(type(parse_event(line)).__name__)
assert importlib.util.find_spec("services") is None
assert generate.stale() == [], "the schemas are installed too"
print(*sorted(found.name for found in distributions()))
"""


@pytest.mark.integration
@pytest.mark.timeout(180)
async def test_an_integrator_installs_the_contracts_alone(tmp_path: Path) -> None:
    await asyncio.to_thread(venv.create, tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    await run(python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", str(CONTRACTS), cwd=tmp_path)

    printed = await run(python, "-I", "-c", PROGRAM, cwd=tmp_path, given=b"\n".join(e.encode() for e in EVENTS))

    *kinds, names = printed.splitlines()
    assert kinds == [type(event).__name__ for event in EVENTS]
    # pydantic, and what it needs itself.
    needed = {"annotated-types", "pydantic", "pydantic_core", "typing-inspection", "typing_extensions"}
    assert set(names.split()) - {"pip", "setuptools"} == {"palabre-contracts", *needed}


async def run(*command: str, cwd: Path, given: bytes = b"") -> str:
    """What a program prints that ends well."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate(given)
    assert process.returncode == 0, errors.decode()
    return output.decode()

"""The client library against this system's gateways: its own tests for that are skipped without an address."""

import asyncio
import os
import sys

import pytest

from tests.support.system import System

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(180)
async def test_the_client_library_talks_to_real_gateways(system: System) -> None:
    if os.environ.get("WEB") == "0":
        pytest.skip("WEB=0 goes without the page and its library")
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "deploy.local.web",
            "npm",
            "test",
            "--",
            "tests/lib/system.test.ts",
            "tests/lib/agreement.test.ts",
        ),
        env={**os.environ, "PALABRE": ",".join(gateway.ws for gateway in system.gateways), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert "Tests  6 passed" in output.decode(), "none of them may be skipped"

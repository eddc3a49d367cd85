"""The command `palabre`, as an operator calls it."""

import asyncio
import os
import sys
from collections.abc import Mapping


async def palabre(environment: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    """What it prints, errors too; `code` is how it has to end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == code, output.decode()
    return output.decode()

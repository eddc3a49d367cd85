"""How a program ends that has started others."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, signal, uvloop
from deploy.local.process import interrupted_by_sigterm

async def main():
    try:
        print("begun", flush=True)
        await asyncio.sleep(60)
    finally:
        print("stopped in order", flush=True)

signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell lets those in the background
interrupted_by_sigterm()
{runner}.run(main())
"""


@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
def test_a_program_that_is_terminated_stops_what_it_has_started(runner: str) -> None:
    argv = [sys.executable, "-c", PROGRAM.format(runner=runner)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=20)[0] == "stopped in order\n"

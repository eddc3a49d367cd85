"""How a program ends that has started others, and the ports of those that are started together."""

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


def test_those_who_are_started_together_choose_different_ports() -> None:
    """Also while none of them listens yet."""
    choose = "from deploy.local.process import free_port; print(*(free_port() for _ in range(200)))"
    started = [subprocess.Popen([sys.executable, "-c", choose], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    chosen = [port for process in started for port in process.communicate()[0].split()]
    assert len(set(chosen)) == len(chosen) == 600

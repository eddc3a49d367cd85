"""What a process does for itself, seen in a process of its own."""

import subprocess
import sys

import pytest

# A heap full of small blocks, of which one here and there stays.
FREED = """
import asyncio, time
from services import worker

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

async def main():
    worker.TRIM_INTERVAL = 0.01
    blocks = [bytes(1000) for _ in range(100_000)]
    full = resident()
    blocks = blocks[::50]
    deadline = time.monotonic() + 20
    if {asked}:
        worker.give_memory_back(asyncio.get_running_loop())
        while resident() > full - 50_000_000 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    print(full - resident())

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
@pytest.mark.parametrize("asked", [True, False])
def test_what_is_free_between_blocks_in_use_is_given_back(asked: bool) -> None:
    """And is not by itself, so that this shows what it should."""
    done = subprocess.run([sys.executable, "-c", FREED.format(asked=asked)], check=True, capture_output=True, text=True)
    given_back = int(done.stdout)
    assert given_back > 50_000_000 if asked else given_back < 20_000_000

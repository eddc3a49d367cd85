"""Somebody at a terminal: the command in a pseudo-terminal of its own, what they type, and what they see."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.eventually import eventually

BELL = "\a"
STEERING = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")
WIDTH, HEIGHT = 240, 50


class Terminal:
    """One `palabre`, interactive."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self._descriptor = descriptor
        self._process = process
        self._output = b""
        self._seen = 0

    @property
    def text(self) -> str:
        """All that was ever printed, without what steers the cursor."""
        return STEERING.sub("", self._output.decode(errors="replace"))

    @property
    def rings(self) -> int:
        """How often it rang."""
        return self.text.count(BELL)

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        self._seen = len(self.text)
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    async def sees(self, *wanted: str) -> str:
        """Wait until all of this was printed since the last line was typed; returns what was."""

        def seen() -> None:
            missing = [text for text in wanted if text not in self.text[self._seen :]]
            assert not missing, f"{missing} not in {self.text[self._seen :]!r}"

        await eventually(seen)
        return self.text[self._seen :]

    async def does(self, line: str, *wanted: str) -> str:
        """Type a line and wait for what comes of it."""
        self.type(line)
        return await self.sees(*wanted)

    async def ends(self) -> int:
        """Wait for the exit, and return its code."""
        async with asyncio.timeout(10):
            return await self._process.wait()

    def receive(self) -> None:
        """Read what was printed."""
        with contextlib.suppress(OSError):  # EIO: the other side is gone
            self._output += os.read(self._descriptor, 65536)


@asynccontextmanager
async def terminal(*arguments: str) -> AsyncIterator[Terminal]:
    """`palabre` with these arguments; ended in the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    command = (sys.executable, "-m", "services.cli", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    one = Terminal(ours, process)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, one.receive)
    try:
        yield one
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)

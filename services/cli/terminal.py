"""The screen and the keyboard of `palabre chat`; or, where stdin is not a terminal, lines in and lines out."""

import asyncio
import codecs
import contextlib
import os
import re
import shutil
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?", re.S)  # arrow keys and the like, which we do not have
BACKSPACE = "\x08\x7f"
ERASE_LINE = "\x15"  # Ctrl-U
END_OF_INPUT = "\x04"  # Ctrl-D
RULE = "-" * 10
IDLE = 120.0  # seconds without a key after which nobody seems to look


class Terminal(Protocol):
    """What the chat needs of either kind."""

    def show(self, text: str) -> None:
        """A line of the conversation."""

    def rule(self, text: str) -> None:
        """A line across, for the eye."""

    def set_status(self, text: str) -> None:
        """What is so at this moment; it replaces what was."""

    def ring(self) -> None:
        """Ask for attention."""

    def in_use(self) -> bool:
        """Whether somebody sits there."""

    async def read(self) -> str | None:
        """The next line typed; None at the end of input."""


class Pipe:
    """Lines from a pipe or file. Whoever reads our output wants the conversation, and nothing that is for the eye."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(1)
        # A thread, as files cannot be waited for; a daemon, so that it does not keep an ended chat from exiting.
        threading.Thread(target=self._pump, daemon=True).start()

    def show(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)

    def rule(self, text: str) -> None:
        """Nothing."""

    def set_status(self, text: str) -> None:
        """Nothing."""

    def ring(self) -> None:
        """Nothing."""

    def in_use(self) -> bool:
        """Nobody looks at a pipe."""
        return False

    async def read(self) -> str | None:
        """The next line that is not empty."""
        return await self._lines.get()

    def _pump(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody listens any more
            for line in _lines(sys.stdin.fileno()):
                if line.strip():
                    self._put(line)
            self._put(None)

    def _put(self, line: str | None) -> None:
        # Waits for room: a large file is not read faster than it is sent.
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()


def _lines(descriptor: int) -> Iterator[str]:
    # Not sys.stdin: its lock, held by a thread that waits, makes the interpreter's exit fail.
    rest = b""
    while chunk := os.read(descriptor, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


class Screen:
    """A status line and an input line at the bottom; the conversation scrolls above them."""

    def __init__(self) -> None:
        self._typed: Callable[[bool], None] = lambda _: None
        self._complete: Callable[[str], str] = lambda text: text
        self._used_at = monotonic()
        self._status = ""
        self._text = ""
        self._drawn = False
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def listen(self, typed: Callable[[bool], None], complete: Callable[[str], str]) -> None:
        """`typed` is called with each key: whether there is a message in the input line; `complete` at Tab."""
        self._typed = typed
        self._complete = complete

    def show(self, text: str) -> None:
        """Print it above the two lines."""
        self._erase()
        sys.stdout.write(text + "\n")
        self._draw()

    def rule(self, text: str) -> None:
        """`---------- text ----------`."""
        self.show(f"{RULE} {text} {RULE}")

    def set_status(self, text: str) -> None:
        """Draw the status line anew."""
        if text != self._status:
            self._status = text
            self._redraw()

    def ring(self) -> None:
        """The bell, or what this terminal has instead."""
        sys.stdout.write("\a")
        sys.stdout.flush()

    def in_use(self) -> bool:
        """Whether a key was pressed not long ago."""
        return monotonic() - self._used_at < IDLE

    async def read(self) -> str | None:
        """The next line typed."""
        return await self._lines.get()

    @contextmanager
    def attached(self) -> Iterator["Screen"]:
        """Take over the keyboard; give it back in the end."""
        import termios  # only where there is a terminal of this kind
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        loop = asyncio.get_running_loop()
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, self._receive, descriptor)
        self._draw()
        try:
            yield self
        finally:
            loop.remove_reader(descriptor)
            self._erase()
            sys.stdout.flush()
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def _receive(self, descriptor: int) -> None:
        data = os.read(descriptor, 4096)
        self._used_at = monotonic()
        if not data:
            self._lines.put_nowait(None)
            asyncio.get_running_loop().remove_reader(descriptor)
        for key in ESCAPE.sub("", self._decoder.decode(data)):
            self._press(key)
        self._typed(bool(self._text) and not self._text.startswith("/"))
        self._redraw()

    def _press(self, key: str) -> None:
        if key in "\r\n":
            if self._text.strip():
                self._lines.put_nowait(self._text)
            self._text = ""
        elif key in BACKSPACE:
            self._text = self._text[:-1]
        elif key == ERASE_LINE:
            self._text = ""
        elif key == END_OF_INPUT:
            if not self._text:
                self._lines.put_nowait(None)
        elif key == "\t":
            self._text = self._complete(self._text)
        elif unicodedata.category(key) != "Cc":
            self._text += key

    def _redraw(self) -> None:
        self._erase()
        self._draw()

    def _erase(self) -> None:
        if self._drawn:
            sys.stdout.write("\r\x1b[1A\x1b[J")  # to the start of the status line, then clear all below
        self._drawn = False

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 3
        # The end of a long line is what one types at.
        sys.stdout.write(f"\x1b[2m{self._status[:width]}\x1b[0m\n> {self._text[-width:]}")
        sys.stdout.flush()
        self._drawn = True

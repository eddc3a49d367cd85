"""An HTTP endpoint of somebody else's, on loopback: it does what it is told to, however badly that is."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Self

from tests.support.eventually import eventually


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[Call, StreamWriter], Awaitable[None]]


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answers properly."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    async def answer(call: Call, writer: StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {code} Whatever\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)

    return answer


def raw(data: bytes, *, close: bool = True) -> Behaviour:
    """Answers with these bytes, and hangs up, or not."""

    async def answer(call: Call, writer: StreamWriter) -> None:
        writer.write(data)
        if close:
            writer.close()

    return answer


async def stall(call: Call, writer: StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


def endless(head: bytes, drop: bytes = b"x" * 65536, pause: float = 0.0) -> Behaviour:
    """Goes on for ever, in large drops or in small ones."""

    async def answer(call: Call, writer: StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


class Receiver:
    """Listens inside its block.

    Attributes:
        calls: what arrived, in order.
        behave: what is done about each; `script` comes first, one after the other.
        open: how many calls wait for their answer now, and the most that ever did.
    """

    def __init__(self, behave: Behaviour | None = None, tls: SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.behave = behave or status(200)
        self.script: list[Behaviour] = []
        self.open = self.most_open = self.connections = 0
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of each call."""
        return [call.headers["webhook-id"] for call in self.calls]

    async def called(self, times: int, timeout: float = 10) -> list[Call]:
        """Until so many calls came; the calls."""
        await eventually(lambda: len(self.calls) >= times, timeout=timeout, poll=0.005)
        return self.calls

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._answer(await _read(reader), writer)
                    await writer.drain()
        except asyncio.CancelledError:
            pass  # the end of the test: a server's task that was cancelled is complained about
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, call: Call, writer: StreamWriter) -> None:
        self.calls.append(call)
        behave = self.script.pop(0) if self.script else self.behave
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await behave(call, writer)
        finally:
            self.open -= 1


async def _read(reader: StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
    return Call(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))

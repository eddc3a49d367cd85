"""A network to pull the plug of: TCP between a client and its server, while a direct connection is the witness."""

import asyncio
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK = 64 * 1024


class TcpProxy:
    """Passes bytes on until it is told otherwise.

    `cut` ends what is connected, `stall` holds every byte back, `refuse` lets nobody in; `heal` ends the last two.
    `lead_to` takes new connections elsewhere, as a load balancer does. `delay` is what each piece takes, in seconds.
    """

    def __init__(self, url: str, query: str | None = None) -> None:
        """In front of the server of this URL; `query` replaces the URL's own."""
        self._target = urlsplit(url)
        self._query = query
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._fuse: int | None = None
        self.delay = 0.0
        self.passed = 0  # bytes that went to the server

    @property
    def url(self) -> str:
        """The server's URL, by way of this proxy."""
        user, at, _ = self._target.netloc.rpartition("@")
        query = self._target.query if self._query is None else self._query
        return urlunsplit(self._target._replace(netloc=f"{user}{at}127.0.0.1:{self._port}", query=query))

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()

    def lead_to(self, url: str) -> None:
        """Connect whoever comes from now on to this server."""
        self._target = urlsplit(url)

    def cut(self) -> None:
        """End every connection at once, without a goodbye; new ones are let in."""
        self._fuse = None
        for pump in self._pumps:
            pump.cancel()
        for writer in self._writers:
            writer.transport.abort()

    def cut_after(self, size: int) -> None:
        """Cut when this many more bytes have gone to the server."""
        self._fuse = size

    def inject(self, data: bytes) -> None:
        """Say this to every client, as if the server had."""
        for client in self._clients & self._writers:
            client.write(data)

    def stall(self) -> None:
        """Hold every byte back, of new connections too, as a cable that was pulled."""
        self._flows.clear()

    async def refuse(self) -> None:
        """Cut, and let nobody in."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def heal(self) -> None:
        """Pass everything on again, also what was held back."""
        self._flows.set()
        if self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._clients.add(writer)
        try:
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(back)
        if self._listener is None:  # refused meanwhile
            self.cut()
        for pump in (self._pump(reader, back, True), self._pump(there, writer, False)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upwards: bool) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if upwards:
                    data = self._spend(data)
                writer.write(data)
                if self._fuse == 0:
                    self.cut()
                await writer.drain()
            await self._flows.wait()
        except OSError:
            pass  # one end is gone: so is the other
        finally:
            self._writers.discard(writer)
            self._clients.discard(writer)
            writer.close()

    def _spend(self, data: bytes) -> bytes:
        if self._fuse is not None:
            data = data[: self._fuse]
            self._fuse -= len(data)
        self.passed += len(data)
        return data

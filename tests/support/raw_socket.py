"""A WebSocket peer that keeps to no rule: it writes the bytes that a test gives it, and shows what came back.

async with RawSocket.open(gateway.url) as socket:
    socket.write(frame(PING, b"x"), frame(TEXT, b"{", fin=False))
    await socket.frame()
"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
BROKEN_OFF = 1006
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
TIMEOUT = 10.0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True, length: bytes | None = None
) -> bytes:
    """One frame (RFC 6455, section 5.2); `length` is what is said of its payload, when that is not true."""
    size = len(payload)
    if length is None:
        length = (
            bytes([size])
            if size < 126
            else b"\x7e" + struct.pack("!H", size)
            if size < 65536
            else b"\x7f" + struct.pack("!Q", size)
        )
    key = os.urandom(4) if mask else b""
    if mask:
        repeated = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        payload = (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")
        length = bytes([length[0] | 0x80]) + length[1:]
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + key + payload


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame; None for one without a code."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class Frame(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes
    rsv: int = 0

    @property
    def code(self) -> int | None:
        """Of a close frame."""
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


class RawSocket:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""  # of the answer to the handshake

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator[Self]:
        """TCP alone."""
        address = urlsplit(url)
        socket = cls(*await asyncio.open_connection(address.hostname, address.port))
        try:
            yield socket
        finally:
            await socket.drop()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, path: str = "/ws/chat", **headers: str | None) -> AsyncIterator[Self]:
        """A socket that is open."""
        async with cls.connect(url) as socket:
            socket.write(handshake(path, **headers))
            async with asyncio.timeout(TIMEOUT):
                socket.head = await socket.reader.readuntil(b"\r\n\r\n")
            assert b" 101 " in socket.head.partition(b"\r\n")[0], socket.head
            yield socket

    def write(self, *data: bytes) -> None:
        """All of it at once."""
        self.writer.write(b"".join(data))

    async def frame(self) -> Frame:
        """The next frame. Raises asyncio.IncompleteReadError at the end, ConnectionError when it was cut off."""
        async with asyncio.timeout(TIMEOUT):
            first, size = await self.reader.readexactly(2)
            assert size < 128, "a server masks nothing"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return Frame(first & 0x0F, await self.reader.readexactly(size), first >> 4 & 0x07)

    async def frames(self) -> list[Frame]:
        """All that come until the server has ended the connection."""
        found = []
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                found.append(await self.frame())
        return found

    async def closed(self) -> int:
        """The code with which the server closes, and then ends the connection."""
        codes = [frame.code or 1005 for frame in await self.frames() if frame.opcode == CLOSE]
        assert len(codes) <= 1, "nothing follows a close frame"
        return codes[0] if codes else BROKEN_OFF

    async def ended(self) -> bytes:
        """Everything that comes until the server has ended the connection."""
        data = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT):
                while more := await self.reader.read(65536):
                    data += more
        return data

    async def drop(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


def handshake(path: str = "/ws/chat", **headers: str | None) -> bytes:
    """A request for a socket; headers are written with `_` for `-`, and left out when None."""
    wanted = {"Host": "chat.example", **HANDSHAKE, **{name.replace("_", "-"): v for name, v in headers.items()}}
    lines = [f"{name}: {value}\r\n" for name, value in wanted.items() if value is not None]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")

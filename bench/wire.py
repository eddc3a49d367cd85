"""A WebSocket client that costs little, so that one process can load several gateways.

Enough of RFC 6455 for our own gateway: text frames that are not fragmented, pings answered, no extensions.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

Frame = dict[str, Any]
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# The mask protects proxies from scripts of web pages (RFC 6455, section 10.3). One of zeros is the cheapest to apply.
NO_MASK = bytes(4)
CONNECT_TIMEOUT = 20.0


class Wire(asyncio.Protocol):
    """One connection: `on_frame` is called with each frame, `on_close` with the reason when it ends unasked."""

    def __init__(self, on_frame: Callable[[Frame], None], on_close: Callable[[str], None]) -> None:
        self._on_frame = on_frame
        self._on_close = on_close
        self._buffer = b""
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._why = "connection lost"
        self._closing = False

    async def connect(self, url: str) -> None:
        """Connect to `ws://host:port/path`. Raises OSError, TimeoutError."""
        parts = urlsplit(url)
        if parts.scheme != "ws":
            raise ValueError(f"{url}: the load generator speaks ws:// only")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await loop.create_connection(lambda: self, parts.hostname or "", parts.port or 80)
            assert self._transport is not None
            key = base64.b64encode(os.urandom(16)).decode()
            self._transport.write(
                f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            await self._open

    def send(self, frame: Frame) -> None:
        """Write one text frame."""
        self._write(TEXT, orjson.dumps(frame))

    def close(self) -> None:
        """Close; `on_close` is not called."""
        self._closing = True
        if self._transport is not None and not self._transport.is_closing():
            self._write(CLOSE, struct.pack("!H", 1000))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own do not inherit from it

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames."""
        buffer = self._buffer + data if self._buffer else data
        if not self._open.done():
            head, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._open.set_exception(OSError(f"no WebSocket: {head[:80]!r}"))
                return
            self._open.set_result(None)
        self._buffer = self._frames(buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ended, by whichever side."""
        if not self._open.done():
            self._open.set_exception(OSError(self._why))
        elif not self._closing:
            self._on_close(self._why)

    def _frames(self, buffer: bytes) -> bytes:
        """Handle every complete frame; return what is left."""
        at, size = 0, len(buffer)
        while size - at >= 2:
            length, start = buffer[at + 1] & 0x7F, at + 2
            if length == 126:
                start += 2
                length = int.from_bytes(buffer[at + 2 : start], "big") if size >= start else size
            elif length == 127:
                start += 8
                length = int.from_bytes(buffer[at + 2 : start], "big") if size >= start else size
            if size < start + length:
                break
            self._handle(buffer[at] & 0x0F, buffer[start : start + length])
            at = start + length
        return buffer[at:]

    def _handle(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._on_frame(orjson.loads(payload))
        elif kind == PING:
            self._write(PONG, payload)
        elif kind == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            self._why = f"closed with {code} {payload[2:].decode(errors='replace')!r}"
            if self._transport is not None:
                self._transport.close()

    def _write(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        length = len(payload)
        if length < 126:
            head = bytes((0x80 | kind, 0x80 | length))
        elif length < 65536:
            head = struct.pack("!BBH", 0x80 | kind, 0xFE, length)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0xFF, length)
        self._transport.write(head + NO_MASK + payload)

"""One HTTP connection that costs little: a general client would take longer than what it measures."""

import asyncio
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from bench.target import BenchError

TIMEOUT = 10.0


class Rest:
    """GETs one after the other, over one connection that stays open."""

    def __init__(self, url: str, token: str) -> None:
        self._parts = urlsplit(url)
        self._token = token

    async def __aenter__(self) -> Self:
        host, port = self._parts.hostname, self._parts.port or 80
        self._reader, self._writer = await asyncio.open_connection(host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, path: str) -> Any:
        """The body of a 200."""
        self._writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._parts.netloc}\r\nAuthorization: Bearer {self._token}\r\n\r\n".encode()
        )
        async with asyncio.timeout(TIMEOUT):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self._reader.readexactly(int(headers["content-length"]))
        if " 200 " not in status:
            raise BenchError(f"{path} answered {status}: {body[:200]!r}")
        return orjson.loads(body)

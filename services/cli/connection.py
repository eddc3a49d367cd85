"""A connection that is kept up: authenticated, pinged, and made anew, with full-jitter back-off, when it is lost.

It knows nothing of conversations; whoever it is for gets the frames.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from contracts.errors import CloseCode
from services.cli.gateway import CommandError, Rest, Unreachable, uses_proxy, websocket_url

Frame = dict[str, Any]
PING_INTERVAL = 25.0
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
CLOSED_ABNORMALLY = 1006  # RFC 6455, section 7.1.5


class Client(Protocol):
    """Whom a connection is for."""

    async def authenticated(self, user_id: str, history: str | None) -> None:
        """A new connection can be used, to what is stored under this name."""

    async def received(self, frame: Frame) -> None:
        """What the gateway says. May raise Lost, or CommandError to end for good."""

    def lost(self) -> None:
        """The connection is gone, and another one will come."""

    def notice(self, text: str) -> None:
        """Something that the user should know."""

    def ping(self) -> Frame:
        """What to say with a ping."""


class Lost(Exception):
    """The connection is of no use any more; another one is to be made."""


def reconnects(code: int) -> bool:
    """Whether to come back after this close code."""
    try:
        return CloseCode(code).reconnect
    except ValueError:
        return code != CloseCode.NORMAL and code < CloseCode.AUTHENTICATION_FAILED


def backoff(attempt: int) -> float:
    """Full jitter: anything up to a bound that doubles, so that clients do not come back all at once."""
    return random.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2**attempt))  # noqa: S311 - spreads load, guards nothing


class Connection:
    """`run` keeps it up; `post` may be called meanwhile. `rest` are the REST calls of the same user and gateway."""

    def __init__(self, urls: list[str], token: Callable[[str], Awaitable[str]], client: Client) -> None:
        """`token` is asked at every connection, with the gateway's URL, so that an expired one is replaced."""
        self.rest = Rest(urls[0])
        self._urls = urls
        self._token = token
        self._client = client
        self._socket: ClientConnection | None = None
        self._refusal = ""
        self._failures = 0

    async def run(self) -> NoReturn:
        """Until cancelled.

        Raises:
            CommandError: when there is no use in trying again.
        """
        while True:
            delay = await self._once()
            self._client.lost()
            await asyncio.sleep(delay)

    def works(self) -> None:
        """It does what it is for: the next failure is a first one."""
        self._failures = 0

    async def post(self, frame: Frame) -> None:
        """Send a frame; without a connection, nothing."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):  # the reader sees it too, and acts
                await _write(self._socket, frame)

    async def _once(self) -> float:
        """One connection from its beginning to its end; returns how long to wait before the next."""
        url = self._urls[self._failures % len(self._urls)]  # another gateway may be well
        try:
            self.rest = Rest(url, await self._token(url))
            async with connect(websocket_url(url), compression=None, proxy=uses_proxy(url) or None) as socket:
                await self._serve(socket)
        except ConnectionClosed as closed:
            return self._delay_after(closed)
        except (Lost, Unreachable, OSError, TimeoutError, InvalidHandshake) as error:
            return self._delay(str(error) or "No answer")
        except InvalidURI as error:
            raise CommandError(str(error)) from None
        return self._delay("The connection ended")

    async def _serve(self, socket: ClientConnection) -> None:
        """Authenticate, then read. Ends by an exception, ConnectionClosed for most."""
        await _write(socket, {"type": "authenticate", "token": self.rest.token})
        pinging = asyncio.create_task(self._ping(socket))
        try:
            while True:
                frame = json.loads(await socket.recv())
                match frame["type"]:
                    case "authenticated":
                        self._socket = socket
                        await self._client.authenticated(frame["userId"], frame.get("history"))
                    case "auth_error":
                        self._refusal = frame["error"]  # the close that follows says whether to come back
                    case _:
                        await self._client.received(frame)
        finally:
            self._socket = None
            pinging.cancel()

    async def _ping(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_INTERVAL)
                await _write(socket, {"type": "ping", **self._client.ping()})

    def _delay_after(self, closed: ConnectionClosed) -> float:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (CLOSED_ABNORMALLY, "")
        if not reconnects(code):
            raise CommandError(self._refusal or f"The gateway closed the connection: {reason or code}")
        if code == CloseCode.DRAINING:
            with contextlib.suppress(ValueError, LookupError, TypeError):
                return min(float(json.loads(reason)["reconnectInMs"]) / 1000, LONGEST_DELAY)
        return self._delay(f"The connection was lost ({reason or code})")

    def _delay(self, why: str) -> float:
        if self._failures == 0:
            self._client.notice(f"{why}; trying again")
        self._failures += 1
        return backoff(self._failures)


async def _write(socket: ClientConnection, frame: Frame) -> None:
    await socket.send(json.dumps(frame, ensure_ascii=False))

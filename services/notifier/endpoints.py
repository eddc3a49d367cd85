"""Calls of other people's endpoints, each of which may be slow, wrong or hostile: it costs us a bounded time and memory.

The status decides. The beginning of the body is kept for whoever looks into the log, and changes nothing: neither its
length nor a lie about it.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpcore
import httpx

from services.notifier.addresses import Forbidden, Resolver

KEPT = 1024  # bytes of an answer's body that are read
BODY_SECONDS = 2.0  # for which they are waited for
IDLE_SECONDS = 30.0  # for which a connection waits for the next call
IDLE_CONNECTIONS = 32  # that wait at most: httpcore looks at each of them with every call

Outcome = Literal["delivered", "gone", "refused", "timeout", "connection", "forbidden_address"]
BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call.

    Attributes:
        seconds: how long it took.
        status: of HTTP, if there was an answer.
        body: its beginning, as text.
        retry_after: seconds for which the endpoint asks to be left alone.
        error: what went wrong without an answer, for people.
    """

    outcome: Outcome
    seconds: float
    status: int | None = None
    body: str | None = None
    retry_after: float = 0.0
    error: str | None = None


class Endpoints:
    """Calls endpoints; connections are kept for the next call for a while."""

    def __init__(self, resolver: Resolver, *, connect_timeout: float, timeout: float, connections: int) -> None:
        self._resolver = resolver
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        context = httpx.create_ssl_context()
        # What is not encrypted stays in the networks that the operator named.
        self._https, self._http = (
            httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=connections,
                max_keepalive_connections=IDLE_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
                network_backend=_Checked(resolver, named_only=named_only),
            )
            for named_only in (False, True)
        )

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(self._https.aclose(), self._http.aclose())
        self._resolver.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Call once. Redirects are answers like any other, and not followed."""
        begun = time.monotonic()
        pool = self._http if url.lower().startswith("http:") else self._https
        head: httpcore.Response | None = None
        kept: list[bytes] = []

        def answer(outcome: Outcome, error: str | None = None) -> Answer:
            return Answer(outcome, time.monotonic() - begun, error=error)

        try:
            async with (
                asyncio.timeout(self._timeout),
                pool.stream(
                    "POST",
                    url,
                    headers=list(headers.items()),
                    content=body,
                    extensions={"timeout": {"connect": self._connect_timeout}},
                ) as response,
            ):
                head = response
                await _read(response, kept)
        except Forbidden as error:
            return answer("forbidden_address", str(error))
        except (TimeoutError, httpcore.TimeoutException):
            if head is None:
                return answer("timeout", f"no answer within {self._timeout:g} s")
        except (*BROKEN, httpcore.UnsupportedProtocol, ValueError) as error:
            if head is None:
                return answer("connection", _plain(error))
        assert head is not None
        text = b"".join(kept)[:KEPT].decode(errors="replace").replace("\0", "\ufffd")
        return Answer(
            _outcome(head.status), time.monotonic() - begun, head.status, text or None, _retry_after(head.headers)
        )


async def _read(response: httpcore.Response, kept: list[bytes]) -> None:
    """The beginning of the body, if it comes soon."""
    size = 0
    with suppress(TimeoutError, *BROKEN):
        async with asyncio.timeout(BODY_SECONDS), aclosing(response.aiter_stream()) as parts:  # type: ignore[type-var]
            async for part in parts:
                kept.append(part[:KEPT])
                size += len(part)
                if size > KEPT:
                    break


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == 410 else "refused"


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Of `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date."""
    text = next((value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), "")
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 8 else 0.0
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < 10_000_000 else 0.0


def _plain(error: Exception) -> str:
    """What went wrong, without addresses, paths and numbers of errors, which are our operator's business."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectError):
        return "no connection"
    return "the connection broke" if isinstance(error, httpcore.NetworkError) else "this is no HTTP"


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, resolver: Resolver, *, named_only: bool) -> None:
        self._resolver = resolver
        self._named_only = named_only
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first address that lets us in."""
        failed: Exception = httpcore.ConnectError("the name has no address")
        try:
            async with asyncio.timeout(timeout):
                for address in await self._resolver.resolve(host, port, named_only=self._named_only):
                    try:
                        return await self._inner.connect_tcp(str(address), port, socket_options=socket_options)
                    except httpcore.ConnectError as error:
                        failed = error
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError("the name has no address") from error
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise Forbidden("a socket of this machine may not be called")

    async def sleep(self, seconds: float) -> None:
        """Between attempts to connect, of which httpcore makes one."""
        await self._inner.sleep(seconds)

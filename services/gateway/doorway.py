"""HTTP until it is a call or a socket: uvicorn's protocol, with bounds for those who take their time or more than that.

A request must have come within its time and size, an answer must be taken in time; otherwise the connection is cut. While a
connection is between two calls it is one of the strangers. uvicorn is told to use this class by its import path
(`http="services.gateway.doorway:Doorway"`); what it must know comes to it in the lifespan's state.
"""

import asyncio
from dataclasses import dataclass

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contracts.limits import BODY_BYTES
from services.gateway.strangers import STRANGERS, Strangers

PATIENCE = "palabre.patience"  # in the lifespan's state
HEAD_BYTES = 64 * 1024
REQUEST_BYTES = HEAD_BYTES + 4 * BODY_BYTES  # a body that is too long is read so far, for its sender to read the answer


@dataclass(frozen=True)
class Patience:
    """How many seconds a connection has."""

    head: float  # for the head of a request to come
    whole: float  # for all of it to come, and for its answer to be taken


class Doorway(HttpToolsProtocol):
    """One connection, until it ends or is a WebSocket."""

    _patience: Patience
    _strangers: Strangers
    _until: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _size = 0  # of the request that is coming
    _reading_head = True
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come."""
        super().connection_made(transport)
        self._patience = self.app_state[PATIENCE]
        self._strangers = self.app_state[STRANGERS]
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._until is None and not self._answering:
            self._await_request()  # also for what is no request yet, as an empty line
        self._size += len(data)
        super().data_received(data)
        if self._size > (HEAD_BYTES if self._reading_head else REQUEST_BYTES):
            self._refuse(b"431 Request Header Fields Too Large" if self._reading_head else b"413 Content Too Large")

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_request(self) -> None:
        self._strangers.came(self, self.client, self.transport.abort)
        self._wait(self._patience.head)

    def _wait(self, seconds: float) -> None:
        self._wait_no_longer()
        self._until = self.loop.call_later(seconds, self._refuse, b"408 Request Timeout")

    def _wait_no_longer(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None

    def _refuse(self, status: bytes) -> None:
        """Say why, unless an answer has begun, and end the connection."""
        if self.transport.is_closing():
            return
        if not (self._answering and self.cycle.response_started):
            self.transport.write(b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
        self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reading_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is here."""
        self._reading_head = False
        self._wait(self._patience.whole)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._size = 0
        self._reading_head = True
        self._wait_no_longer()
        self._strangers.left(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered; the connection is kept a moment for another one."""
        if not self.transport.is_closing():
            self._strangers.came(self, self.client, self.transport.abort)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """It is a WebSocket from here on, with bounds of its own (`wire.py`)."""
        self._end()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """The peer does not take what it asked for, or slowly."""
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(self._patience.whole, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._end()
        if self._running is not None:
            self._running.disconnected = True  # uvicorn tells the last call of the pipeline, not the one that runs
        super().connection_lost(exc)

    def _end(self) -> None:
        self._wait_no_longer()
        self._taken()
        self._strangers.left(self)

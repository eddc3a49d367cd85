"""`python -m services.gateway`: settings, server, signals."""

import asyncio
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from services.gateway.app import create_app, drain
from services.gateway.settings import Settings
from services.settings import load
from services.telemetry import heed_signals, logger


class Server(uvicorn.Server):
    """uvicorn that sends its sockets elsewhere before it stops (by itself it would cut them off at once)."""

    draining: asyncio.Task[None] | None = None

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As its parent does; and leave, as on a signal, when a part of the gateway has ended."""
        await super().startup(sockets=sockets)
        self._watch = asyncio.create_task(self._leave_broken())

    async def _leave_broken(self) -> None:
        await self._app.state.failed.wait()
        if self.draining is None:
            self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, a second one ends at once."""
        if self.draining is not None:
            self.force_exit = True
            return
        loop = asyncio.get_running_loop()
        self.draining = loop.create_task(self._drain())
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop: signals arrive between two of its turns

    async def _drain(self) -> None:
        try:
            gateway = self._app.state.gateway
            async with asyncio.timeout(gateway.settings.shutdown_timeout):
                await drain(gateway)
        except TimeoutError:
            logger().warning("drained too slowly")
        except Exception:
            logger().exception("draining failed")
        finally:
            self.should_exit = True  # super's way would end the process by the signal, as if it had failed


def main() -> None:
    """Run one gateway until SIGTERM or SIGINT. The exit status is 1 where a part of it has ended by itself."""
    settings = load(Settings)
    heed_signals()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="services.gateway.doorway:Doorway",
        ws="services.gateway.wire:Wire",
        ws_max_size=settings.ws_max_frame,
        ws_ping_interval=None,
        ws_per_message_deflate=settings.ws_compression,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    Server(config, app).run()
    if app.state.failed.is_set():
        sys.exit(1)


if __name__ == "__main__":
    main()

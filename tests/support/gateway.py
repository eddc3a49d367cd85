"""A gateway inside the test's own process, served by uvicorn as `services/gateway/__main__.py` serves it."""

import asyncio
from typing import Any, Self

import uvicorn

from deploy.local.process import free_port
from services.gateway.app import create_app
from services.gateway.parts import Gateway
from services.gateway.peer import Peer
from services.gateway.settings import Settings
from services.settings import WorkerSettings
from services.worker import QuietServer


def gateway_beside(worker: WorkerSettings, **special: Any) -> Settings:
    """Settings of a gateway with the same servers and names as this worker, and health on its own port."""
    shared = set(Settings.model_fields) & set(type(worker).model_fields) - {"http_port"}
    return Settings(**worker.model_dump(include=shared) | special)


class InProcessGateway:
    """Serves inside its block."""

    def __init__(self, settings: Settings) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws/chat"
        self._app = create_app(settings)
        self._server = QuietServer(
            uvicorn.Config(
                self._app,
                port=port,
                http="services.gateway.doorway:Doorway",
                ws="services.gateway.wire:Wire",
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def parts(self) -> Gateway:
        """What it is made of."""
        parts: Gateway = self._app.state.gateway
        return parts

    def peer(self, user_id: str) -> Peer:
        """The one connection of somebody."""
        (peer,) = [peer for peer in self.parts.sockets if isinstance(peer, Peer) and peer.user_id == user_id]
        return peer

    def wire(self, user_id: str) -> Any:
        """The socket under that connection."""
        return self.peer(user_id)._wire

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._server.serve())
        async with asyncio.timeout(20):
            while not self._server.started:
                await asyncio.sleep(0.01)
            await self.parts.broker.publisher.up.wait()
            await self.parts.broker.consumer.up.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        assert self._serving is not None
        await self._serving

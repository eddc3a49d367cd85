"""`/ws/chat`: who may open a socket."""

import json
import random
from urllib.parse import urlsplit

from starlette.websockets import WebSocket

from contracts.errors import CloseCode
from services.gateway.outbox import Outbox
from services.gateway.parts import Gateway
from services.gateway.peer import Peer
from services.gateway.settings import Settings
from services.gateway.wire import EXTENSION, Wire
from services.telemetry import logger


def origin_allowed(settings: Settings, origin: str | None, host: str | None) -> bool:
    """Whether a page from this origin may connect. Clients without an origin are not browsers."""
    if origin is None or "*" in settings.allowed_origins:
        return True
    if settings.allowed_origins:
        return origin.rstrip("/") in settings.allowed_origins
    return host is not None and urlsplit(origin).netloc == host


def come_back_later(settings: Settings) -> str:
    """The reason of a close with 1012: when to come back, spread at random so that not all do at once."""
    wait = int(random.uniform(0.1, 1.0) * settings.drain_spread * 1000)  # noqa: S311 - spreads load
    return json.dumps({"reconnectInMs": wait})


async def endpoint(gateway: Gateway, websocket: WebSocket) -> None:
    """Let a socket in; from then on its `Peer` reads it."""
    wire: Wire = websocket.scope["extensions"][EXTENSION]
    await websocket.accept()
    outbox = Outbox(wire, gateway.settings.ws_queue_bytes, gateway.turn)
    if gateway.draining:
        outbox.close(CloseCode.DRAINING, come_back_later(gateway.settings))
        return
    if not origin_allowed(gateway.settings, websocket.headers.get("origin"), websocket.headers.get("host")):
        logger().warning("origin refused", origin=websocket.headers.get("origin"))
        outbox.close(CloseCode.ORIGIN_NOT_ALLOWED, "origin not allowed")
        return
    wire.attach(Peer(gateway, wire, outbox))

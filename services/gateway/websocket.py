"""`/ws/chat`: who may open a socket."""

import json
import random
from urllib.parse import urlsplit

from websockets.datastructures import Headers

from contracts.errors import CloseCode
from services.gateway.outbox import Outbox
from services.gateway.parts import Gateway
from services.gateway.peer import Peer
from services.gateway.settings import Settings
from services.gateway.wire import Wire
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


def admit(gateway: Gateway, wire: Wire, headers: Headers) -> None:
    """Let a socket in; from then on its `Peer` reads it."""
    outbox = Outbox(wire, gateway.settings.ws_queue_bytes, gateway.turn)
    if gateway.draining:
        outbox.close(CloseCode.DRAINING, come_back_later(gateway.settings))
        return
    origin = _first(headers, "Origin")
    if not origin_allowed(gateway.settings, origin, _first(headers, "Host")):
        logger().warning("origin refused", origin=origin)
        outbox.close(CloseCode.ORIGIN_NOT_ALLOWED, "origin not allowed")
        return
    wire.attach(Peer(gateway, wire, outbox))


def _first(headers: Headers, name: str) -> str | None:
    values = headers.get_all(name)
    return values[0] if values else None

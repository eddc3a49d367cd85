"""What all connections and calls of this gateway share."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from services.amqp import Broker
from services.gateway.auth import Verifier
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.hub import Hub
from services.gateway.ingress import Ingress
from services.gateway.limits import Buckets
from services.gateway.outbox import Turn
from services.gateway.presence import Presence
from services.gateway.profiles import Profiles
from services.gateway.search import Search
from services.gateway.settings import Settings


class Closable(Protocol):
    """An open socket, whether somebody has authenticated on it or not."""

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code of ours."""


@dataclass
class Gateway:
    """The parts of this process, put together in `app.py`."""

    settings: Settings
    verifier: Verifier
    broker: Broker
    history: History
    ingress: Ingress
    egress: Egress
    profiles: Profiles
    search: Search
    buckets: dict[str, Buckets] = field(default_factory=dict)
    sockets: set[Closable] = field(default_factory=set)
    turn: Turn = field(default_factory=lambda: Turn(asyncio.get_running_loop().call_soon))
    draining: bool = False

    @property
    def hub(self) -> Hub:
        """Rooms and connections."""
        return self.egress.hub

    @property
    def presence(self) -> Presence:
        """Who is here, and who is told."""
        return self.egress.presence

    def buckets_of(self, user_id: str) -> Buckets:
        """The buckets of all of a user's connections and calls here."""
        return self.buckets.setdefault(user_id, Buckets.of(self.settings, asyncio.get_running_loop().time()))

    def forget_idle_buckets(self) -> None:
        """Buckets of people who have no connection are full again soon: a few minutes are enough to remember them."""
        cutoff = asyncio.get_running_loop().time() - 300
        for user_id in [u for u, b in self.buckets.items() if u not in self.hub.users and b.frames.at < cutoff]:
            del self.buckets[user_id]

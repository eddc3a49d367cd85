"""What all connections and calls of this gateway share."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from services.amqp import Broker
from services.gateway.auth import Identity, Verifier
from services.gateway.directory import Directory
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.hub import Hub
from services.gateway.ingress import Ingress
from services.gateway.limits import Buckets
from services.gateway.notifications import Notifications
from services.gateway.outbox import Turn
from services.gateway.presence import Presence
from services.gateway.profiles import Profiles
from services.gateway.search import Search
from services.gateway.settings import Settings
from services.gateway.typing import Rounds
from services.gateway.webhooks import Webhooks


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
    directory: Directory
    ingress: Ingress
    egress: Egress
    profiles: Profiles
    search: Search
    notifications: Notifications
    webhooks: Webhooks
    typing: Rounds
    buckets: dict[tuple[str, bool], Buckets] = field(default_factory=dict)
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

    def buckets_of(self, identity: Identity) -> Buckets:
        """The buckets of all of a user's connections and calls here; of a service account others than of a person."""
        key = identity.user_id, identity.is_service
        if (known := self.buckets.get(key)) is None:
            now = asyncio.get_running_loop().time()
            known = self.buckets[key] = Buckets.of(self.settings, now, service=identity.is_service)
        return known

    def forget_idle_buckets(self) -> None:
        """Buckets of people who have no connection are full again soon: a few minutes are enough to remember them."""
        cutoff = asyncio.get_running_loop().time() - 300
        idle = [key for key, b in self.buckets.items() if key[0] not in self.hub.users and b.frames.at < cutoff]
        for key in idle:
            del self.buckets[key]

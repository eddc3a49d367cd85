"""Webhooks put together: what is consumed, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable

from services.amqp import Broker, Inbox
from services.mongo import Database
from services.notifier.addresses import Resolver
from services.notifier.endpoints import Endpoints
from services.notifier.settings import Settings
from services.notifier.webhook import events
from services.notifier.webhook.delivering import CHANNEL, Deliverer


class WebhookWork:
    """Everything about webhooks that runs beside the broker. To be made before the broker runs.

    Attributes:
        parts: each runs until cancelled.
    """

    def __init__(
        self, settings: Settings, broker: Broker, database: Database, inbox: Callable[[], Inbox] = Inbox
    ) -> None:
        topology = broker.topology
        happened, jobs = inbox(), inbox()
        broker.subscribe(topology.webhook_events, happened, prefetch=settings.prefetch)
        broker.subscribe(topology.channel_queue(CHANNEL), jobs, prefetch=settings.webhook_prefetch)
        self._endpoints = Endpoints(
            Resolver(settings.call_networks),
            connect_timeout=settings.webhook_connect_timeout,
            timeout=settings.webhook_timeout,
            connections=settings.webhook_prefetch,
        )
        self._deliverer = Deliverer(settings, broker, database, jobs, self._endpoints)
        self._looked = asyncio.Event()
        self.parts: list[Awaitable[None]] = [
            events.listen(settings, broker, database, self._looked),
            events.consume(settings, broker, database, happened),
            self._deliverer.run(),
        ]

    def check(self) -> None:
        """Whether events reach webhooks, where there are some. Raises ConnectionError: that is not known yet."""
        if not self._looked.is_set():
            raise ConnectionError("events are not heard for webhooks yet")

    async def finish(self) -> None:
        """Begin no more calls; returns when those under way are over."""
        await self._deliverer.finish()

    async def close(self) -> None:
        """Hang up."""
        await self._endpoints.close()

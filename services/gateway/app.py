"""The gateway put together: what is opened, in which order, and how it is closed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from contracts.errors import CloseCode
from services import health, mongo, tracing
from services.amqp import Broker
from services.gateway import (
    administration,
    api,
    email_calls,
    message_calls,
    notification_calls,
    page,
    problems,
    push_calls,
    searching,
    webhook_calls,
)
from services.gateway.auth import Verifier
from services.gateway.directory import Directory
from services.gateway.doorway import PATIENCE, Patience
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.ingress import Ingress, new_id
from services.gateway.notifications import Notifications
from services.gateway.parts import Gateway
from services.gateway.paths import EncodedSlashes
from services.gateway.profiles import Profiles
from services.gateway.search import MongoSearch
from services.gateway.settings import Settings
from services.gateway.strangers import STRANGERS, Strangers
from services.gateway.traces import Traces
from services.gateway.typing import Rounds
from services.gateway.webhooks import Webhooks
from services.gateway.websocket import admit, come_back_later
from services.gateway.wire import DOOR
from services.telemetry import logger, start_logging
from services.worker import calm_garbage_collector, give_memory_back, serve_health

HOUSEKEEPING = 1.0  # seconds


def create_app(settings: Settings) -> FastAPI:
    """The application; its parts start and stop with it."""
    checks: dict[str, health.Check] = {}
    told = health.routes(
        checks, alive=lambda: not app.state.failed.is_set(), draining=lambda: app.state.gateway.draining
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        gateway_id = new_id()
        start_logging(settings, "gateway", gateway_id, *tracing.in_logs(settings))
        traced = tracing.start(settings, "gateway", gateway_id)
        client, database = mongo.connect(settings, f"gateway {gateway_id}")
        broker = Broker(settings.amqp_url, f"gateway {gateway_id}", settings.topology)
        history, directory = History(database), Directory(database)
        traces = None if traced is None else Traces(traced, settings.traces_ratio, settings.topology)
        ingress = Ingress(settings, broker, gateway_id, traces)
        gateway = Gateway(
            settings=settings,
            verifier=Verifier(settings),
            broker=broker,
            history=history,
            directory=directory,
            ingress=ingress,
            egress=Egress(settings, broker, history, directory, ingress, traces),
            profiles=Profiles(directory, ingress),
            search=MongoSearch(database),
            notifications=Notifications(database),
            webhooks=Webhooks(database, directory),
            typing=Rounds(broker),
        )
        if settings.jwt_jwks_url is not None and settings.jwt_audience is None:
            logger().warning(
                "JWT_AUDIENCE is not set: a token that the provider made for another application is good here too"
            )
        app.state.gateway = gateway
        checks.update(rabbitmq=broker.check, mongodb=partial(mongo.ping, database))
        work = [
            asyncio.create_task(part, name=name)
            for name, part in (
                ("broker", broker.run()),
                ("egress", gateway.egress.run()),
                ("recheck", gateway.egress.keep_up()),
                ("commands", ingress.run()),
                ("presence", gateway.presence.run()),
                ("answers", ingress.give_up_late()),
                ("housekeeping", keep_house(gateway)),
            )
        ]
        if settings.http_port is not None:
            work.append(asyncio.create_task(serve_health(settings.host, settings.http_port, told), name="health"))
        for task in work:
            task.add_done_callback(partial(_died, app))
        calm_garbage_collector()
        give_memory_back(asyncio.get_running_loop())
        try:
            yield {
                DOOR: partial(admit, gateway),
                STRANGERS: Strangers(settings.max_unauthenticated, settings.max_unauthenticated_per_address),
                PATIENCE: Patience(head=settings.auth_timeout, whole=settings.request_timeout),
            }
        finally:
            gateway.presence.leave()
            gateway.typing.flush()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
            if traced is not None:
                await asyncio.to_thread(traced.close)
            logger().info("stopped")

    app = FastAPI(
        title="Palabre",
        lifespan=lifespan,
        docs_url=None,  # it would load what shows it from elsewhere, with the rights of this origin: see page.py
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # the way there would be taken from `Host`, which anybody can write
    )
    app.state.failed = asyncio.Event()
    problems.install(app)
    app.include_router(api.router)
    app.include_router(administration.router)
    app.include_router(message_calls.router)
    app.include_router(searching.router)
    app.include_router(notification_calls.router)
    app.include_router(push_calls.router)
    app.include_router(push_calls.renewing)
    app.include_router(email_calls.router)
    app.include_router(email_calls.links)
    app.include_router(webhook_calls.router)
    app.include_router(api.development)
    app.add_middleware(EncodedSlashes)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
            max_age=600,
        )

    if settings.http_port is None:
        app.router.routes += told
    page.install(app, settings)
    return app


def _died(app: FastAPI, task: asyncio.Task[None]) -> None:
    """A part of the gateway ended by itself: nothing works without it, so the process is not alive any more, and leaves."""
    if not task.cancelled():
        logger().critical("a part of the gateway died", part=task.get_name(), exc_info=task.exception())
        app.state.failed.set()


async def keep_house(gateway: Gateway) -> None:
    """Close sockets when the broker is away for too long, and forget what is no longer needed; until cancelled."""
    while True:
        await asyncio.sleep(HOUSEKEEPING)
        gateway.forget_idle_buckets()
        downs = [gateway.broker.publisher.down_since, gateway.broker.consumer.down_since]
        since = min((down for down in downs if down is not None), default=None)
        if since is not None and time.monotonic() - since > gateway.settings.broker_lost_timeout:
            _close_all(gateway)


def _close_all(gateway: Gateway) -> None:
    for peer in list(gateway.sockets):
        peer.close(CloseCode.BROKER_LOST, "the broker is away")


async def drain(gateway: Gateway) -> None:
    """Finish what the clients asked for, then send them elsewhere, in batches and with spread hints."""
    gateway.draining = True
    settings = gateway.settings
    logger().info("draining", sockets=len(gateway.sockets), pending=gateway.ingress.pending)
    gateway.egress.reads.flush_all()
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.send_timeout):
            await gateway.ingress.settled()
    sockets = list(gateway.sockets)
    for start in range(0, len(sockets), settings.drain_batch):
        for peer in sockets[start : start + settings.drain_batch]:
            peer.close(CloseCode.DRAINING, come_back_later(settings))
        await asyncio.sleep(0.1)

"""The gateway put together: what is opened, in which order, and how it is closed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from contracts.errors import CloseCode
from services import health, mongo
from services.amqp import Broker
from services.gateway import administration, api, message_calls, page, problems, searching
from services.gateway.auth import Verifier
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.ingress import Ingress, new_id
from services.gateway.parts import Gateway
from services.gateway.profiles import Profiles
from services.gateway.search import MongoSearch
from services.gateway.settings import Settings
from services.gateway.websocket import admit, come_back_later
from services.gateway.wire import DOOR, Door
from services.telemetry import logger, metrics_response, start_logging
from services.worker import calm_garbage_collector

HOUSEKEEPING = 1.0  # seconds


def create_app(settings: Settings) -> FastAPI:
    """The application; its parts start and stop with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Door]]:
        gateway_id = new_id()
        start_logging(settings, "gateway", gateway_id)
        client, database = mongo.connect(settings, f"gateway {gateway_id}")
        broker = Broker(settings.amqp_url, f"gateway {gateway_id}", settings.topology)
        history = History(database)
        ingress = Ingress(settings, broker, gateway_id)
        gateway = Gateway(
            settings=settings,
            verifier=Verifier(settings),
            broker=broker,
            history=history,
            ingress=ingress,
            egress=Egress(settings, broker, history, ingress),
            profiles=Profiles(history, ingress),
            search=MongoSearch(database),
        )
        app.state.gateway = gateway
        app.state.failed = asyncio.Event()
        app.state.checks = {"rabbitmq": broker.check, "mongodb": partial(mongo.ping, database)}
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
        for task in work:
            task.add_done_callback(partial(_died, app))
        calm_garbage_collector()
        try:
            yield {DOOR: partial(admit, gateway)}
        finally:
            gateway.presence.leave()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
            logger().info("stopped")

    app = FastAPI(title="Palabre", lifespan=lifespan, docs_url="/api/docs", openapi_url="/api/openapi.json")
    problems.install(app)
    app.include_router(api.router)
    app.include_router(administration.router)
    app.include_router(message_calls.router)
    app.include_router(searching.router)
    app.include_router(api.development)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
            max_age=600,
        )

    @app.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
    async def healthz() -> Response:
        failed = app.state.failed.is_set()
        return JSONResponse({"alive": not failed}, 500 if failed else 200)

    @app.api_route("/readyz", methods=["GET", "HEAD"], include_in_schema=False)
    async def readyz() -> Response:
        if app.state.gateway.draining:
            return JSONResponse({"ready": False, "missing": {"gateway": "draining"}}, 503)
        return await health.readiness(app.state.checks)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return metrics_response()

    page.install(app, settings)
    return app


def _died(app: FastAPI, task: asyncio.Task[None]) -> None:
    """A part of the gateway ended by itself: nothing works without it, so the process is not alive any more."""
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

"""`python -m services.notifier`: wiring only."""

import asyncio
from functools import partial

import uuid_utils

from services import health, mongo, tracing, worker
from services.amqp import Broker
from services.notifier.settings import Settings
from services.notifier.traces import Traces
from services.notifier.webhook.work import WebhookWork
from services.notifier.work import work
from services.settings import load
from services.telemetry import logger, start_logging


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run one notifier until `stop`."""
    notifier_id = uuid_utils.uuid7().hex
    start_logging(settings, "notifier", notifier_id, *tracing.in_logs(settings))
    traced = tracing.start(settings, "notifier", notifier_id)
    client, database = mongo.connect(settings, f"notifier {notifier_id}", traced)
    broker = Broker(settings.amqp_url, f"notifier {notifier_id}", settings.topology)
    traces = None if traced is None else Traces(traced, settings.topology)
    parts = work(settings, broker, database, notifier_id, traces=traces)
    webhooks = WebhookWork(settings, broker, database)

    async def rabbitmq() -> None:
        await broker.check()
        webhooks.check()  # what persisters tell before would pass them by, so persisters may wait for us

    checks: dict[str, health.Check] = {"rabbitmq": rabbitmq, "mongodb": partial(mongo.ping, database)}

    async def run() -> None:
        await mongo.surely_create_collections(database, "notifier")
        await broker.run()

    async def finish() -> None:
        """What is in hand is delivered again to another notifier, and gateways drop what they had; programs may not."""
        await webhooks.finish()

    try:
        await worker.until_stopped(
            stop,
            worker.serve_health(settings.host, settings.http_port, health.routes(checks)),
            run(),
            *parts,
            *webhooks.parts,
            finish=finish,
            timeout=settings.shutdown_timeout,
        )
    finally:
        await webhooks.close()
        await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
        if traced is not None:
            await asyncio.to_thread(traced.close)
    logger().info("stopped")


if __name__ == "__main__":
    _settings = load(Settings)
    worker.run(lambda stop: main(_settings, stop))

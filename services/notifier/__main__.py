"""`python -m services.notifier`: wiring only."""

import asyncio
from functools import partial

import uuid_utils

from services import mongo, worker
from services.amqp import Broker, Inbox
from services.health import Check
from services.notifier.consumer import consume
from services.notifier.settings import Settings
from services.settings import load
from services.telemetry import logger, start_logging


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run one notifier until `stop`."""
    notifier_id = uuid_utils.uuid7().hex
    start_logging(settings, "notifier", notifier_id)
    client, database = mongo.connect(settings, f"notifier {notifier_id}")
    broker = Broker(settings.amqp_url, f"notifier {notifier_id}", settings.topology)
    inbox = Inbox()
    broker.subscribe(settings.topology.notifier_queue, inbox, prefetch=settings.prefetch)
    checks: dict[str, Check] = {"rabbitmq": broker.check, "mongodb": partial(mongo.ping, database)}

    async def finish() -> None:
        """What is in hand is delivered again to another notifier, and gateways drop what they had."""

    try:
        await worker.until_stopped(
            stop,
            worker.serve_health(settings, checks),
            broker.run(),
            consume(settings, broker, database, inbox),
            finish=finish,
            timeout=settings.shutdown_timeout,
        )
    finally:
        await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
    logger().info("stopped")


if __name__ == "__main__":
    _settings = load(Settings)
    worker.run(lambda stop: main(_settings, stop))

"""`python -m services.persister`: wiring only."""

import asyncio
from functools import partial

import uuid_utils

from services import health, mongo, tracing, worker
from services.amqp import Broker, Inbox
from services.persister import erasing
from services.persister.consumer import Consumer
from services.persister.peers import Peers
from services.persister.settings import Settings
from services.persister.traces import Traces
from services.settings import load
from services.telemetry import logger, start_logging


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run one persister until `stop`."""
    persister_id = uuid_utils.uuid7().hex
    start_logging(settings, "persister", persister_id, *tracing.in_logs(settings))
    traced = tracing.start(settings, "persister", persister_id)
    client, database = mongo.connect(settings, f"persister {persister_id}", traced)
    broker = Broker(settings.amqp_url, f"persister {persister_id}", settings.topology)
    inbox = Inbox()
    traces = None if traced is None else Traces(traced, settings.topology)
    consumer = Consumer(settings, broker, database, inbox, traces)
    partitions = [
        broker.subscribe(settings.topology.persister_queue(number), inbox, prefetch=settings.prefetch)
        for number in range(settings.partitions)
    ]

    async def step_back(numbers: list[int]) -> None:
        """Go to the end of the line of these partitions, between two batches."""
        async with consumer.at_rest():
            await broker.step_back([partitions[number] for number in numbers])

    peers = Peers(broker, persister_id, settings.partitions, step_back)

    async def work() -> None:
        await mongo.surely_create_collections(database, "persister")
        async with asyncio.TaskGroup() as group:
            taken_up = erasing.take_up(database, broker, persister_id)
            for part in (broker.run(), consumer.run(), peers.run(), taken_up):
                group.create_task(part)

    async def finish() -> None:
        await peers.leave()
        await consumer.finish()

    checks: dict[str, health.Check] = {"rabbitmq": broker.check, "mongodb": partial(mongo.ping, database)}
    try:
        await worker.until_stopped(
            stop,
            worker.serve_health(settings.host, settings.http_port, health.routes(checks)),
            work(),
            finish=finish,
            timeout=settings.shutdown_timeout,
        )
    finally:
        await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
        if traced is not None:
            await asyncio.to_thread(traced.close)
    logger().info("stopped")


if __name__ == "__main__":
    _settings = load(Settings)
    worker.run(lambda stop: main(_settings, stop))

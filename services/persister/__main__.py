"""`python -m services.persister`: wiring only."""

import asyncio
from functools import partial

import uuid_utils
from tenacity import wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from services import mongo, worker
from services.amqp import Broker, Inbox
from services.health import Check
from services.persister.consumer import Consumer
from services.persister.peers import Peers
from services.persister.settings import Settings
from services.settings import load
from services.telemetry import logger, start_logging


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run one persister until `stop`."""
    persister_id = uuid_utils.uuid7().hex
    start_logging(settings, "persister", persister_id)
    client, database = mongo.connect(settings, f"persister {persister_id}")
    broker = Broker(settings.amqp_url, f"persister {persister_id}", settings.topology)
    inbox = Inbox()
    consumer = Consumer(settings, broker, database, inbox)
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
        await create_collections(database)
        async with asyncio.TaskGroup() as group:
            for part in (broker.run(), consumer.run(), peers.run()):
                group.create_task(part)

    async def finish() -> None:
        await peers.leave()
        await consumer.finish()

    checks: dict[str, Check] = {"rabbitmq": broker.check, "mongodb": partial(mongo.ping, database)}
    try:
        await worker.until_stopped(
            stop,
            worker.serve_health(settings, checks),
            work(),
            finish=finish,
            timeout=settings.shutdown_timeout,
        )
    finally:
        await asyncio.to_thread(client.close)  # says goodbye to a server that may be away
    logger().info("stopped")


async def create_collections(database: mongo.Database) -> None:
    """Create the collections as soon as MongoDB is there."""
    async for attempt in AsyncRetrying(wait=wait_random_exponential(0.2, max=3)):
        with attempt:
            try:
                await mongo.create_collections(database, "persister")
            except Exception as error:
                logger().warning("MongoDB away", reason=str(error)[:200])
                raise


if __name__ == "__main__":
    _settings = load(Settings)
    worker.run(lambda stop: main(_settings, stop))

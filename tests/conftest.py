"""Real servers for every test that needs them: one RabbitMQ and one MongoDB a session, a prefix and a database a test."""

import os
from asyncio import timeout
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.servers import Server, mongodb, rabbitmq
from tests.support import containers
from tests.support.system import System


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Server]]:
    """RabbitMQ and MongoDB: those that the environment names, else containers, else private nodes."""
    named = {"AMQP_URL", "MONGODB_URL"} & os.environ.keys()
    if not named and containers.usable():
        async with containers.servers() as both:
            yield both
        return
    folder = Path(tmp_path_factory.mktemp("servers"))
    async with rabbitmq(folder / "rabbitmq") as broker, mongodb(folder / "mongodb") as database:
        yield broker, database


@pytest.fixture(scope="session")
async def system(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two gateways, two persisters, one notifier: every process, as in production, with limits as they are."""
    async with System(servers[0].url, servers[1].url, logs=Path(tmp_path_factory.mktemp("logs"))) as running:
        async with timeout(60):
            await running.ready()
        yield running

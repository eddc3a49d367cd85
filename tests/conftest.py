"""Real servers for every test that needs them: one RabbitMQ and one MongoDB a session, a prefix and a database a test."""

import os
import shutil
from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from deploy.local.servers import Server, mongodb, rabbitmq
from tests.support import containers
from tests.support.system import System

# What lives in memory outlives a killed process as well as what is on a disk does, and no test cuts the power.
MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that nobody can guess
ROOM = 8 * 2**30  # bytes: more than what all servers of a whole run have been seen to take

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Server]]:
    """RabbitMQ and MongoDB: those that the environment names, else containers, else private nodes."""
    if not {"AMQP_URL", "MONGODB_URL"} & os.environ.keys():
        reason = containers.missing(containers.RABBITMQ_IMAGE, containers.MONGODB_IMAGE)
        if reason is None:
            async with containers.servers() as both:
                yield both
            return
        if "RABBITMQ_IMAGE" in os.environ:  # another version would pass for this one
            pytest.skip(f"RABBITMQ_IMAGE is {containers.RABBITMQ_IMAGE}, and {reason}")
    with ExitStack() as stack:
        if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="palabre-", dir=MEMORY)))
        else:
            folder = Path(tmp_path_factory.mktemp("servers"))
        async with rabbitmq(folder / "rabbitmq") as broker, mongodb(folder / "mongodb") as database:
            yield broker, database


@pytest.fixture(scope="session")
async def system(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two gateways, two persisters, one notifier: every process, as in production, with limits as they are."""
    webhooks = {"WEBHOOKS": "everybody", "CALL_NETWORKS": "127.0.0.0/8"}
    logs = Path(tmp_path_factory.mktemp("logs"))
    async with System(servers[0].url, servers[1].url, logs=logs, **webhooks) as running:
        async with timeout(60):
            await running.ready()
        yield running

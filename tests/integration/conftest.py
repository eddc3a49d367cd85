"""One service at a time, in this process, against real servers: a prefix and a database for each test."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import structlog
from tenacity import wait_none

from deploy.local.servers import Server
from services import mongo
from services.mongo import Database
from services.notifier.settings import Settings as NotifierSettings
from services.persister import consumer
from services.persister.settings import Settings
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Tracebacks without colours and frames, which take longer to draw than most tests."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


@pytest.fixture
def partitions() -> int:
    """Few, since each costs a quorum queue; a test that needs more chooses them as its parameter."""
    return 1


@pytest.fixture
def settings(servers: tuple[Server, Server], partitions: int) -> Settings:
    """An environment of its own."""
    unique = uuid4().hex[:8]
    return Settings(
        amqp_url=servers[0].url,
        mongodb_url=servers[1].url,
        mongodb_database=f"palabre_{unique}",
        prefix=f"{unique}.",
        partitions=partitions,
    )


@pytest.fixture
def notifier_settings(settings: Settings) -> NotifierSettings:
    """The same environment, for a notifier."""
    return NotifierSettings(
        **settings.model_dump(include=set(NotifierSettings.model_fields) - {"prefetch", "batch_size"})
    )


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The persister tries again at once."""
    monkeypatch.setattr(consumer, "wait_random_exponential", lambda *_, **__: wait_none())


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The collections as their services create them, empty."""
    client, database = mongo.connect(settings, "test")
    await mongo.create_collections(database, "persister")
    await mongo.create_collections(database, "notifier")
    yield database
    await client.drop_database(database.name)
    client.close()


@pytest.fixture
async def distant_database(settings: Settings, database: Database, mongo_proxy: TcpProxy) -> AsyncIterator[Database]:
    """The same, by way of the proxy."""
    client, distant = mongo.connect(settings.model_copy(update={"mongodb_url": mongo_proxy.url}), "test")
    yield distant
    await asyncio.to_thread(client.close)  # says goodbye, through a proxy that lives on this loop


@pytest.fixture
async def tap(settings: Settings) -> AsyncIterator[Tap]:
    """The witness, and everything declared."""
    async with Tap(settings.amqp_url, settings.topology) as tap:
        yield tap


@pytest.fixture
async def amqp_proxy(servers: tuple[Server, Server]) -> AsyncIterator[TcpProxy]:
    """The way to RabbitMQ."""
    async with TcpProxy(servers[0].url) as proxy:
        yield proxy


@pytest.fixture
async def mongo_proxy(servers: tuple[Server, Server]) -> AsyncIterator[TcpProxy]:
    """The way to MongoDB. `directConnection`: a driver that looks for the replica set finds the way around."""
    async with TcpProxy(servers[1].url, query="directConnection=true") as proxy:
        yield proxy

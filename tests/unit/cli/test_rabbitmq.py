"""An operator's connection to RabbitMQ."""

import gc

import aio_pika
import pytest

from deploy.local.process import free_port
from services.cli import rabbitmq


async def test_a_connection_that_failed_is_closed() -> None:
    port = free_port()
    with pytest.raises(OSError, match="Connect call failed") as failed:
        await rabbitmq.connect(f"amqp://127.0.0.1:{port}/")
    tried = [one for one in gc.get_objects() if isinstance(one, aio_pika.Connection) and one.url.port == port]
    assert [one.is_closed for one in tried] == [True]
    del failed  # it held what was tried

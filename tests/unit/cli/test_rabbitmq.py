"""An operator's connection to RabbitMQ."""

from traceback import walk_tb

import pytest

from deploy.local.process import free_port
from services.cli import rabbitmq


async def test_a_connection_that_failed_is_closed() -> None:
    with pytest.raises(OSError, match="Connect call failed") as failed:
        await rabbitmq.connect(f"amqp://127.0.0.1:{free_port()}/")
    known = (frame.f_locals.get("connection") for frame, _ in walk_tb(failed.tb))
    assert [connection.is_closed for connection in known if connection is not None] == [True]

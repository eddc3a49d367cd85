"""What an operator does from the command line, and what the persister does with what it cannot handle."""

import asyncio
import os
import sys

import aio_pika
import pytest

from contracts.topology import Topology
from tests.e2e.conftest import Two
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e


async def palabre(system: System, *arguments: str, code: int = 0) -> str:
    """What the command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        env={**os.environ, "AMQP_URL": system.amqp_url, "PREFIX": system.prefix},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == code
    return output.decode()


async def test_poison_goes_to_the_dead_letters_and_the_partition_goes_on(two: Two, system: System) -> None:
    connection = await aio_pika.connect(system.amqp_url)
    async with connection:
        channel = await connection.channel()
        commands = await channel.get_exchange(Topology(system.prefix).commands.name)
        for partition in range(16):
            await commands.publish(
                aio_pika.Message(b'{"type":"message.send"}\nnonsense'), f"message.send.{partition:02d}"
            )

    async def listed() -> None:
        assert (await palabre(system, "dead", "list")).count("undecodable") == 32

    await eventually(listed, timeout=20)
    await two.alice.send(two.cid, "the partition goes on")
    # Looking changes nothing: an id names the same letter afterwards.
    first, *_ = (line.split()[0] for line in (await palabre(system, "dead", "list")).splitlines() if line[0] != " ")
    # A replayed letter is as bad as before, and comes back with a new date.
    assert first in await palabre(system, "dead", "replay", first)
    await eventually(listed, timeout=20)
    assert first not in await palabre(system, "dead", "list")
    assert "There is no dead letter" in await palabre(system, "dead", "drop", first, code=1)
    assert (await palabre(system, "dead", "drop", "--all", "--yes")).count("dropped") == 32
    assert "no dead letters" in await palabre(system, "dead", "list")


async def test_the_topology_is_printed(system: System) -> None:
    printed = await palabre(system, "topology")
    for name in ("chat.commands", "chat.events", "chat.fanout", "persister.15", "notifier.events", "chat.events.log"):
        assert system.prefix + name in printed

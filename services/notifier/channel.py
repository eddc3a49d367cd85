"""What every channel does alike: take what its queue brings, side by side, and acknowledge each when it is done.

So what takes long delays nothing else; prefetch bounds how much is in hand.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from contracts.shape import complaint
from services.amqp import Broker, Delivery, Inbox, dead_letter
from services.notifier import metrics
from services.notifier.away import AWAY
from services.telemetry import logger

PAUSE = 1.0  # seconds before what failed for want of the database or the broker is tried again


async def attend(broker: Broker, channel: str, inbox: Inbox, handle: Callable[[bytes], Awaitable[None]]) -> None:
    """`handle` each body, until cancelled. What it fails at for a reason of its own goes to the dead letters."""
    async with asyncio.TaskGroup() as group:
        while True:
            (arrival,) = await inbox.take(1)
            group.create_task(_handle(broker, channel, inbox, arrival, handle))


async def _handle(
    broker: Broker, channel: str, inbox: Inbox, arrival: Delivery, handle: Callable[[bytes], Awaitable[None]]
) -> None:
    """Until it is done, or somebody else has it."""
    while arrival.live:
        try:
            await _try(broker, channel, arrival, handle)
        except AWAY as error:
            logger().warning("channel waits", channel=channel, reason=str(error)[:200])
            await asyncio.sleep(PAUSE)
            continue
        inbox.ack_one(arrival)
        return


async def _try(broker: Broker, channel: str, arrival: Delivery, handle: Callable[[bytes], Awaitable[None]]) -> None:
    try:
        await handle(arrival.body)
        return
    except AWAY:
        raise
    except ValidationError as error:
        reason = f"undecodable: {complaint(error)}"
    except Exception:
        logger().exception("channel failed", channel=channel)
        reason = "failed"
    metrics.DEAD.inc()
    topology = broker.topology
    logger().error("dead letter", queue=topology.channel_queue(channel).name, reason=reason)
    back = (topology.work.name, f"{channel}.0")
    await broker.publish(dead_letter(topology, "notifier", arrival.body, arrival.routing_key, reason, back=back))

"""Events in batches: take what has come (an AMQP message holds many), handle it together, acknowledge.

A batch whose database or broker is away is tried again; whoever is told of it drops what comes twice. What fails for a
reason of its own is found, and set aside.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import events, lines
from contracts.shape import complaint
from services.amqp import Broker, Inbox, dead_letter
from services.notifier import metrics
from services.notifier.away import AWAY
from services.telemetry import logger

_event: TypeAdapter[events.Event] = TypeAdapter(events.AnyEvent)
BUSY = 4  # events that came together: then it is worth waiting for others
UNKNOWN = "union_tag_invalid"  # an event of a newer version: not ours to understand


class Line(NamedTuple):
    """An event as it came."""

    body: bytes
    routing_key: str


class Came(NamedTuple):
    """An event that came, and by which routing key."""

    event: events.Event
    line: Line


Handle = Callable[[Sequence[Came]], Awaitable[None]]


class Source(NamedTuple):
    """The queue that they come from, and the exchange and key by which one that was set aside comes to it again."""

    inbox: Inbox
    name: str
    back: tuple[str, str]


class Pace(NamedTuple):
    """How much is handled together: AMQP messages in hand, events at once, and seconds to wait for more while there are
    many."""

    prefetch: int
    batch_size: int
    linger: float


async def consume(broker: Broker, source: Source, pace: Pace, handle: Handle) -> None:
    """Until cancelled."""
    found: list[Line] = []
    while True:
        busy = len(found) >= BUSY
        deliveries = await source.inbox.take(pace.prefetch, pace.linger if busy else 0.0)
        found = [Line(body, d.routing_key) for d in deliveries for body in lines.unpack(d.body)]
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY),
            wait=wait_random_exponential(0.1, max=3),
        ):
            with attempt:
                if not all(delivery.live for delivery in deliveries):
                    break  # it will be delivered again
                try:
                    for start in range(0, len(found), pace.batch_size):
                        await _handle_all(broker, source, found[start : start + pace.batch_size], handle)
                except AWAY as error:
                    logger().warning("batch waits", queue=source.name, reason=str(error)[:200])
                    raise
        source.inbox.ack(deliveries)


async def _handle_all(broker: Broker, source: Source, found: Sequence[Line], handle: Handle) -> None:
    """Together if that works, else one by one: what fails for a reason of its own is set aside."""
    try:
        await _handle(broker, source, found, handle)
    except AWAY:
        raise
    except Exception:
        logger().exception("events failed", queue=source.name, count=len(found))
        if len(found) == 1:
            await _set_aside(broker, source, found[0].body, "failed")
            return
        for line in found:
            await _handle_all(broker, source, [line], handle)


async def _handle(broker: Broker, source: Source, found: Sequence[Line], handle: Handle) -> None:
    came: list[Came] = []
    undecodable: list[tuple[bytes, str]] = []
    for line in found:
        try:
            came.append(Came(_event.validate_json(line.body), line))
        except ValidationError as error:
            if error.errors()[0]["type"] != UNKNOWN:
                undecodable.append((line.body, f"undecodable: {complaint(error)}"))
    await handle(came)
    # Last, since all of this is tried again while anything is away, and nobody drops a dead letter that comes twice.
    for body, reason in undecodable:
        await _set_aside(broker, source, body, reason)


async def _set_aside(broker: Broker, source: Source, body: bytes, reason: str) -> None:
    metrics.DEAD.inc()
    logger().error("dead letter", queue=source.name, reason=reason)
    # Back to this queue alone: everybody else has had the event.
    await broker.publish(dead_letter(broker.topology, "notifier", body, source.name, reason, back=source.back))

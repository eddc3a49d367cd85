"""`notifier.events`: take what has come (an AMQP message holds many events), tell those concerned, acknowledge."""

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError
from pymongo.errors import PyMongoError
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import events, fanout, lines
from contracts.shape import complaint
from services.amqp import Broker, BrokerAway, Inbox, Outgoing, Unroutable, dead_letter
from services.mongo import Database
from services.notifier import metrics
from services.notifier.recipients import notifications
from services.notifier.settings import Settings
from services.telemetry import logger

_event: TypeAdapter[events.Event] = TypeAdapter(events.AnyEvent)
BUSY = 4  # events that came together: then it is worth waiting for others
AWAY = (PyMongoError, BrokerAway, Unroutable)
UNKNOWN = "union_tag_invalid"  # an event of a newer version: not ours to understand


async def consume(settings: Settings, broker: Broker, database: Database, inbox: Inbox) -> None:
    """Until cancelled. A batch whose database or broker is away is tried again; gateways drop what comes twice."""
    found: list[bytes] = []
    while True:
        busy = len(found) >= BUSY
        deliveries = await inbox.take(settings.prefetch, settings.linger if busy else 0.0)
        metrics.WAITING.set(len(inbox))
        found = [line for delivery in deliveries for line in lines.unpack(delivery.body)]
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY),
            wait=wait_random_exponential(0.1, max=3),
        ):
            with attempt:
                if not all(delivery.live for delivery in deliveries):
                    break  # it will be delivered again
                try:
                    for start in range(0, len(found), settings.batch_size):
                        await _handle_all(settings, broker, database, found[start : start + settings.batch_size])
                except AWAY as error:
                    logger().warning("batch waits", reason=str(error)[:200])
                    raise
        inbox.ack(deliveries)


async def _handle_all(settings: Settings, broker: Broker, database: Database, found: Sequence[bytes]) -> None:
    """Together if that works, else one by one: what fails for a reason of its own is set aside."""
    try:
        await _handle(settings, broker, database, found)
    except AWAY:
        raise
    except Exception:
        logger().exception("events failed", count=len(found))
        if len(found) == 1:
            await _set_aside(broker, found[0], "failed")
            return
        for line in found:
            await _handle_all(settings, broker, database, [line])


async def _handle(settings: Settings, broker: Broker, database: Database, found: Sequence[bytes]) -> None:
    batch: list[events.Event] = []
    undecodable: list[tuple[bytes, str]] = []
    for line in found:
        try:
            event = _event.validate_json(line)
        except ValidationError as error:
            if error.errors()[0]["type"] != UNKNOWN:
                undecodable.append((line, f"undecodable: {complaint(error)}"))
            continue
        metrics.EVENTS.labels(event.type).inc()
        batch.append(event)
    items = await notifications(database, batch, settings.preview_length)
    for item, data in items:
        if isinstance(item, fanout.Notification):
            metrics.NOTIFIED.labels(_kind(data)).inc(len(item.unread))
    if items:
        await broker.publish(Outgoing(broker.topology.fanout.name, "", fanout.pack(items), persistent=False))
    # Last, since all of this is tried again while anything is away, and nobody drops a dead letter that comes twice.
    for line, reason in undecodable:
        await _set_aside(broker, line, reason)


def _kind(notice: bytes) -> str:
    """`message` of `{"kind":"message",…`."""
    return notice.split(b'"', 4)[3].decode()


async def _set_aside(broker: Broker, line: bytes, reason: str) -> None:
    metrics.DEAD.inc()
    topology = broker.topology
    queue = topology.notifier_queue.name
    logger().error("dead letter", queue=queue, reason=reason)
    # Back to this queue alone: everybody else has had the event.
    await broker.publish(dead_letter(topology, "notifier", line, queue, reason, back=("", queue)))

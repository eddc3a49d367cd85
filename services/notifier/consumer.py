"""`notifier.events`: take a batch of events, tell those concerned, acknowledge."""

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError
from pymongo.errors import PyMongoError
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import events, fanout
from contracts.shape import complaint
from services.amqp import Broker, BrokerAway, Delivery, Inbox, Outgoing, Unroutable, dead_letter
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
    deliveries: list[Delivery] = []
    while True:
        busy = len(deliveries) >= BUSY
        deliveries = await inbox.take(settings.prefetch, settings.linger if busy else 0.0)
        metrics.WAITING.set(len(inbox))
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY),
            wait=wait_random_exponential(0.1, max=3),
        ):
            with attempt:
                if not all(delivery.live for delivery in deliveries):
                    break  # it will be delivered again
                try:
                    await _handle_all(settings, broker, database, deliveries)
                except AWAY as error:
                    logger().warning("batch waits", reason=str(error)[:200])
                    raise
        inbox.ack(deliveries)


async def _handle_all(settings: Settings, broker: Broker, database: Database, deliveries: Sequence[Delivery]) -> None:
    """Together if that works, else one by one: what fails for a reason of its own is set aside."""
    try:
        await _handle(settings, broker, database, deliveries)
    except AWAY:
        raise
    except Exception:
        logger().exception("events failed", count=len(deliveries))
        if len(deliveries) == 1:
            await _set_aside(broker, deliveries[0], "failed")
            return
        for delivery in deliveries:
            await _handle_all(settings, broker, database, [delivery])


async def _handle(settings: Settings, broker: Broker, database: Database, deliveries: Sequence[Delivery]) -> None:
    batch: list[events.Event] = []
    undecodable: list[tuple[Delivery, str]] = []
    for delivery in deliveries:
        try:
            event = _event.validate_json(delivery.body)
        except ValidationError as error:
            if error.errors()[0]["type"] != UNKNOWN:
                undecodable.append((delivery, f"undecodable: {complaint(error)}"))
            continue
        metrics.EVENTS.labels(event.type).inc()
        batch.append(event)
    items = await notifications(database, batch, settings.preview_length)
    for item, data in items:
        if isinstance(item, fanout.Notification):
            metrics.NOTIFIED.labels("message" if b'"kind":"message"' in data else "added").inc(len(item.unread))
    if items:
        await broker.publish(Outgoing(broker.topology.fanout.name, "", fanout.pack(items), persistent=False))
    # Last, since all of this is tried again while anything is away, and nobody drops a dead letter that comes twice.
    for delivery, reason in undecodable:
        await _set_aside(broker, delivery, reason)


async def _set_aside(broker: Broker, delivery: Delivery, reason: str) -> None:
    metrics.DEAD.inc()
    logger().error("dead letter", routing_key=delivery.routing_key, reason=reason)
    topology = broker.topology
    # Back to this queue alone: everybody else has had the event.
    back = ("", topology.notifier_queue.name)
    await broker.publish(dead_letter(topology, "notifier", delivery.body, delivery.routing_key, reason, back=back))

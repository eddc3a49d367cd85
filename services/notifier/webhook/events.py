"""`notifier.webhook.events`: what happens, in batches, and which webhooks it concerns. Each gets a job of its own.

The queue is bound while there are webhooks, and has one consumer at a time: so jobs are in the order of the events.
Webhooks are looked up for each batch, so that one works from the moment its making was answered.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from pydantic_core import from_json
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import lines
from contracts.ids import webhook_delivery_id
from contracts.shape import now
from contracts.webhooks import Job
from services.amqp import Broker, Inbox, Outgoing, dead_letter
from services.mongo import Database
from services.notifier import metrics, waiting
from services.notifier.away import AWAY
from services.notifier.settings import Settings
from services.notifier.webhook import store
from services.telemetry import logger

TOGETHER = 500  # jobs published at once
LOOK = 30.0  # seconds between looks whether there are webhooks
LOOK_FIRST = 1.0  # likewise, until the first look


class Fact(NamedTuple):
    """What is to be known of an event; `line` is the event as it is."""

    id: str
    type: str
    conversation_id: str
    deleted: bool
    line: bytes


async def listen(settings: Settings, broker: Broker, database: Database, looked: asyncio.Event) -> None:
    """Hear events while there are webhooks, whatever became of the binding; until cancelled.

    `looked` is set once it is as it should be: what is told before passes webhooks by.
    """
    binding = broker.topology.webhook_binding
    while True:
        await broker.consumer.up.wait()
        with suppress(*AWAY):
            if settings.webhooks == "off":
                await broker.rebind(unbind=[binding])
            elif await store.exist(database):
                await broker.rebind(bind=[binding])
            looked.set()
        await asyncio.sleep(LOOK if looked.is_set() else LOOK_FIRST)


async def consume(settings: Settings, broker: Broker, database: Database, inbox: Inbox) -> None:
    """Until cancelled. A batch whose database or broker is away is tried again; jobs that come twice are known by id."""
    while True:
        deliveries = await inbox.take(settings.prefetch)
        found = [line for delivery in deliveries for line in lines.unpack(delivery.body)]
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY), wait=wait_random_exponential(0.1, max=3)
        ):
            with attempt:
                if not all(delivery.live for delivery in deliveries):
                    break  # it will be delivered again
                try:
                    await _handle(settings, broker, database, found)
                except AWAY as error:
                    logger().warning("webhook events wait", reason=str(error)[:200])
                    raise
        inbox.ack(deliveries)


async def _handle(settings: Settings, broker: Broker, database: Database, found: Sequence[bytes]) -> None:
    facts: list[Fact] = []
    undecodable: list[bytes] = []
    for line in found:
        try:
            facts.append(_fact(line))
        except (ValueError, TypeError, KeyError):
            undecodable.append(line)
    jobs = [] if settings.webhooks == "off" else await _jobs(database, facts)
    for start in range(0, len(jobs), TOGETHER):
        await broker.publish_all(
            [
                waiting.at_once(broker.topology, "webhook", job.pack(line))
                for job, line in jobs[start : start + TOGETHER]
            ]
        )
    ended = [fact.conversation_id for fact in facts if fact.deleted]
    if ended:
        await store.end(database, ended)
    for line in undecodable:
        await broker.publish(_dead(broker, line))


async def _jobs(database: Database, facts: Sequence[Fact]) -> list[tuple[Job, bytes]]:
    """The jobs of these events, in their order."""
    listeners = await store.listeners(database, {fact.conversation_id for fact in facts})
    owners = {
        (listener.conversation_id, listener.owner_id)
        for listeners_there in listeners.values()
        for listener in listeners_there
        if listener.conversation_id is not None
    }
    leaders = await store.leaders(database, owners)
    jobs = []
    left: set[str] = set()
    moment = now()
    for fact in facts:
        for listener in (*listeners.get(fact.conversation_id, ()), *listeners.get(None, ())):
            place = listener.conversation_id
            if place is not None and (place, listener.owner_id) not in leaders:
                left.add(listener.id)
            elif listener.wants(fact.type):
                job = Job(
                    id=webhook_delivery_id(listener.id, fact.id),
                    webhook_id=listener.id,
                    event_id=fact.id,
                    event_type=fact.type,
                    conversation_id=fact.conversation_id,
                    created_at=moment,
                )
                jobs.append((job, fact.line))
    for hook_id in left:
        # Whoever leads a conversation no longer must not go on hearing what is said there.
        if await store.pause(database, hook_id, "owner_left"):
            metrics.WEBHOOKS_PAUSED.labels("owner_left").inc()
            logger().info("webhook paused", webhook=hook_id, reason="owner_left")
    return jobs


def _fact(line: bytes) -> Fact:
    """Raises ValueError, TypeError or KeyError for what is no event."""
    event = from_json(line)
    event_id, event_type, subject = event["id"], event["type"], event["subject"]
    if not all(isinstance(text, str) and text for text in (event_id, event_type, subject)):
        raise TypeError("an event has an id, a type and a subject")
    data = event["data"]
    deleted = event_type == "chat.conversation.updated.v1" and data["updateType"] == "deleted"
    return Fact(event_id, event_type, subject, deleted, line)


def _dead(broker: Broker, line: bytes) -> Outgoing:
    metrics.DEAD.inc()
    queue = broker.topology.webhook_events.name
    logger().error("dead letter", queue=queue, reason="undecodable")
    return dead_letter(broker.topology, "notifier", line, queue, "undecodable", back=("", queue))

"""`notifier.commands`: what people ask of the notifier. Carry it out, answer, acknowledge, one after the other.

A command may come again after a crash: carrying it out twice changes nothing, and it is answered again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import ValidationError
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import fanout, lines, notifying
from contracts.commands import NotifierCommand
from contracts.errors import ErrorCode, Refusal
from contracts.shape import complaint
from contracts.topology import Exchange
from services.amqp import Broker, Inbox, Outgoing, dead_letter
from services.mongo import Database
from services.notifier import metrics
from services.notifier.away import AWAY
from services.notifier.traces import Traces
from services.telemetry import logger

PREFETCH = 100
ATTEMPTS = 3  # of one that fails for a reason of its own

# Carries one command out. Raises Refusal for what may not be; anything else is tried again.
Handler = Callable[[Database, Any], Awaitable[None]]
Handlers = Mapping[str, Handler]


async def consume(
    broker: Broker, database: Database, inbox: Inbox, handlers: Handlers, traces: Traces | None = None
) -> None:
    """Until cancelled."""
    handle = _handle if traces is None else traces.carrying_out(_handle)
    while True:
        deliveries = await inbox.take(PREFETCH)
        for delivery in deliveries:
            for line in lines.unpack(delivery.body):
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception_type(AWAY), wait=wait_random_exponential(0.1, max=2)
                ):
                    with attempt:
                        if not delivery.live:
                            break  # somebody else has it by now
                        try:
                            await handle(broker, database, line, delivery.routing_key, handlers)
                        except AWAY as error:
                            logger().warning("command waits", reason=str(error)[:200])
                            raise
            inbox.ack([delivery])


async def _handle(broker: Broker, database: Database, line: bytes, routing_key: str, handlers: Handlers) -> None:
    try:
        command = notifying.decode(line)
    except ValidationError as error:
        await _set_aside(broker, line, routing_key, f"undecodable: {complaint(error)}")
        return
    metrics.COMMANDS.labels(command.type).inc()
    reply = fanout.Reply(command_id=command.id)
    try:
        await _carry_out(database, command, handlers[command.type])
    except Refusal as refusal:
        reply = fanout.Reply(command_id=command.id, code=refusal.code, detail=refusal.detail)
    except AWAY:
        raise
    except Exception:
        await _set_aside(broker, line, routing_key, "failed")
        reply = fanout.Reply(command_id=command.id, code=ErrorCode.INTERNAL)
    topology = broker.topology
    told: list[tuple[Exchange, str, fanout.Item]] = [(topology.replies, command.origin.gateway_id, reply)]
    if reply.code is None:
        # First: every notifier remembers what people want. Gateways pass it over.
        told.insert(0, (topology.presence, "", fanout.PreferencesChanged(user_id=command.actor.user_id)))
    await broker.publish_all(
        [
            Outgoing(exchange.name, key, fanout.pack([(item, fanout.NULL)]), persistent=False)
            for exchange, key, item in told
        ]
    )


async def _carry_out(database: Database, command: NotifierCommand, handler: Handler) -> None:
    for number in range(1, ATTEMPTS + 1):
        try:
            await handler(database, command)
            return
        except (Refusal, *AWAY):
            raise
        except Exception:
            logger().exception("command failed", command=command.id, type=command.type, attempt=number)
            if number == ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * 2**number)


async def _set_aside(broker: Broker, line: bytes, routing_key: str, reason: str) -> None:
    metrics.DEAD.inc()
    logger().error("dead letter", routing_key=routing_key, reason=reason)
    topology = broker.topology
    back = (topology.commands.name, routing_key)
    await broker.publish(dead_letter(topology, "notifier", line, routing_key, reason, back=back))

"""`notifier.push`: tell people on their devices, through the push services of their browsers.

A delivery is sent to all devices of its person at once. Each device that could not be reached is tried again for
itself, from RabbitMQ, until the delivery expires. Every endpoint may be slow or dead, so deliveries are handled side by
side and acknowledged one by one; what finds its push service busy with `push_at_once` others waits in RabbitMQ, not here.
"""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

from contracts import collections
from contracts.notifying import Delivery, PushAttempt
from contracts.shape import now
from services.amqp import Broker, Inbox
from services.mongo import Database
from services.notifier import metrics, waiting, webpush
from services.notifier.channel import attend
from services.notifier.endpoints import Endpoints
from services.notifier.settings import Settings
from services.notifier.webpush import Vapid
from services.telemetry import logger

CHANNEL = "push"
PREFETCH = 500  # deliveries in hand
REMEMBERED = 20  # deliveries that a device has had, so that one that comes again is known
FIRST_RETRY = 5.0  # seconds; each later one waits four times as long
LONGEST_RETRY = 3600.0
BUSY = 5.0  # seconds for which a delivery steps aside when its push service has too many


class Push:
    """Sends what comes in, until cancelled."""

    def __init__(
        self, settings: Settings, broker: Broker, database: Database, inbox: Inbox, endpoints: Endpoints, vapid: Vapid
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
        self._memberships = database[collections.MEMBERSHIPS.name]
        self._inbox = inbox
        self._endpoints = endpoints
        self._vapid = vapid
        self._calling: Counter[str] = Counter()  # by push service

    async def run(self) -> None:
        """Until cancelled."""
        await attend(self._broker, CHANNEL, self._inbox, self._attempt)

    async def _attempt(self, body: bytes) -> None:
        attempt = PushAttempt.decode(body)
        moment = now()
        if moment >= attempt.expires_at:
            metrics.PUSHED.labels("expired").inc()
            return
        if attempt.not_before is not None and moment < attempt.not_before:
            await self._later(attempt)  # woken too early: there are few lengths of waits
            return
        if await self._is_read(attempt):
            metrics.PUSHED.labels("read").inc()
            return
        of_whom: dict[str, Any] = {"userId": attempt.user_id, "told": {"$ne": attempt.id}}
        if attempt.device is not None:
            of_whom["_id"] = attempt.device
        devices = await self._subscriptions.find(of_whom).to_list(None)
        # Each by itself: what one device's try ends with changes nothing for the others.
        results = await asyncio.gather(*(self._send(attempt, device) for device in devices), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _send(self, attempt: PushAttempt, device: dict[str, Any]) -> None:
        """Try one device, and write down or hand over what comes of it."""
        service = webpush.origin_of(device["endpoint"])
        if self._calling[service] >= self._settings.push_at_once:
            metrics.PUSHED.labels("busy").inc()
            await self._again(attempt, device, BUSY, attempt.number)
            return
        self._calling[service] += 1
        try:
            outcome, wait = await self._post(attempt, device)
        finally:
            self._calling[service] -= 1
            if not self._calling[service]:
                del self._calling[service]
        metrics.PUSHED.labels(outcome).inc()
        match outcome:
            case "sent":
                await self._subscriptions.update_one(
                    {"_id": device["_id"]},
                    {"$push": {"told": {"$each": [attempt.id], "$slice": -REMEMBERED}}},
                )
            case "gone":
                # Unless the browser has come again under the same address meanwhile, with other keys.
                await self._subscriptions.delete_one({"_id": device["_id"], "p256dh": device["p256dh"]})
            case "again":
                await self._again(attempt, device, max(wait, _backoff(attempt.number)), attempt.number + 1)

    async def _post(self, delivery: Delivery, device: dict[str, Any]) -> tuple[webpush.Outcome, float]:
        """What became of it, and the seconds that the push service wants to be left alone."""
        endpoint = device["endpoint"]
        content = webpush.payload(delivery, with_content=self._settings.push_content and device["preview"])
        try:
            body = webpush.encrypt(content, device["p256dh"], device["auth"])
        except webpush.Unusable:
            return "gone", 0.0
        headers = webpush.headers(delivery, self._vapid.authorization(endpoint), now())
        answer = await self._endpoints.post(endpoint, headers, body)
        forbidden = answer.outcome == "forbidden_address"
        outcome = "refused" if forbidden else webpush.outcome_of(answer.status)
        if outcome != "sent":
            # Never the endpoint: who has it can push. Nor its answer, which may repeat it.
            logger().info(
                "not pushed",
                service=webpush.origin_of(endpoint),
                device=device["_id"][:12],
                outcome=outcome,
                status=answer.status,
                reason=answer.error,
            )
        return outcome, answer.retry_after

    async def _is_read(self, delivery: Delivery) -> bool:
        """Whether it was read on any device, or the person is no longer there to read it."""
        member = await self._memberships.find_one(
            {"conversationId": delivery.conversation_id, "userId": delivery.user_id}, {"lastReadSeq": 1}
        )
        return member is None or (delivery.seq is not None and member["lastReadSeq"] >= delivery.seq)

    async def _again(self, attempt: PushAttempt, device: dict[str, Any], wait: float, number: int) -> None:
        moment = now() + timedelta(seconds=wait)
        if moment >= attempt.expires_at:
            metrics.PUSHED.labels("expired").inc()
            return
        await self._later(attempt.model_copy(update={"device": device["_id"], "number": number, "not_before": moment}))

    async def _later(self, attempt: PushAttempt) -> None:
        assert attempt.not_before is not None
        wait = (attempt.not_before - now()).total_seconds()
        await self._broker.publish(waiting.later(self._broker.topology, CHANNEL, attempt.encode(), wait))


def _backoff(number: int) -> float:
    """Seconds, four times as many after each failure, spread by half."""
    return float(min(LONGEST_RETRY, FIRST_RETRY * 4**number)) * random.uniform(1.0, 1.5)  # noqa: S311 - no secret

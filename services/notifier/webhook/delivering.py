"""The attempts: each webhook is called in order where it keeps up, and where it does not, it delays nobody else.

One notifier at a time has the queue, so what is said here holds for all of them. Of one conversation a webhook is called
about one event after the other, and about several conversations at once up to a bound. Whatever else is for it waits here,
up to its room; past that, in RabbitMQ. A webhook that fails has room for one: that is the probe, and all the rest waits
longer and longer, so that a day's events for an endpoint that is down are moved about a few times, not for ever.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import uuid_utils
from pydantic import ValidationError
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import events, webhooks
from contracts.shape import complaint, now
from contracts.webhooks import Attempt, Job, PauseReason
from services.amqp import Broker, Delivery, Inbox, Outgoing, dead_letter
from services.mongo import Database
from services.notifier import metrics, waiting
from services.notifier.away import AWAY
from services.notifier.endpoints import Answer, Endpoints
from services.notifier.settings import Settings
from services.notifier.webhook import signing, store
from services.telemetry import logger

T = TypeVar("T")
CHANNEL = "webhook"
FIRST_RETRY = 5.0  # seconds; each further one waits four times as long
LONGEST_RETRY = 4 * 3600.0
SPREAD = 0.25  # of a wait, by which it is longer or shorter
FAILING = 3  # failures one after the other, from which a webhook has room for one
SET_ASIDE = (5.0, 600.0)  # seconds for which what has no room waits: at least, and at most
SOON = 0.1  # seconds that a job may be early
USER_AGENT = "Palabre-Webhooks/1"


@dataclass(slots=True)
class Work:
    """One job that is here and not acknowledged."""

    delivery: Delivery
    job: Job
    event: bytes


@dataclass(slots=True)
class Hand:
    """What is here for one webhook.

    Attributes:
        held: jobs that are here, those being tried included.
        calling: those being tried.
        failures: one after the other.
        behind_since: since when it does not keep up (monotonic, in seconds).
        lines: by conversation, what is tried one after the other.
    """

    turn: asyncio.Semaphore
    held: int = 0
    calling: int = 0
    failures: int = 0
    behind_since: float | None = None
    lines: dict[str | None, deque[Work]] = field(default_factory=dict)

    @property
    def failing(self) -> bool:
        """Whether it is only probed."""
        return self.failures >= FAILING


class Deliverer:
    """Tries what `notifier.webhook` brings."""

    def __init__(self, settings: Settings, broker: Broker, database: Database, inbox: Inbox, ours: Endpoints) -> None:
        self._settings = settings
        self._broker = broker
        self._database = database
        self._inbox = inbox
        self._endpoints = ours
        self._hands: dict[str, Hand] = {}
        self._held = 0
        self._stopping = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                taken = await self._inbox.take(self._settings.webhook_prefetch)
                if not self._stopping:  # else it is delivered again, to the next in line
                    await self._take(taken, group)

    async def finish(self) -> None:
        """Begin nothing more; returns when no call is under way."""
        self._stopping = True
        while any(hand.calling for hand in self._hands.values()):
            await asyncio.sleep(0.02)  # only while stopping

    async def _take(self, taken: list[Delivery], group: asyncio.TaskGroup) -> None:
        """Hold what there is room for; the rest waits in RabbitMQ."""
        aside: list[tuple[Work, float]] = []
        moment = now()
        for delivery in taken:
            try:
                work = Work(delivery, *Job.unpack(delivery.body))
            except ValidationError as error:
                await self._set_aside(delivery, delivery.body, f"undecodable: {complaint(error)}")
                continue
            early = ((work.job.not_before or moment) - moment).total_seconds()
            if early > SOON:
                aside.append((work, early))
                continue
            hand = self._hand(work.job.webhook_id)
            if hand.held >= self._room(hand):
                aside.append((work, self._behind(hand)))
            else:
                self._hold(hand, work, group)
        await self._put_back(aside)
        metrics.WEBHOOKS_HELD.set(self._held)

    def _hand(self, hook_id: str) -> Hand:
        hand = self._hands.get(hook_id)
        if hand is None:
            hand = self._hands[hook_id] = Hand(asyncio.Semaphore(self._settings.webhook_concurrency))
        return hand

    def _forgive(self, hook_id: str) -> None:
        """It is called no more, so nothing may ever follow its failures: keep nothing for it."""
        if (hand := self._hands.get(hook_id)) is not None:
            hand.failures = 0

    def _room(self, hand: Hand) -> int:
        """How many may be here for a webhook; fewer, the fuller it is here."""
        if hand.failing:
            return 1
        if self._held > self._settings.webhook_prefetch // 2:
            return self._settings.webhook_concurrency
        return max(self._settings.webhook_concurrency, self._settings.webhook_prefetch // 10)

    def _behind(self, hand: Hand) -> float:
        """For how long what has no room is set aside: the longer, the longer the webhook has not kept up."""
        if hand.behind_since is None:
            hand.behind_since = time.monotonic()
        least, most = SET_ASIDE
        return min(max(time.monotonic() - hand.behind_since, least), most)

    def _hold(self, hand: Hand, work: Work, group: asyncio.TaskGroup) -> None:
        hand.held += 1
        self._held += 1
        line = hand.lines.get(work.job.conversation_id)
        if line is None:
            hand.lines[work.job.conversation_id] = deque([work])
            group.create_task(self._work_off(hand, work.job))
        else:
            line.append(work)

    async def _work_off(self, hand: Hand, first: Job) -> None:
        """What is here for one webhook about one conversation, one after the other."""
        line = hand.lines[first.conversation_id]
        while line:
            async with hand.turn:
                # A copy of its own may be here already, if its channel has ended.
                if line[0].delivery.live and not self._stopping:
                    if hand.failing and hand.calling:
                        await self._put_back([(line[0], self._behind(hand))])
                    else:
                        await self._try(hand, line[0])
            line.popleft()
            hand.held -= 1
            self._held -= 1
            metrics.WEBHOOKS_HELD.set(self._held)
        del hand.lines[first.conversation_id]
        if not hand.held and not hand.failing:
            hand.behind_since = None
            if not hand.failures and self._hands.get(first.webhook_id) is hand:
                del self._hands[first.webhook_id]

    async def _try(self, hand: Hand, work: Work) -> None:
        """One attempt, whatever it takes; what fails for a reason of its own is set aside."""
        hand.calling += 1
        try:
            hook = await self._surely(work, lambda: self._look(work))
            if hook is None:
                return
            begun = now()
            answer = await self._call(hook, work, begun)
            if answer.outcome == "delivered":
                hand.failures = 0
            else:
                hand.failures += 1
                if hand.failing:
                    self._behind(hand)
            await self._surely(work, lambda: self._conclude(hook, work, begun, answer))
        except Exception:
            logger().exception("webhook delivery failed", webhook=work.job.webhook_id, delivery=work.job.id)
            await self._set_aside(work.delivery, work.delivery.body, "failed")
        finally:
            hand.calling -= 1

    async def _surely(self, work: Work, step: Callable[[], Awaitable[T]]) -> T | None:
        """This step, again while the database or the broker is away, as long as the work is ours; else None."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY), wait=wait_random_exponential(0.1, max=3)
        ):
            with attempt:
                return await step() if work.delivery.live else None
        return None

    async def _look(self, work: Work) -> store.Hook | None:
        """The webhook to call, or None when there is nothing to do any more."""
        job = work.job
        hook, entry = await asyncio.gather(
            store.hook_of(self._database, job.webhook_id), store.entry_of(self._database, job.id)
        )
        run = job.run or store.FROM_EVENT
        if hook is None:
            self._forgive(job.webhook_id)
            self._done(work, "dropped")
            return None
        if entry is not None and entry.status == "delivered" and (job.run is None or entry.run == run):
            self._done(work, "repeated")
            return None
        if entry is not None and entry.run == run and entry.made > job.attempt:
            # It was tried, and we died before what follows. That may be under way twice then, and is tried once.
            if entry.status == "waiting":
                await self._again(job, work.event, entry.next_attempt_at or now())
            self._done(work, "repeated")
            return None
        if self._settings.webhooks == "off" or (not hook.active and job.run is None):
            await self._record(work, Attempt(at=now(), outcome="paused", duration_ms=0), "failed")
            self._done(work, "failed")
            return None
        return hook

    async def _conclude(self, hook: store.Hook, work: Work, begun: datetime, answer: Answer) -> None:
        """What follows from an attempt. Each step may be the last; what is done twice then is known by its id."""
        job, made = work.job, _attempt(begun, answer)
        if answer.outcome == "delivered":
            await self._record(work, made, "delivered")
            self._done(work, "delivered")
            return
        left = self._settings.webhook_give_up - (now() - job.created_at).total_seconds()
        if answer.outcome == "gone":
            await self._pause(hook, "gone")
        elif job.event_type == webhooks.PING:
            pass  # whoever asked for it looks, and asks again
        elif left > 0:
            at = now() + timedelta(seconds=min(wait_after(job.attempt, answer.retry_after), left))
            await self._record(work, made, "waiting", at)
            await self._again(job, work.event, at)
            self._done(work, "again")
            return
        else:
            await self._give_up(hook, work, answer)
        await self._record(work, made, "failed")
        self._done(work, "failed")

    async def _call(self, hook: store.Hook, work: Work, at: datetime) -> Answer:
        headers = {
            "content-type": events.CONTENT_TYPE,
            "user-agent": USER_AGENT,
            **signing.headers(hook.secrets, work.job.id, int(at.timestamp()), work.event),
        }
        answer = await self._endpoints.post(hook.url, headers, work.event)
        metrics.WEBHOOK_CALLS.labels(answer.outcome).inc()
        metrics.WEBHOOK_SECONDS.observe(answer.seconds)
        logger().debug("webhook called", webhook=hook.id, delivery=work.job.id, outcome=answer.outcome)
        return answer

    async def _again(self, job: Job, event: bytes, at: datetime) -> None:
        """Try it at that moment, or soon after."""
        later = job.model_copy(update={"attempt": job.attempt + 1, "not_before": at})
        await self._broker.publish(self._wait(later.pack(event), (at - now()).total_seconds()))

    async def _put_back(self, aside: list[tuple[Work, float]]) -> None:
        """Have these wait in RabbitMQ as they are, without an attempt."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY), wait=wait_random_exponential(0.1, max=3)
        ):
            with attempt:
                aside = [(work, seconds) for work, seconds in aside if work.delivery.live]
                await self._broker.publish_all([self._wait(work.delivery.body, seconds) for work, seconds in aside])
        for work, _ in aside:
            self._done(work, "set_aside")

    def _wait(self, body: bytes, seconds: float) -> Outgoing:
        return waiting.later(self._broker.topology, CHANNEL, body, seconds)

    async def _give_up(self, hook: store.Hook, work: Work, answer: Answer) -> None:
        """It took nothing for a day: nobody is there. A replay of what is set aside is tried once."""
        await self._pause(hook, "failing")
        replay = work.job.model_copy(update={"run": uuid_utils.uuid7().hex, "attempt": 0, "not_before": None})
        reason = f"not delivered to webhook {hook.id}: {answer.status or answer.outcome}"
        await self._broker.publish(self._dead(replay.pack(work.event), reason))

    async def _pause(self, hook: store.Hook, reason: PauseReason) -> None:
        self._forgive(hook.id)
        if await store.pause(self._database, hook.id, reason):
            metrics.WEBHOOKS_PAUSED.labels(reason).inc()
            logger().warning("webhook paused", webhook=hook.id, reason=reason)

    async def _record(
        self, work: Work, attempt: Attempt, status: webhooks.DeliveryStatus, next_attempt_at: datetime | None = None
    ) -> None:
        kept = timedelta(days=self._settings.webhook_log_days)
        await store.record(
            self._database, work.job, work.event, attempt, status, kept=kept, next_attempt_at=next_attempt_at
        )

    def _done(self, work: Work, result: str) -> None:
        metrics.WEBHOOK_JOBS.labels(result).inc()
        self._inbox.ack_one(work.delivery)

    async def _set_aside(self, delivery: Delivery, body: bytes, reason: str) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(AWAY), wait=wait_random_exponential(0.1, max=3)
        ):
            with attempt:
                if delivery.live:
                    await self._broker.publish(self._dead(body, reason))
        self._inbox.ack_one(delivery)

    def _dead(self, body: bytes, reason: str) -> Outgoing:
        metrics.DEAD.inc()
        topology = self._broker.topology
        queue = topology.channel_queue(CHANNEL).name
        logger().error("dead letter", queue=queue, reason=reason)
        return dead_letter(topology, "notifier", body, queue, reason, back=(topology.work.name, f"{CHANNEL}.0"))


def wait_after(attempt: int, asked: float = 0.0) -> float:
    """Seconds until the next attempt after this many before it: longer each time, spread, and as long as was asked for."""
    wait = min(FIRST_RETRY * 4.0 ** min(attempt, 20), LONGEST_RETRY)
    spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spreads load, guards nothing
    return max(wait * spread, min(asked, LONGEST_RETRY))


def _attempt(at: datetime, answer: Answer) -> Attempt:
    return Attempt(
        at=at,
        outcome=answer.outcome,
        status=answer.status,
        duration_ms=round(answer.seconds * 1000),
        response=answer.body,
        error=answer.error,
    )

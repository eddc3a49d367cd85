"""Webhooks as they are kept, and the ledger of their deliveries, which is also the log that people read."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo.errors import DuplicateKeyError

from contracts import collections, limits, webhooks
from contracts.shape import now
from contracts.webhooks import Attempt, DeliveryStatus, Job, PauseReason
from services.mongo import Database

LAST_CALLS = timedelta(days=2)  # for which one that has ended is kept: longer than anything is tried
FROM_EVENT = ""  # the run of what came from its event itself


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook, as it is called. `secrets` are those to sign with now, the newest first."""

    id: str
    conversation_id: str | None
    url: str
    secrets: tuple[str, ...]
    active: bool


class Listener(NamedTuple):
    """One webhook, as events find it; without `events` it wants all of them."""

    id: str
    conversation_id: str | None
    events: frozenset[str]
    owner_id: str

    def wants(self, event_type: str) -> bool:
        """Whether it is to be called."""
        if event_type == webhooks.READ and self.conversation_id is not None:
            return False
        return not self.events or event_type in self.events


class Entry(NamedTuple):
    """What the ledger knows of a delivery: how many calls were made in its last run, and what came of them."""

    status: DeliveryStatus
    run: str
    made: int
    next_attempt_at: datetime | None


def to_document(hook_id: str, command: webhooks.CreateWebhook, moment: datetime) -> dict[str, Any]:
    """A new one."""
    return {
        "_id": hook_id,
        "conversationId": command.conversation_id,
        "url": command.url,
        "events": list(command.events),
        "description": command.description,
        "active": True,
        "ownerId": command.actor.user_id,
        "createdAt": moment,
        "secrets": [{"value": command.secret, "until": None}],
    }


async def hook_of(database: Database, hook_id: str) -> Hook | None:
    """One that was not deleted."""
    document = await database[collections.WEBHOOKS.name].find_one({"_id": hook_id, "deletedBy": {"$exists": False}})
    if document is None:
        return None
    moment = now()
    secrets = (s["value"] for s in document["secrets"] if s["until"] is None or s["until"] > moment)
    return Hook(hook_id, document["conversationId"], document["url"], tuple(secrets), document["active"])


async def listeners(database: Database, conversation_ids: Iterable[str]) -> dict[str | None, list[Listener]]:
    """Those that are to be called about these conversations: by conversation, and under None those of all of them."""
    cursor = database[collections.WEBHOOKS.name].find(
        {"conversationId": {"$in": [None, *conversation_ids]}, "active": True, "endedAt": {"$exists": False}},
        {"conversationId": 1, "events": 1, "ownerId": 1},
        sort=[("_id", 1)],
    )
    found: dict[str | None, list[Listener]] = {}
    async for document in cursor:
        conversation_id = document["conversationId"]
        listener = Listener(document["_id"], conversation_id, frozenset(document["events"]), document["ownerId"])
        found.setdefault(conversation_id, []).append(listener)
    return found


async def leaders(database: Database, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these people who lead the conversation named with them. In one that was deleted nobody has left."""
    if not pairs:
        return set()
    memberships = database[collections.MEMBERSHIPS.name].find(
        {"$or": [{"conversationId": conversation, "userId": user} for conversation, user in pairs], "role": "admin"},
        {"_id": 0, "conversationId": 1, "userId": 1},
    )
    found = {(document["conversationId"], document["userId"]) async for document in memberships}
    left = set(pairs) - found
    if left:
        cursor = database[collections.CONVERSATIONS.name].find(
            {"_id": {"$in": list({conversation for conversation, _ in left})}, "deletedAt": {"$exists": False}},
            {"_id": 1},
        )
        alive = {document["_id"] async for document in cursor}
        found |= {pair for pair in left if pair[0] not in alive}
    return found


async def exist(database: Database) -> bool:
    """Whether there is any webhook."""
    found = await database[collections.WEBHOOKS.name].find_one({"deletedBy": {"$exists": False}}, {"_id": 1})
    return found is not None


async def pause(database: Database, hook_id: str, reason: PauseReason) -> bool:
    """Stop calling it; whether it was called until now."""
    result = await database[collections.WEBHOOKS.name].update_one(
        {"_id": hook_id, "active": True}, {"$set": {"active": False, "pauseReason": reason, "pausedAt": now()}}
    )
    return result.modified_count > 0


async def end(database: Database, conversation_ids: Iterable[str]) -> None:
    """Their conversations are gone: what is under way is still delivered, and that is all."""
    moment = now()
    await database[collections.WEBHOOKS.name].update_many(
        {"conversationId": {"$in": list(conversation_ids)}, "endedAt": {"$exists": False}},
        {"$set": {"endedAt": moment, "expireAt": moment + LAST_CALLS}},
    )


async def entry_of(database: Database, delivery_id: str) -> Entry | None:
    """What is known of a delivery."""
    document = await database[collections.WEBHOOK_DELIVERIES.name].find_one(
        {"_id": delivery_id}, {"status": 1, "run": 1, "made": 1, "nextAttemptAt": 1}
    )
    if document is None:
        return None
    return Entry(document["status"], document["run"], document["made"], document.get("nextAttemptAt"))


async def record(
    database: Database,
    job: Job,
    event: bytes,
    attempt: Attempt,
    status: DeliveryStatus,
    *,
    kept: timedelta,
    next_attempt_at: datetime | None = None,
) -> None:
    """Write down a call of this job, once: the same one again changes nothing."""
    run = job.run or FROM_EVENT
    fields = {"status": status, "run": run, "made": job.attempt + 1, "nextAttemptAt": next_attempt_at}
    first = {
        "webhookId": job.webhook_id,
        "eventId": job.event_id,
        "eventType": job.event_type,
        "conversationId": job.conversation_id,
        "createdAt": job.created_at,
        "event": event,
        "expireAt": now() + kept,
    }
    try:
        await database[collections.WEBHOOK_DELIVERIES.name].update_one(
            {"_id": job.id, "$nor": [{"run": run, "made": {"$gt": job.attempt}}]},
            {
                "$set": fields,
                "$inc": {"attemptCount": 1},
                "$push": {"attempts": {"$each": [_attempt(attempt)], "$slice": -limits.WEBHOOK_ATTEMPTS}},
                "$setOnInsert": first,
            },
            upsert=True,
        )
    except DuplicateKeyError:
        return  # it is there, with this call


def _attempt(attempt: Attempt) -> Mapping[str, Any]:
    fields = {"at": attempt.at, "outcome": attempt.outcome, "durationMs": attempt.duration_ms}
    more = {"status": attempt.status, "response": attempt.response, "error": attempt.error}
    return fields | {name: value for name, value in more.items() if value is not None}

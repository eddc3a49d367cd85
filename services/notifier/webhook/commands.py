"""What people do with webhooks. One notifier carries it out at a time, so nothing here races with itself."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from pymongo.errors import DuplicateKeyError

from contracts import collections, limits, rights, webhooks
from contracts.errors import ErrorCode, Refusal
from contracts.ids import webhook_delivery_id
from contracts.shape import now, to_text
from contracts.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    Job,
    PingWebhook,
    RedeliverWebhook,
    RotateWebhookSecret,
    WebhookCommand,
)
from services.amqp import Broker
from services.mongo import Database
from services.notifier import timely, waiting
from services.notifier.settings import Settings
from services.notifier.webhook import store

SECRETS = 3  # that sign at once; the oldest goes
Document = dict[str, Any]


class WebhookCommands:
    """Carries commands out."""

    def __init__(self, settings: Settings, broker: Broker) -> None:
        self._settings = settings
        self._broker = broker

    @property
    def handlers(self) -> Mapping[str, Callable[[Database, Any], Awaitable[None]]]:
        """By type of command. Each raises Refusal for what may not be; carried out again, it changes nothing.

        One that comes too late is refused, unless what is stored shows that it was carried out already.
        """
        return {
            "notifier.create_webhook": self.create,
            "notifier.change_webhook": self.change,
            "notifier.delete_webhook": self.delete,
            "notifier.rotate_webhook_secret": self.rotate_secret,
            "notifier.ping_webhook": self.ping,
            "notifier.redeliver_webhook": self.redeliver,
        }

    async def create(self, database: Database, command: CreateWebhook) -> None:
        """Make one, and hear events from now on."""
        self._check_allowed(command)
        if command.conversation_id is not None:
            await _check_leads(database, command.conversation_id, command.actor.user_id)
            if webhooks.READ in command.events:
                raise Refusal(ErrorCode.FORBIDDEN, "Who has read is told to webhooks of all conversations only.")
        elif not command.administrator:
            raise Refusal(ErrorCode.FORBIDDEN, "Only administrators make webhooks of all conversations.")
        hooks = database[collections.WEBHOOKS.name]
        if await hooks.find_one({"_id": command.id}, {"_id": 1}) is None:
            timely.check(command)  # else whoever asks again has more of them, whose secrets nobody has seen
        others = {
            "conversationId": command.conversation_id,
            "deletedBy": {"$exists": False},
            "_id": {"$ne": command.id},
        }
        if await hooks.count_documents(others) >= limits.WEBHOOKS:
            raise Refusal(ErrorCode.FORBIDDEN, f"There are {limits.WEBHOOKS} webhooks already.")
        with suppress(DuplicateKeyError):  # it was made, and we died before saying so
            await hooks.insert_one(store.to_document(command.id, command, now()))
        await self._broker.rebind(bind=[self._broker.topology.webhook_binding])

    async def change(self, database: Database, command: ChangeWebhook) -> None:
        """Change what is given. Who says where it goes, or lets it go on, answers for it."""
        hook = await _hook(database, command)
        if webhooks.READ in (command.events or ()) and hook["conversationId"] is not None:
            raise Refusal(ErrorCode.FORBIDDEN, "Who has read is told to webhooks of all conversations only.")
        fields: Document = {"url": command.url, "events": command.events, "description": command.description}
        changes: Document = {"$set": {name: value for name, value in fields.items() if value is not None}}
        if changes["$set"] or command.active:  # anybody who leads may pause it
            self._check_allowed(command)
        if command.url is not None:
            changes["$set"]["ownerId"] = command.actor.user_id
        if command.active:
            changes["$set"] |= {"active": True, "ownerId": command.actor.user_id}
            changes["$unset"] = {"pauseReason": "", "pausedAt": ""}
        elif command.active is False and hook["active"]:
            changes["$set"] |= {"active": False, "pauseReason": "by_hand", "pausedAt": now()}
        if any(hook.get(name) != value for name, value in changes["$set"].items()):
            timely.check(command)
        if changes["$set"]:
            await database[collections.WEBHOOKS.name].update_one({"_id": command.webhook_id}, changes)

    async def delete(self, database: Database, command: DeleteWebhook) -> None:
        """Forget it and its log. Of the webhook itself a note stays for a while, by which we know this command again."""
        hook = await _hook(database, command)
        if "deletedBy" not in hook:
            timely.check(command)
        await database[collections.WEBHOOKS.name].update_one(
            {"_id": command.webhook_id},
            {
                "$set": {"deletedBy": command.id, "active": False, "expireAt": now() + store.LAST_CALLS},
                "$unset": {"secrets": "", "url": ""},
            },
        )
        await database[collections.WEBHOOK_DELIVERIES.name].delete_many({"webhookId": command.webhook_id})
        if not await store.exist(database):
            await self._broker.rebind(unbind=[self._broker.topology.webhook_binding])

    async def rotate_secret(self, database: Database, command: RotateWebhookSecret) -> None:
        """Sign with a new one too; with those before it no longer than was asked for."""
        hook = await _hook(database, command)
        self._check_allowed(command)
        secrets = hook["secrets"]
        if secrets[0]["value"] == command.secret:
            return
        timely.check(command)
        moment = now()
        before = [{"value": s["value"], "until": _earlier(s["until"], command.previous_until)} for s in secrets]
        living = [{"value": command.secret, "until": None}, *(s for s in before if s["until"] > moment)]
        await database[collections.WEBHOOKS.name].update_one(
            {"_id": command.webhook_id}, {"$set": {"secrets": living[:SECRETS]}}
        )

    async def ping(self, database: Database, command: PingWebhook) -> None:
        """Call it once, also while it is paused."""
        timely.check(command)
        hook = await _hook(database, command)
        moment = now()
        event = {
            "specversion": "1.0",
            "id": command.id,
            "source": "/palabre/notifier",
            "subject": hook["conversationId"] or "*",
            "time": to_text(moment),
            "datacontenttype": "application/json",
            "dataschema": "urn:palabre:schema:webhook.ping:v1",
            "type": webhooks.PING,
            "data": {"webhookId": command.webhook_id},
        }
        job = Job(
            id=webhook_delivery_id(command.webhook_id, command.id),
            webhook_id=command.webhook_id,
            event_id=command.id,
            event_type=webhooks.PING,
            conversation_id=hook["conversationId"],
            created_at=moment,
            run=command.id,
        )
        await self._put(job, to_json(event))

    async def redeliver(self, database: Database, command: RedeliverWebhook) -> None:
        """Deliver it again from the beginning, also what was delivered."""
        timely.check(command)
        await _hook(database, command)
        found = await database[collections.WEBHOOK_DELIVERIES.name].find_one(
            {"_id": command.delivery_id, "webhookId": command.webhook_id}
        )
        if found is None:
            raise Refusal(ErrorCode.NOT_FOUND)
        job = Job(
            id=found["_id"],
            webhook_id=found["webhookId"],
            event_id=found["eventId"],
            event_type=found["eventType"],
            conversation_id=found["conversationId"],
            created_at=now(),
            run=command.id,
        )
        await self._put(job, bytes(found["event"]))

    async def _put(self, job: Job, event: bytes) -> None:
        await self._broker.publish(waiting.at_once(self._broker.topology, "webhook", job.pack(event)))

    def _check_allowed(self, command: WebhookCommand) -> None:
        """Who may make one may also say where it goes, and have its secret. Raises Refusal FORBIDDEN."""
        if self._settings.webhooks == "off":
            raise Refusal(ErrorCode.FORBIDDEN, "Webhooks are switched off here.")
        if self._settings.webhooks == "administrators" and not command.administrator:
            raise Refusal(ErrorCode.FORBIDDEN, "Only administrators make webhooks here.")


async def _hook(database: Database, command: Any) -> Document:
    """The webhook that a command is about, if the actor may do that. Raises Refusal NOT_FOUND or FORBIDDEN."""
    hook = await database[collections.WEBHOOKS.name].find_one({"_id": command.webhook_id})
    if hook is None or hook.get("deletedBy", command.id) != command.id:
        raise Refusal(ErrorCode.NOT_FOUND)
    if hook["conversationId"] is None:
        if not command.administrator:
            raise Refusal(ErrorCode.NOT_FOUND)
    else:
        try:
            await _check_leads(database, hook["conversationId"], command.actor.user_id)
        except Refusal as refusal:
            if refusal.code is ErrorCode.NOT_A_MEMBER:  # whose id nobody need have
                raise Refusal(ErrorCode.NOT_FOUND) from refusal
            raise
    return hook


async def _check_leads(database: Database, conversation_id: str, user_id: str) -> None:
    """Raises Refusal NOT_A_MEMBER or FORBIDDEN."""
    membership = await database[collections.MEMBERSHIPS.name].find_one(
        {"conversationId": conversation_id, "userId": user_id}, {"role": 1}
    )
    conversation = await database[collections.CONVERSATIONS.name].find_one(
        {"_id": conversation_id, "deletedAt": {"$exists": False}}, {"type": 1, "closedAt": 1}
    )
    if membership is None or conversation is None:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    closed = conversation.get("closedAt") is not None
    rights.check("manage_webhooks", conversation["type"], membership["role"], closed=closed)


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)

"""Webhooks and the log of their deliveries, as this gateway reads them. Reads only, by majority."""

from datetime import datetime
from typing import Any

from contracts import collections
from contracts.errors import ErrorCode, Refusal
from contracts.webhooks import Attempt, DeliveryStatus, Webhook, WebhookDelivery
from services.gateway.auth import Identity
from services.gateway.directory import Directory
from services.gateway.problems import InvalidField
from services.mongo import Database

SECRET = {"secrets": 0}
EVENT = {"event": 0}


class Webhooks:
    """Reads of one database, for whoever may see the webhook."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._hooks = database[collections.WEBHOOKS.name]
        self._deliveries = database[collections.WEBHOOK_DELIVERIES.name]
        self._directory = directory

    async def all_of(self, conversation_id: str | None, caller: Identity) -> list[Webhook]:
        """Those of a conversation, or (None) those of all conversations.

        Raises:
            Refusal: NOT_A_MEMBER or FORBIDDEN.
            InvalidField: no conversation is named, and the caller is no administrator.
        """
        if conversation_id is not None:
            await self._directory.check_right("manage_webhooks", conversation_id, caller.user_id)
        elif not caller.is_administrator:
            raise InvalidField("conversationId: it is needed; webhooks of all conversations are for administrators")
        cursor = self._hooks.find(
            {"conversationId": conversation_id, "deletedBy": {"$exists": False}}, SECRET, sort=[("_id", 1)]
        )
        return [_webhook(document) async for document in cursor]

    async def one(self, webhook_id: str, caller: Identity) -> Webhook:
        """One. Raises Refusal NOT_FOUND or FORBIDDEN."""
        document = await self._hooks.find_one({"_id": webhook_id, "deletedBy": {"$exists": False}}, SECRET)
        if document is None or (document["conversationId"] is None and not caller.is_administrator):
            raise Refusal(ErrorCode.NOT_FOUND)
        if document["conversationId"] is not None:
            try:
                await self._directory.check_right("manage_webhooks", document["conversationId"], caller.user_id)
            except Refusal as refusal:
                if refusal.code is ErrorCode.NOT_A_MEMBER:
                    raise Refusal(ErrorCode.NOT_FOUND) from refusal
                raise
        return _webhook(document)

    async def deliveries(
        self, webhook_id: str, status: DeliveryStatus | None, limit: int, after: tuple[datetime, str] | None
    ) -> tuple[list[WebhookDelivery], tuple[datetime, str] | None]:
        """A page of its log, newest first, and where the next one begins."""
        query: dict[str, Any] = {"webhookId": webhook_id}
        if status is not None:
            query["status"] = status
        if after is not None:
            moment, last_id = after
            query["$or"] = [{"createdAt": {"$lt": moment}}, {"createdAt": moment, "_id": {"$lt": last_id}}]
        cursor = self._deliveries.find(query, EVENT, sort=[("createdAt", -1), ("_id", -1)], limit=limit + 1)
        items = [_delivery(document) async for document in cursor]
        if len(items) <= limit:
            return items, None
        return items[:limit], (items[limit - 1].created_at, items[limit - 1].id)

    async def delivery(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """One entry. Raises Refusal NOT_FOUND."""
        document = await self._deliveries.find_one({"_id": delivery_id, "webhookId": webhook_id}, EVENT)
        if document is None:
            raise Refusal(ErrorCode.NOT_FOUND)
        return _delivery(document)


def _webhook(document: dict[str, Any]) -> Webhook:
    return Webhook(
        id=document["_id"],
        conversation_id=document["conversationId"],
        url=document["url"],
        events=document["events"],
        description=document["description"],
        active=document["active"],
        pause_reason=document.get("pauseReason"),
        paused_at=document.get("pausedAt"),
        owner_id=document["ownerId"],
        created_at=document["createdAt"],
    )


def _delivery(document: dict[str, Any]) -> WebhookDelivery:
    waits = document["status"] == "waiting"
    return WebhookDelivery(
        id=document["_id"],
        webhook_id=document["webhookId"],
        event_id=document["eventId"],
        event_type=document["eventType"],
        conversation_id=document["conversationId"],
        status=document["status"],
        created_at=document["createdAt"],
        next_attempt_at=document["nextAttemptAt"] if waits else None,
        attempt_count=document["attemptCount"],
        attempts=[Attempt.model_validate(attempt) for attempt in document["attempts"]],
    )

"""REST under `/api/webhooks`: who is called about what, what was delivered, and the secrets that sign it."""

import base64
import secrets
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from contracts import limits, webhooks
from contracts.ids import webhook_delivery_id
from contracts.shape import Id, Shape, now
from contracts.webhooks import DeliveryStatus, Description, EventTypes, Webhook, WebhookDelivery, WebhookUrl
from services.gateway.auth import Identity
from services.gateway.bodies import strict_route
from services.gateway.calls import (
    Caller,
    Limit,
    The,
    authenticate,
    command,
    next_cursor,
    respond,
    respond_list,
    time_cursor,
)
from services.gateway.history import reading
from services.gateway.parts import Gateway
from services.gateway.problems import PROBLEMS, InvalidField

SECRET_BYTES = 32  # of the 24 to 64 that Standard Webhooks allows

router = APIRouter(prefix="/api/webhooks", route_class=strict_route(authenticate), responses=PROBLEMS)
WebhookId = Annotated[Id, Path(alias="webhookId")]
DeliveryId = Annotated[Id, Path(alias="deliveryId")]


class NewWebhook(Shape):
    """Without `conversationId` for all conversations; without `events` for every type."""

    conversation_id: Id | None = None
    url: WebhookUrl
    events: EventTypes = Field(default_factory=list)
    description: Description = ""


class WebhookChanges(Shape):
    """What is to be different."""

    url: WebhookUrl | None = None
    events: EventTypes | None = None
    description: Description | None = None
    active: bool | None = None


class Rotation(Shape):
    """For how many seconds the secret before still signs as well; 0 where somebody else has learnt it."""

    overlap_seconds: Annotated[int, Field(ge=0, le=limits.WEBHOOK_OVERLAP)] = 24 * 3600


class Secret(Shape):
    """What signs from now on; it is not shown again."""

    secret: str


class Started(Shape):
    """What is under way; its entry in the log appears with its first attempt."""

    delivery_id: Id


class Webhooks(Shape):
    """All of them."""

    items: list[Webhook]
    next_cursor: str | None


class Deliveries(Shape):
    """A page of the log, newest first."""

    items: list[WebhookDelivery]
    next_cursor: str | None


@router.get("", response_model=Webhooks)
async def all_of(
    gateway: The, caller: Caller, conversation_id: Annotated[Id | None, Query(alias="conversationId")] = None
) -> Response:
    """Those of a conversation (its admins), or those of all conversations (administrators)."""
    async with reading():
        return respond_list(await gateway.webhooks.all_of(conversation_id, caller), None)


@router.post("", status_code=201, response_model=Webhook)
async def create(gateway: The, caller: Caller, body: NewWebhook) -> Response:
    """Make one; its secret is shown here and never again."""
    _check_events(body.conversation_id, body.events)
    secret = new_secret()
    asked = _command(gateway, caller)
    await gateway.ingress.request(
        webhooks.CreateWebhook(
            **asked,
            conversation_id=body.conversation_id,
            url=body.url,
            events=list(dict.fromkeys(body.events)),
            description=body.description,
            secret=secret,
        )
    )
    async with reading():
        made = await gateway.webhooks.one(asked["id"], caller)
    return respond(made.model_copy(update={"secret": secret}), 201)


@router.get("/{webhookId}", response_model=Webhook)
async def one(gateway: The, caller: Caller, webhook_id: WebhookId) -> Response:
    """One of them."""
    async with reading():
        return respond(await gateway.webhooks.one(webhook_id, caller))


@router.patch("/{webhookId}", response_model=Webhook)
async def change(gateway: The, caller: Caller, webhook_id: WebhookId, body: WebhookChanges) -> Response:
    """Change it, pause it, or let it go on."""
    if body == WebhookChanges():
        raise InvalidField("url, events, description, active: one of them at least")
    hook = await _seen(gateway, caller, webhook_id)
    _check_events(hook.conversation_id, body.events or [])
    await gateway.ingress.request(
        webhooks.ChangeWebhook(
            **_command(gateway, caller),
            webhook_id=webhook_id,
            url=body.url,
            events=None if body.events is None else list(dict.fromkeys(body.events)),
            description=body.description,
            active=body.active,
        )
    )
    return await one(gateway, caller, webhook_id)


@router.delete("/{webhookId}", status_code=204)
async def delete(gateway: The, caller: Caller, webhook_id: WebhookId) -> Response:
    """Delete it, and its log."""
    await _seen(gateway, caller, webhook_id)
    await gateway.ingress.request(webhooks.DeleteWebhook(**_command(gateway, caller), webhook_id=webhook_id))
    return Response(status_code=204)


@router.post("/{webhookId}/rotate-secret", response_model=Secret)
async def rotate_secret(gateway: The, caller: Caller, webhook_id: WebhookId, body: Rotation | None = None) -> Response:
    """Give it another secret, which is shown here and never again."""
    await _seen(gateway, caller, webhook_id)
    secret, overlap = new_secret(), (body or Rotation()).overlap_seconds
    await gateway.ingress.request(
        webhooks.RotateWebhookSecret(
            **_command(gateway, caller),
            webhook_id=webhook_id,
            secret=secret,
            previous_until=now() + timedelta(seconds=overlap),
        )
    )
    return respond(Secret(secret=secret))


@router.post("/{webhookId}/ping", status_code=202, response_model=Started)
async def ping(gateway: The, caller: Caller, webhook_id: WebhookId) -> Response:
    """Call it once, to see whether it answers."""
    await _seen(gateway, caller, webhook_id)
    asked = _command(gateway, caller)
    await gateway.ingress.request(webhooks.PingWebhook(**asked, webhook_id=webhook_id))
    return respond(Started(delivery_id=webhook_delivery_id(webhook_id, asked["id"])), 202)


@router.get("/{webhookId}/deliveries", response_model=Deliveries)
async def deliveries(
    gateway: The,
    caller: Caller,
    webhook_id: WebhookId,
    status: DeliveryStatus | None = None,
    limit: Limit = limits.LIST_DEFAULT,
    cursor: str | None = None,
) -> Response:
    """What was delivered, and what was not, newest first."""
    after = time_cursor(cursor)
    async with reading():
        await gateway.webhooks.one(webhook_id, caller)
        items, following = await gateway.webhooks.deliveries(webhook_id, status, limit, after)
    return respond_list(items, next_cursor(following))


@router.get("/{webhookId}/deliveries/{deliveryId}", response_model=WebhookDelivery)
async def delivery(gateway: The, caller: Caller, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    """One entry of the log."""
    async with reading():
        await gateway.webhooks.one(webhook_id, caller)
        return respond(await gateway.webhooks.delivery(webhook_id, delivery_id))


@router.post("/{webhookId}/deliveries/{deliveryId}/redeliver", status_code=202, response_model=Started)
async def redeliver(gateway: The, caller: Caller, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    """Deliver it again, under the same `webhook-id`."""
    await _seen(gateway, caller, webhook_id)
    await gateway.ingress.request(
        webhooks.RedeliverWebhook(**_command(gateway, caller), webhook_id=webhook_id, delivery_id=delivery_id)
    )
    return respond(Started(delivery_id=delivery_id), 202)


def new_secret() -> str:
    """A secret of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


async def _seen(gateway: Gateway, caller: Identity, webhook_id: str) -> Webhook:
    """The webhook, if the caller may see it; who may change it is for the notifier to say. Raises Refusal."""
    async with reading():
        return await gateway.webhooks.one(webhook_id, caller)


def _command(gateway: Gateway, caller: Identity) -> dict[str, Any]:
    return {**command(gateway, caller), "administrator": caller.is_administrator}


def _check_events(conversation_id: str | None, events: list[Any]) -> None:
    if conversation_id is not None and webhooks.READ in events:
        raise InvalidField(f"events: {webhooks.READ} is for webhooks of all conversations only")

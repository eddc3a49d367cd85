"""REST for Web Push: the deployment's key, and the browsers by which somebody wants to be told."""

from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import APIRouter, Response

from contracts import push
from contracts.errors import ErrorCode, Refusal
from contracts.push import Endpoint, PushKeys, PushSubscription
from contracts.shape import Shape
from services.gateway.bodies import strict_route
from services.gateway.calls import Caller, The, authenticate, command, respond
from services.gateway.history import reading
from services.gateway.ingress import new_id
from services.gateway.parts import Gateway
from services.gateway.problems import PROBLEMS, InvalidField

router = APIRouter(prefix="/api/push", route_class=strict_route(authenticate), responses=PROBLEMS)
renewing = APIRouter(prefix="/api/push", route_class=strict_route(), include_in_schema=False)


class Key(Shape):
    """What browsers bind a subscription to; null where this deployment does not push."""

    public_key: str | None


class Device(Shape):
    """A browser by which somebody was told."""

    endpoint: Endpoint


class Renewal(Shape):
    """What a browser's push service has changed."""

    old_endpoint: Endpoint
    endpoint: Endpoint
    keys: PushKeys


@router.get("/key", response_model=Key)
async def key(gateway: The, caller: Caller) -> Response:
    """The deployment's key."""
    return respond(Key(public_key=gateway.settings.vapid_public_key))


@router.post("/subscriptions", status_code=204)
async def subscribe(gateway: The, caller: Caller, body: PushSubscription) -> Response:
    """Be told by this browser; again, whenever the page is opened. It belongs to who says so last."""
    _check(gateway, body.keys)
    await gateway.ingress.request(push.SubscribePush(**command(gateway, caller), subscription=body))
    return Response(status_code=204)


@router.delete("/subscriptions", status_code=204)
async def unsubscribe(gateway: The, caller: Caller, body: Device) -> Response:
    """Be told by it no more; also by one that was not registered."""
    await gateway.ingress.request(push.UnsubscribePush(**command(gateway, caller), endpoint=body.endpoint))
    return Response(status_code=204)


@renewing.post("/renewals", status_code=204)
async def renew(gateway: The, body: Renewal) -> Response:
    """From a service worker, which has no token: who knows the old endpoint has it from the browser itself.

    The answer is the same whether it was known, so that nobody can ask for one.
    """
    _check(gateway, body.keys)
    async with reading():
        owner = await gateway.notifications.owner_of(body.old_endpoint)
    if owner is not None:
        ingress = gateway.ingress
        await ingress.request(
            push.RenewPush(
                id=new_id(),
                origin=ingress.origin(None),
                actor=owner,
                expires_at=ingress.expires_at(),
                old_endpoint=body.old_endpoint,
                endpoint=body.endpoint,
                keys=body.keys,
            )
        )
    return Response(status_code=204)


def _check(gateway: Gateway, keys: PushKeys) -> None:
    """Raises Refusal where nothing is pushed, or nothing could be encrypted for these keys."""
    if gateway.settings.vapid_public_key is None:
        raise Refusal(ErrorCode.NOT_FOUND, "This deployment does not push.")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), push.decode(keys.p256dh))
    except ValueError as error:
        raise InvalidField("keys.p256dh: not a point of P-256") from error

"""The browsers by which people are told: each belongs to who registered it last."""

from urllib.parse import urlsplit

from contracts import collections
from contracts.errors import ErrorCode, Refusal
from contracts.limits import DEVICES
from contracts.push import PushSubscription, RenewPush, SubscribePush, UnsubscribePush, device_id
from contracts.shape import now
from services.mongo import Database
from services.notifier.addresses import Forbidden, Resolver
from services.notifier.commands import Handlers
from services.notifier.timely import is_done


def handlers(resolver: Resolver) -> Handlers:
    """What is done about the commands of browsers."""

    async def subscribe(database: Database, command: SubscribePush) -> None:
        """Raises Refusal INVALID_FRAME for an endpoint that we would not call, and TIMEOUT."""
        await _check(resolver, command.subscription.endpoint)
        await keep(database, command.actor.user_id, command.subscription, command)

    async def renew(database: Database, command: RenewPush) -> None:
        """Raises Refusal, as above. It is whose it was, and shows what it showed."""
        await _check(resolver, command.endpoint)
        subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
        user_id, old = command.actor.user_id, device_id(command.old_endpoint)
        known = await subscriptions.find_one({"_id": old, "userId": user_id}, {"preview": 1})
        if known is None:
            return  # done before, or taken back meanwhile
        fresh = PushSubscription(endpoint=command.endpoint, keys=command.keys, preview=known["preview"])
        await keep(database, user_id, fresh, command)
        if device_id(command.endpoint) != old:
            await subscriptions.delete_one({"_id": old, "userId": user_id})

    return {
        "notifier.push_subscribe": subscribe,
        "notifier.push_unsubscribe": unsubscribe,
        "notifier.push_renew": renew,
    }


async def unsubscribe(database: Database, command: UnsubscribePush) -> None:
    """Also what was not registered. Raises Refusal TIMEOUT."""
    subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
    place = {"_id": device_id(command.endpoint), "userId": command.actor.user_id}
    if command.expires_at <= now():
        if await subscriptions.find_one(place, {"_id": 1}) is not None:
            raise Refusal(ErrorCode.TIMEOUT)
        return
    await subscriptions.delete_one(place)


async def keep(
    database: Database, user_id: str, subscription: PushSubscription, command: SubscribePush | RenewPush
) -> None:
    """Register a device, or again. Of too many, those that were registered longest ago are forgotten."""
    subscriptions = database[collections.PUSH_SUBSCRIPTIONS.name]
    place = {"_id": device_id(subscription.endpoint)}
    if not await is_done(subscriptions, place, command):
        await subscriptions.update_one(
            place,
            {
                "$set": {
                    "userId": user_id,
                    "endpoint": subscription.endpoint,
                    "p256dh": subscription.keys.p256dh,
                    "auth": subscription.keys.auth,
                    "preview": subscription.preview,
                    "seenAt": now(),
                    "commandId": command.id,
                }
            },
            upsert=True,
        )
    surplus = subscriptions.find({"userId": user_id}, {"_id": 1}).sort("seenAt", -1).skip(DEVICES)
    if found := [document["_id"] async for document in surplus]:
        await subscriptions.delete_many({"_id": {"$in": found}, "userId": user_id})


async def _check(resolver: Resolver, endpoint: str) -> None:
    """Raises Refusal for what is not to be called: what is not https, or leads into a network of ours."""
    parts = urlsplit(endpoint)
    plain = parts.scheme == "http"
    try:
        port = parts.port or (80 if plain else 443)
        await resolver.resolve(parts.hostname or "", port, named_only=plain)
    except (Forbidden, ValueError) as error:
        raise Refusal(ErrorCode.INVALID_FRAME, "endpoint: not the https address of a push service") from error
    except OSError:
        return  # a name that is not known just now; it is looked at again for every push

"""Web Push: what a browser gives to be told by, and what is asked of the notifier about it."""

import base64
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import StringConstraints

from contracts.commands import NotifierCommand
from contracts.limits import URL_LENGTH
from contracts.shape import Shape

Endpoint = Annotated[str, StringConstraints(max_length=URL_LENGTH, pattern=r"^https?://[^/?#\s@]+(/[^\s#]*)?$")]
# Base64url without padding: an uncompressed point of P-256 (65 bytes, the first is 4), and 16 random bytes.
P256dh = Annotated[str, StringConstraints(pattern=r"^B[A-Za-z0-9_-]{86}=?$")]
Auth = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}(==)?$")]


class PushKeys(Shape):
    """For whom a push is encrypted (RFC 8291)."""

    p256dh: P256dh
    auth: Auth


class PushSubscription(Shape):
    """What a browser's `PushSubscription` says, and whether this device may show who wrote what."""

    endpoint: Endpoint
    keys: PushKeys
    preview: bool = True


def device_id(endpoint: str) -> str:
    """The id of a browser's subscription, which tells nobody how to push to it."""
    return sha256(endpoint.encode()).hexdigest()


def decode(text: str) -> bytes:
    """Base64url with or without padding, as browsers give their keys. Raises ValueError."""
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


class SubscribePush(NotifierCommand):
    """Tell the actor by this browser too. It belongs to who says so last."""

    type: Literal["notifier.push_subscribe"] = "notifier.push_subscribe"
    subscription: PushSubscription


class UnsubscribePush(NotifierCommand):
    """Tell the actor by this browser no more."""

    type: Literal["notifier.push_unsubscribe"] = "notifier.push_unsubscribe"
    endpoint: Endpoint


class RenewPush(NotifierCommand):
    """The push service has given one of the actor's browsers another address and keys."""

    type: Literal["notifier.push_renew"] = "notifier.push_renew"
    old_endpoint: Endpoint
    endpoint: Endpoint
    keys: PushKeys

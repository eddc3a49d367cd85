"""A browser that was told about pushing: it has keys, and reads what it is sent, as RFC 8291 and 8292 have it."""

import base64
import os
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.push import PushKeys, PushSubscription
from tests.support.receiver import Call


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """An uncompressed point."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class VapidKeys:
    """A deployment's keys, as `palabre vapid` prints them."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def private(self) -> str:
        """`VAPID_PRIVATE_KEY`."""
        return encode(self.key.private_numbers().private_value.to_bytes(32))

    @property
    def public(self) -> str:
        """`VAPID_PUBLIC_KEY`."""
        return encode(point(self.key.public_key()))

    def claims(self, call: Call, audience: str) -> dict[str, Any]:
        """What the push service finds in a call's token. Raises where it is not this deployment's, or for others."""
        scheme, _, rest = call.headers["authorization"].partition(" ")
        fields = dict(part.split("=", 1) for part in rest.split(","))
        assert (scheme, fields["k"]) == ("vapid", self.public)
        found: dict[str, Any] = jwt.decode(fields["t"], self.key.public_key(), algorithms=["ES256"], audience=audience)
        return found


@dataclass
class Device:
    """One browser, whose push service gave it this endpoint."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    def subscription(self, *, preview: bool = True) -> PushSubscription:
        """What its page registers."""
        keys = PushKeys(p256dh=encode(point(self.key.public_key())), auth=encode(self.auth))
        return PushSubscription(endpoint=self.endpoint, keys=keys, preview=preview)

    def read(self, call: Call) -> dict[str, Any]:
        """What a push says to its service worker. Raises where it was encrypted for somebody else."""
        assert call.headers["content-encoding"] == "aes128gcm"
        plain = http_ece.decrypt(call.body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        found: dict[str, Any] = orjson.loads(plain)
        return found

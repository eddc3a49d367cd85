"""`palabre vapid`: keys that a deployment makes for itself."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def vapid() -> None:
    """Make the keys by which push services know this deployment (RFC 8292), as settings. Devices are bound to them."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    print(f"VAPID_PUBLIC_KEY={_text(public)}")
    print(f"VAPID_PRIVATE_KEY={_text(key.private_numbers().private_value.to_bytes(32))}")


def _text(raw: bytes) -> str:
    """Base64url without padding, as browsers take it."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

"""Signatures of Standard Webhooks, by which a receiver knows that a call is ours, whole and new.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The bytes that sign, of `whsec_<base64>`.

    Raises:
        ValueError: it is none.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX}")
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """`v1,<base64>` over id, time (in seconds) and body, as they are sent."""
    signed = b"%b.%d.%b" % (delivery_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode()


def headers(secrets: Sequence[str], delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers, with a signature for each secret: while one replaces another, either verifies."""
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, delivery_id, timestamp, body) for secret in secrets),
    }

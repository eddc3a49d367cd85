"""One Web Push message as an HTTP request, and what the answer means. No I/O.

Protocol: RFC 8030; encryption for the browser: RFC 8291; who we are to the push service: RFC 8292 (VAPID).
"""

import base64
import time
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

import http_ece
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from contracts.notifying import Delivery
from contracts.push import decode

# A push service need not take more than 4096 bytes (RFC 8291, section 4); encryption adds 103 to them.
PAYLOAD_BYTES = 4096 - 103
RECORD_BYTES = 4096
TOKEN_SECONDS = 6 * 3600  # a token is used for as long, and good for twice that: at most 24 hours are allowed
SOON = ("mention", "added")  # kinds that wake a device which saves its battery

Outcome = Literal["sent", "gone", "again", "refused"]


class Unusable(ValueError):
    """A browser's keys with which nothing can be encrypted."""


class Vapid:
    """The key by which push services know us."""

    def __init__(self, private_key: str, subject: str) -> None:
        """`private_key` as `palabre vapid` prints it. Raises ValueError for any other."""
        try:
            self._key = Vapid02.from_raw(private_key.encode())
        except Exception:
            raise ValueError("not a private key that `palabre vapid` printed") from None  # its text would hold the key
        self._subject = subject
        self._authorization = lru_cache(1000)(self._sign)

    def authorization(self, endpoint: str) -> str:
        """The header for a push service: signed once in some hours for each."""
        return self._authorization(origin_of(endpoint), int(time.time()) // TOKEN_SECONDS)

    def _sign(self, origin: str, period: int) -> str:
        claims = {"aud": origin, "sub": self._subject, "exp": (period + 2) * TOKEN_SECONDS}
        header: str = self._key.sign(claims)["Authorization"]
        return header


def origin_of(endpoint: str) -> str:
    """The push service of an endpoint; all that may be told of it, since the rest lets anybody push."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def payload(delivery: Delivery, *, with_content: bool) -> bytes:
    """What the service worker reads. Without content: that there is something new, where."""
    bare = {
        "id": delivery.id,
        "kind": delivery.kind,
        "conversationId": delivery.conversation_id,
        "seq": delivery.seq,
        "count": delivery.count or 1,
        "createdAt": int(delivery.created_at.timestamp() * 1000),
    }
    if not with_content:
        return orjson.dumps(bare | {"kind": "message"})
    shown = {
        "conversationName": delivery.conversation_name,
        "senderName": delivery.sender_name,
        "preview": delivery.preview,
    }
    body = orjson.dumps(bare | shown)
    if len(body) > PAYLOAD_BYTES and delivery.preview:
        # Each byte taken from the preview takes at least one from the body; the ellipsis needs three.
        whole = delivery.preview.encode()
        preview = whole[: max(0, len(whole) - (len(body) - PAYLOAD_BYTES + 3))].decode(errors="ignore")
        body = orjson.dumps(bare | shown | {"preview": preview + "…" if preview else None})
    return body if len(body) <= PAYLOAD_BYTES else orjson.dumps(bare)


def encrypt(content: bytes, p256dh: str, auth: str) -> bytes:
    """A body that only the browser with these keys can read. Raises Unusable."""
    try:
        body: bytes = http_ece.encrypt(
            content,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=decode(p256dh),
            auth_secret=decode(auth),
            rs=RECORD_BYTES,
            version="aes128gcm",
        )
    except (ValueError, http_ece.ECEException) as error:
        raise Unusable("nothing can be encrypted with these keys") from error
    return body


def headers(delivery: Delivery, authorization: str, now: datetime) -> dict[str, str]:
    """How long the push service may keep it, how much it matters, and which older one it takes the place of."""
    return {
        "Authorization": authorization,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(max(0, int((delivery.expires_at - now).total_seconds()))),
        "Urgency": "high" if delivery.kind in SOON else "normal",
        # At most 32 characters of base64url, from which nobody can tell the conversation.
        "Topic": base64.urlsafe_b64encode(sha256(delivery.conversation_id.encode()).digest()[:24]).decode(),
    }


def outcome_of(status: int | None) -> Outcome:
    """What an answer means (RFC 8030, section 5, as push services practise it); None: there was none."""
    if status is None or status in (408, 425, 429) or status >= 500:
        return "again"
    if status in (404, 410):
        return "gone"
    return "sent" if 200 <= status < 300 else "refused"

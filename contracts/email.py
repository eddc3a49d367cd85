"""The mail digest: where people want it, when it is due, and the links that end it without signing in."""

import base64
import hmac
import re
from typing import Annotated, Literal

from pydantic import StringConstraints

from contracts.commands import NotifierCommand
from contracts.shape import Id, Instant, Seq, Shape, optional

SIGNATURE_BYTES = 16
Language = Literal["en", "fr"]
# RFC 5321, section 4.5.3.1.3, without what only some mail servers take: other alphabets, quotes.
_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$"
Address = Annotated[str, StringConstraints(max_length=254, pattern=_ADDRESS)]


def is_address(text: str) -> bool:
    """Whether mails can be sent there, as far as its form goes."""
    return len(text) <= 254 and re.fullmatch(_ADDRESS, text) is not None


class EmailSettings(Shape):
    """Whether somebody wants a mail when messages to them stay unread, in which language, and to where."""

    digest: bool
    language: Language = "en"
    address: Address | None = optional()


class EmailDue(Shape):
    """Somebody may have a mail to get, not before a moment. `number` counts the failures."""

    kind: Literal["due"] = "due"
    user_id: Id
    not_before: Instant
    number: Seq = 0


class StoreEmail(NotifierCommand):
    """Keep whether, and to where, the actor wants a mail."""

    type: Literal["notifier.email"] = "notifier.email"
    settings: EmailSettings


class EndEmails(NotifierCommand):
    """Mail the actor no more: they followed the link of a mail."""

    type: Literal["notifier.email_end"] = "notifier.email_end"


def sign(secret: str, user_id: str) -> str:
    """What a link holds that ends somebody's mails: it lets whoever has it do this, and nothing else, for ever."""
    return f"{_text(user_id.encode())}.{_text(_signature(secret, user_id))}"


def signed_for(secret: str, token: str) -> str | None:
    """Whose link it is, if we made it."""
    user, _, signature = token.partition(".")
    try:
        user_id, given = _bytes(user).decode(), _bytes(signature)
    except ValueError:
        return None
    return user_id if hmac.compare_digest(given, _signature(secret, user_id)) else None


def _signature(secret: str, user_id: str) -> bytes:
    return hmac.digest(secret.encode(), b"unsubscribe\0" + user_id.encode(), "sha256")[:SIGNATURE_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

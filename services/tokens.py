"""Signing tokens with a secret of our own: for development, and for service accounts without an identity provider."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import jwt

from services.settings import TokenSettings


def sign(
    settings: TokenSettings, user_id: str, user_name: str, lifetime: timedelta, scopes: Iterable[str] | None = None
) -> str:
    """An HS256 token that a gateway with these settings accepts; without scopes it is a person's."""
    moment = datetime.now(UTC)
    optional = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "scope": None if scopes is None else " ".join(scopes),
    }
    claims = {
        "sub": user_id,
        "name": user_name,
        "iat": moment,
        "exp": moment + lifetime,
        **{name: value for name, value in optional.items() if value is not None},
    }
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")

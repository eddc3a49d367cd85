"""Tokens: who is there, and until when. The only place that reads or signs one."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from contracts import limits
from contracts.conversation import Profile
from contracts.errors import ErrorCode, Refusal
from services.gateway.settings import Settings
from services.telemetry import logger

ASYMMETRIC = ["RS256", "ES256", "EdDSA"]
JWKS_TIMEOUT = 3.0
JWKS_AGE = 600.0  # seconds after which the keys are fetched again
JWKS_PAUSE = 10.0  # seconds between two fetches because of an unknown `kid`: strangers must not make us ask for ever
TOKEN_LENGTH = 8192
DEVELOPMENT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whose token was good."""

    profile: Profile
    expires_at: datetime

    @property
    def user_id(self) -> str:
        """Their id."""
        return self.profile.user_id


class Verifier:
    """Verifies tokens with the configured key or key set; a token never chooses between the two."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str | None, Any] = {}
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Identity:
        """Who this is.

        Raises:
            Refusal: INVALID_TOKEN, TOKEN_EXPIRED, or UNAVAILABLE while the keys cannot be fetched.
        """
        if len(token) > TOKEN_LENGTH:
            raise Refusal(ErrorCode.INVALID_TOKEN, "The token is too long.")
        settings = self._settings
        try:
            if settings.jwt_jwks_url is None:
                key, algorithms = settings.jwt_secret.get_secret_value(), ["HS256"]
            else:
                key, algorithms = await self._key(jwt.get_unverified_header(token).get("kid")), ASYMMETRIC
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=settings.jwt_leeway,
                options={"require": ["exp"], "verify_aud": settings.jwt_audience is not None},
            )
        except jwt.ExpiredSignatureError as error:
            raise Refusal(ErrorCode.TOKEN_EXPIRED) from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Refusal(ErrorCode.INVALID_TOKEN, f"The token is not valid: {error}"[:200]) from error
        return _identity(claims)

    def sign(self, user_id: str, user_name: str) -> str:
        """A development token."""
        claims = {
            "sub": user_id,
            "name": user_name,
            "iat": datetime.now(UTC),
            "exp": datetime.now(UTC) + timedelta(hours=DEVELOPMENT_HOURS),
        }
        if self._settings.jwt_issuer:
            claims["iss"] = self._settings.jwt_issuer
        if self._settings.jwt_audience:
            claims["aud"] = self._settings.jwt_audience
        return jwt.encode(claims, self._settings.jwt_secret.get_secret_value(), algorithm="HS256")

    async def _key(self, kid: str | None) -> Any:
        async with self._fetching:
            age = time.monotonic() - self._fetched
            if age > JWKS_AGE or (kid not in self._keys and age > JWKS_PAUSE):
                await self._fetch()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if kid not in self._keys:
            raise Refusal(ErrorCode.INVALID_TOKEN, "The token is signed with an unknown key.")
        return self._keys[kid]

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=JWKS_TIMEOUT, follow_redirects=False) as client:
                response = await client.get(str(self._settings.jwt_jwks_url))
                response.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(response.json()).keys
        except (httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
            logger().warning("JWKS away", reason=str(error) or type(error).__name__)
            if not self._keys:
                raise Refusal(ErrorCode.UNAVAILABLE, "The keys of tokens cannot be fetched.") from error
            return  # the keys that we have are better than none
        # A symmetric key in a public key set would let anybody sign.
        self._keys = {key.key_id: key.key for key in keys if key.key_type != "oct"}
        self._fetched = time.monotonic()


def development_user_id(user_name: str) -> str:
    """The id of a development user who gave only a name."""
    return "u" + hashlib.sha256(user_name.strip().casefold().encode()).hexdigest()[:15]


def _identity(claims: dict[str, Any]) -> Identity:
    user_id = claims.get("sub", claims.get("userId"))
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= limits.ID_LENGTH:
        raise Refusal(ErrorCode.INVALID_TOKEN, f"The token's sub must have 1 to {limits.ID_LENGTH} characters.")
    name, picture = claims.get("name"), claims.get("picture")
    try:
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise Refusal(ErrorCode.INVALID_TOKEN, "The token's exp is out of range.") from error
    return Identity(
        Profile(
            user_id=user_id,
            user_name=name[: limits.NAME_LENGTH] if isinstance(name, str) and name else user_id,
            avatar=picture[: limits.URL_LENGTH] if isinstance(picture, str) and picture else None,
        ),
        expires_at,
    )

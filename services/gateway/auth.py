"""Tokens: who is there, until when, and what the token allows. The only place that reads one."""

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from contracts import limits
from contracts.conversation import Profile
from contracts.email import is_address
from contracts.errors import ErrorCode, Refusal
from contracts.message import is_url
from contracts.scopes import ADMIN, Scope, Scopes, granted
from services import tokens
from services.gateway import metrics
from services.gateway.settings import Settings
from services.telemetry import logger

ASYMMETRIC = ["RS256", "ES256", "EdDSA"]
JWKS_TIMEOUT = 3.0  # seconds for all of it
JWKS_BYTES = 256 * 1024
JWKS_AGE = 600.0  # seconds after which the keys are fetched again
JWKS_RETRY = 10.0  # likewise, while the last fetch failed
JWKS_PAUSE = 2.0  # seconds between two fetches because of an unknown `kid`
TOKEN_LENGTH = 8192
DEVELOPMENT_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whose token was good. `scopes` are those of a service account; None for a person.

    `email` is their address, where whoever signed the token has verified it.
    """

    profile: Profile
    expires_at: datetime
    scopes: Scopes | None = None
    email: str | None = None

    @property
    def user_id(self) -> str:
        """Their id."""
        return self.profile.user_id

    @property
    def is_service(self) -> bool:
        """Whether this is a service account."""
        return self.scopes is not None

    @property
    def is_administrator(self) -> bool:
        """Whether the token allows to lead the whole deployment, which no person's does."""
        return self.scopes is not None and ADMIN in self.scopes

    def has(self, scope: Scope) -> bool:
        """Whether the token allows what needs this scope. A person's allows everything."""
        return self.scopes is None or scope in self.scopes


class Verifier:
    """Verifies tokens with the configured key or key set; a token never chooses between the two."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str | None, Any] = {}
        self._tried = float("-inf")  # when the last fetch ended
        self._fetched = False  # whether it succeeded
        self._fetching: asyncio.Task[None] | None = None
        if settings.jwt_jwks_url is not None:
            for outcome in ("ok", "failed"):
                metrics.KEY_FETCHES.labels(outcome)  # from 0 on: Prometheus sees no increase in what begins at 1

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
        return tokens.sign(self._settings, user_id, user_name, DEVELOPMENT_LIFETIME)

    async def _key(self, kid: str | None) -> Any:
        """The key that a token names.

        Known keys serve while newer ones are fetched beside. A token with a key that is not known waits for the next
        fetch; strangers make us fetch once in `JWKS_PAUSE`, not more.
        """
        known = self._known(kid)
        age = time.monotonic() - self._tried
        if known is None:
            # It may have been rotated in since the last fetch.
            await asyncio.sleep(max(0.0, JWKS_PAUSE - age))
            known = self._known(kid)
            if known is None:
                await asyncio.shield(self._fetch())
                known = self._known(kid)
        elif age > (JWKS_AGE if self._fetched else JWKS_RETRY):
            self._fetch()
        if known is not None:
            return known
        if not self._fetched:
            raise Refusal(ErrorCode.UNAVAILABLE, "The keys of tokens cannot be fetched.")
        raise Refusal(ErrorCode.INVALID_TOKEN, "The token is signed with an unknown key.")

    def _known(self, kid: str | None) -> Any:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _fetch(self) -> "asyncio.Task[None]":
        """One fetch at a time, whoever waits for it."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_keys())
        return self._fetching

    async def _fetch_keys(self) -> None:
        try:
            async with asyncio.timeout(JWKS_TIMEOUT):
                keys = jwt.PyJWKSet.from_dict(json.loads(await self._key_set())).keys
        except Exception as error:  # whatever a strange server made of it
            # The keys that we have are better than none.
            self._fetched = False
            metrics.KEY_FETCHES.labels("failed").inc()
            logger().warning("JWKS away", reason=str(error) or type(error).__name__)
        else:
            # A symmetric key in a public key set would let anybody sign.
            self._keys = {key.key_id: key.key for key in keys if key.key_type != "oct"}
            self._fetched = True
            metrics.KEY_FETCHES.labels("ok").inc()
        self._tried = time.monotonic()

    async def _key_set(self) -> bytes:
        """The published text. Raises httpx.HTTPError, and ValueError for none and for one that is too long."""
        body = bytearray()
        url = str(self._settings.jwt_jwks_url)
        async with (
            httpx.AsyncClient(timeout=JWKS_TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"answered {response.status_code}")  # httpx would name the URL, and a password in it
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > JWKS_BYTES:
                    raise ValueError(f"longer than {JWKS_BYTES} bytes")
        return bytes(body)


def development_user_id(user_name: str) -> str:
    """The id of a development user who gave only a name."""
    return "u" + hashlib.sha256(user_name.strip().casefold().encode()).hexdigest()[:15]


def _identity(claims: dict[str, Any]) -> Identity:
    user_id = claims.get("sub", claims.get("userId"))
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= limits.ID_LENGTH:
        raise Refusal(ErrorCode.INVALID_TOKEN, f"The token's sub must have 1 to {limits.ID_LENGTH} characters.")
    name, picture, scope = claims.get("name"), claims.get("picture"), claims.get("scope")
    if not isinstance(scope, str | None):
        raise Refusal(ErrorCode.INVALID_TOKEN, "The token's scope must be a text, its names separated by spaces.")
    for claim in (user_id, name, picture):
        if isinstance(claim, str) and not _writable(claim):
            raise Refusal(ErrorCode.INVALID_TOKEN, "The token holds text that cannot be stored.")
    try:
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise Refusal(ErrorCode.INVALID_TOKEN, "The token's exp is out of range.") from error
    return Identity(
        Profile(
            user_id=user_id,
            user_name=name[: limits.NAME_LENGTH] if isinstance(name, str) and name else user_id,
            avatar=picture if isinstance(picture, str) and is_url(picture) else None,
        ),
        expires_at,
        granted(scope),
        _email(claims),
    )


def _email(claims: dict[str, Any]) -> str | None:
    """OpenID Connect Core, section 5.1; some providers say `email_verified` as a text."""
    address, verified = claims.get("email"), claims.get("email_verified")
    return address if isinstance(address, str) and is_address(address) and verified in (True, "true") else None


def _writable(text: str) -> bool:
    """Whether it is text in every program: no NUL, no half of a surrogate pair (which JSON can spell)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

"""What can be set for a gateway, beside what every service has."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from services.settings import ServiceSettings

DEVELOPMENT_SECRET = "palabre-development-secret-never-in-production"  # noqa: S105 - refused unless AUTH_DEV=1
SECRET_BYTES = 32  # RFC 7518, section 3.2: a key of at least the hash's size


class Settings(ServiceSettings):
    """Settings of a gateway. A limit of 0 is switched off."""

    port: int = Field(3000, ge=0, le=65535, description="port of WebSocket and REST")
    auth_dev: bool = Field(False, description="development: POST /api/dev/token gives a token to anybody")
    jwt_secret: SecretStr = Field(
        SecretStr(DEVELOPMENT_SECRET),
        description="key of HS256 tokens, at least 32 bytes; unused with JWT_JWKS_URL",
    )
    jwt_jwks_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="where the keys of RS256, ES256 and EdDSA tokens are published"
    )
    jwt_issuer: str | None = Field(None, description="the `iss` that a token must have")
    jwt_audience: str | None = Field(None, description="the `aud` that a token must have")
    jwt_leeway: float = Field(30.0, ge=0, description="seconds by which clocks may differ")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="browser origins let in, comma-separated; * for all; without it, the gateway's own host",
    )
    ws_max_frame: int = Field(64 * 1024, ge=1024, description="bytes of the largest client frame")
    ws_compression: bool = Field(False, description="permessage-deflate, where the client offers it; costs memory")
    ws_queue_bytes: int = Field(1024 * 1024, ge=1024, description="bytes that may wait for one slow client")
    heartbeat_interval: float = Field(30.0, gt=0, description="seconds between pings; two unanswered close with 4000")
    auth_timeout: float = Field(10.0, gt=0, description="seconds until a connection must have authenticated")
    send_timeout: float = Field(10.0, gt=0, description="seconds until a command that is not done is given up")
    typing_timeout: float = Field(10.0, gt=0, description="seconds after which typing ends without renewal")
    read_interval: float = Field(
        1.0, ge=0, description="seconds in which several mark_read of one user and conversation become one"
    )
    presence_interval: float = Field(
        30.0, gt=0, description="seconds within which a gateway says again who is there; two and a half are believed"
    )
    presence_grace: float = Field(
        10.0, ge=0, description="seconds for which somebody who disconnected counts as still there"
    )
    away_after: float = Field(600.0, gt=0, description="seconds without a frame after which a device counts as away")
    broker_lost_timeout: float = Field(
        60.0, gt=0, description="seconds without RabbitMQ after which sockets are closed with 4003"
    )
    recheck_interval: float = Field(
        60.0, gt=0, description="seconds between looks into the history for what RabbitMQ did not bring"
    )
    resume_limit: int = Field(1000, ge=1, description="missed messages up to which a resume replays them all")
    max_pending: int = Field(20_000, ge=1, description="commands that may wait for their answer in this gateway")
    max_connections_per_user: int = Field(20, ge=0, description="sockets of one user on this gateway")
    max_invalid_frames: int = Field(50, ge=0, description="malformed frames until a socket is closed with 4502")
    rate_limits: bool = Field(True, description="0 switches every rate limit off")
    rate_sends: float = Field(20.0, ge=0, description="messages a second, per connection and per user")
    rate_sends_burst: float = Field(40.0, ge=1, description="messages at once")
    rate_changes: float = Field(20.0, ge=0, description="edits, deletions and reactions a second")
    rate_changes_burst: float = Field(40.0, ge=1, description="of these at once")
    rate_typing: float = Field(5.0, ge=0, description="typing frames a second")
    rate_typing_burst: float = Field(5.0, ge=1, description="typing frames at once")
    rate_reads: float = Field(10.0, ge=0, description="mark_read frames a second")
    rate_reads_burst: float = Field(100.0, ge=1, description="mark_read frames at once")
    rate_presence: float = Field(2.0, ge=0, description="set_presence and watch_presence frames a second")
    rate_presence_burst: float = Field(10.0, ge=1, description="of these at once")
    rate_frames: float = Field(100.0, ge=0, description="frames a second")
    rate_frames_burst: float = Field(100.0, ge=1, description="frames at once")
    rate_searches: float = Field(2.0, ge=0, description="searches a second, per user")
    rate_searches_burst: float = Field(10.0, ge=1, description="searches at once")
    drain_batch: int = Field(200, ge=1, description="sockets closed at a time while draining")
    drain_spread: float = Field(5.0, ge=0, description="seconds over which drained clients are told to come back")

    web_root: Path = Field(Path("web/dist"), description="folder of the built web page that `/` serves")
    web_oidc_issuer: str | None = Field(
        None, pattern=r"^https?://[^\s;,]+$", description="the page signs people in at this OpenID provider"
    )
    web_oidc_client_id: str | None = Field(None, description="as which public client (code flow with PKCE)")
    web_host_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of pages that may embed the page and give it a token, comma-separated"
    )

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: dict[str, object]) -> dict[str, object]:
        lists = {name: values.get(name) for name in ("allowed_origins", "web_host_origins")}
        return values | {name: _origins(name, text) for name, text in lists.items() if isinstance(text, str)}

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.web_oidc_issuer is None) != (self.web_oidc_client_id is None):
            raise ValueError("WEB_OIDC_ISSUER and WEB_OIDC_CLIENT_ID are set together or not at all")
        for origin in self.web_host_origins:
            if not re.fullmatch(r"https?://[^\s;,/*]+", origin):
                raise ValueError(f"WEB_HOST_ORIGINS: {origin!r} is not an origin such as https://intranet.example.com")
        secret = self.jwt_secret.get_secret_value()
        if self.jwt_jwks_url is None and not self.auth_dev:
            if secret == DEVELOPMENT_SECRET:
                raise ValueError("JWT_SECRET (or JWT_JWKS_URL) must be set; the development secret needs AUTH_DEV=1")
            if len(secret.encode()) < SECRET_BYTES:
                raise ValueError(f"JWT_SECRET must have at least {SECRET_BYTES} bytes")
        return self


def _origins(name: str, text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for origin in origins:
        if not re.fullmatch(r"\*|https?://[^/\s]+", origin):
            raise ValueError(f"{name.upper()}: {origin!r} is no origin, as https://chat.example.org")
    return origins

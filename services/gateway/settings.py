"""What can be set for a gateway, beside what every service has."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from services.settings import DEVELOPMENT_SECRET, TokenSettings

SECRET_BYTES = 32  # RFC 7518, section 3.2: a key of at least the hash's size


class Settings(TokenSettings):
    """Settings of a gateway. A limit of 0 is switched off."""

    port: int = Field(3000, ge=0, le=65535, description="port of WebSocket and REST")
    http_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port on which /healthz, /readyz and /metrics are answered, and nothing else; at PORT without it, "
        "where everybody can ask who gets in",
    )
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
    request_timeout: float = Field(
        30.0,
        gt=0,
        description="seconds until a request must have come, and its answer be taken; its head: AUTH_TIMEOUT",
    )
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
    traces_ratio: float = Field(
        0.01, ge=0, le=1, description="share of messages and other commands that are traced, where TRACES is set"
    )
    max_pending: int = Field(20_000, ge=1, description="commands that may wait for their answer in this gateway")
    max_pending_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="bytes of all commands that wait for their answer in this gateway"
    )
    max_connections_per_user: int = Field(20, ge=0, description="sockets of one user on this gateway")
    max_unauthenticated: int = Field(
        5000, ge=0, description="connections that have not authenticated; for one more, that which waits longest is cut"
    )
    max_unauthenticated_per_address: int = Field(
        0, ge=0, description="likewise of one address, where no proxy stands before the gateway"
    )
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
    limit_service_connections: int = Field(5, ge=0, description="sockets of one service account on this gateway")
    limit_service_sends: float = Field(
        50.0, ge=0, description="messages a second of a service account, in place of RATE_SENDS"
    )
    limit_service_sends_burst: float = Field(100.0, ge=1, description="of these at once")
    limit_service_changes: float = Field(
        50.0, ge=0, description="edits, deletions and reactions a second of a service account"
    )
    limit_service_changes_burst: float = Field(100.0, ge=1, description="of these at once")
    limit_service_frames: float = Field(
        200.0, ge=0, description="frames, and calls over REST, a second of a service account"
    )
    limit_service_frames_burst: float = Field(400.0, ge=1, description="of these at once")
    limit_service_searches: float = Field(2.0, ge=0, description="searches a second of a service account")
    limit_service_searches_burst: float = Field(10.0, ge=1, description="of these at once")
    drain_batch: int = Field(200, ge=1, description="sockets closed at a time while draining")
    drain_spread: float = Field(5.0, ge=0, description="seconds over which drained clients are told to come back")

    vapid_public_key: str | None = Field(
        None,
        pattern=r"^B[A-Za-z0-9_-]{86}$",
        description="Web Push: the public key that `palabre vapid` printed, which the page gives to browsers",
    )
    email_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="signs the links that end somebody's mails, as in the notifier; none where nobody is mailed",
    )

    web_root: Path = Field(Path("web/dist"), description="folder of the built web page that `/` serves")
    web_oidc_issuer: str | None = Field(
        None, pattern=r"^https?://[^\s;,]+$", description="the page signs people in at this OpenID provider"
    )
    web_oidc_client_id: str | None = Field(None, description="as which public client (code flow with PKCE)")
    web_oidc_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="origins of the provider's token endpoint, where that is on another host, comma-separated",
    )
    web_host_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of pages that may embed the page and give it a token, comma-separated"
    )

    # Each looks at one field and those above it, so that everything that is wrong is told at once.

    @field_validator("allowed_origins", "web_oidc_origins", "web_host_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"\*|https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is no origin, as https://chat.example.org")
        return origins

    @field_validator("web_oidc_origins", "web_host_origins")
    @classmethod
    def _are_hosts(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^\s;,/*]+", origin):
                raise ValueError(f"{origin!r} is not an origin such as https://intranet.example.com")
        return origins

    @field_validator("jwt_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("auth_dev", True) or info.data.get("jwt_jwks_url", True) is not None:
            return secret
        if secret.get_secret_value() == DEVELOPMENT_SECRET:
            raise ValueError("JWT_SECRET (or JWT_JWKS_URL) must be set; the development secret needs AUTH_DEV=1")
        if len(secret.get_secret_value().encode()) < SECRET_BYTES:
            raise ValueError(f"JWT_SECRET must have at least {SECRET_BYTES} bytes")
        return secret

    @field_validator("web_oidc_client_id")
    @classmethod
    def _has_issuer(cls, client: str | None, info: ValidationInfo) -> str | None:
        if "web_oidc_issuer" in info.data and (info.data["web_oidc_issuer"] is None) != (client is None):
            raise ValueError("WEB_OIDC_ISSUER and WEB_OIDC_CLIENT_ID are set together or not at all")
        return client

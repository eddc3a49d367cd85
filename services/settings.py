"""Settings that every service has. Each service's own are in its `settings.py`; all come from the environment."""

import re
import sys
from importlib.util import find_spec
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.topology import Topology


class ServiceSettings(BaseSettings):
    """Environment variables carry the upper-case names of the fields."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False)

    amqp_url: str = Field(
        "amqp://guest:guest@127.0.0.1:5672/",
        pattern=r"^amqps?://[^/?#]+(/[^/?#]*)?(\?[^#]*)?$",
        description="RabbitMQ, as amqp://user:password@host:port/vhost or amqps://…?cafile=FILE, where that file has the "
        "authorities to trust instead of the system's; also certfile and keyfile, to be known by",
    )
    mongodb_url: str = Field(
        "mongodb://127.0.0.1:27017/?replicaSet=rs0",
        pattern=r"^mongodb(\+srv)?://[^/?#]+",
        description="MongoDB, a replica set (it may have one node); with tls=true&tlsCAFile=FILE likewise",
    )
    mongodb_database: str = Field(
        "palabre", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="database of this environment"
    )
    prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,50}$",
        description="put before every exchange's and queue's name, to share a virtual host",
    )
    partitions: Annotated[int, Field(ge=1, le=100)] = Field(
        16,
        description="queues that commands are spread over; the same for all services, and not to be changed later",
    )
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe line logged; debug adds one for each message"
    )
    log_format: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, else JSON")
    traces: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]+",
        description="OpenTelemetry: where traces are taken by OTLP/HTTP, as http://collector:4318; none: no traces",
    )
    shutdown_timeout: float = Field(30.0, gt=0, description="seconds that a stop may take after SIGTERM")

    @field_validator("amqp_url")
    @classmethod
    def _port_of(cls, url: str) -> str:
        if urlsplit(url).port == 0:  # raises ValueError for what is no port at all
            raise ValueError("0 is no port")
        return url

    @field_validator("traces")
    @classmethod
    def _can_trace(cls, url: str | None) -> str | None:
        if url is not None:
            try:
                find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            except ImportError as error:
                raise ValueError(f"the extra `otel` is not installed ({error})") from error
        return url

    @property
    def topology(self) -> Topology:
        """The names of this environment."""
        return Topology(self.prefix, self.partitions)


DEVELOPMENT_SECRET = "palabre-development-secret-never-in-production"  # noqa: S105 - refused unless AUTH_DEV=1


class TokenSettings(ServiceSettings):
    """What whoever reads tokens and whoever signs them must agree on."""

    auth_dev: bool = Field(False, description="development: POST /api/dev/token gives a token to anybody")
    jwt_jwks_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="where the keys of RS256, ES256 and EdDSA tokens are published"
    )
    jwt_secret: SecretStr = Field(
        SecretStr(DEVELOPMENT_SECRET),
        description="key of HS256 tokens, at least 32 bytes; unused with JWT_JWKS_URL",
    )
    jwt_issuer: str | None = Field(None, description="the `iss` that a token must have")
    jwt_audience: str | None = Field(None, description="the `aud` that a token must have")


class WorkerSettings(ServiceSettings):
    """Of the services without a port of their own: one for probes and metrics."""

    http_port: int = Field(3100, ge=0, le=65535, description="port of /healthz, /readyz and /metrics")


S = TypeVar("S", bound=ServiceSettings)
MASK = "****"
# The password of a URL: everything up to the last @ before the path, whatever somebody forgot to encode in it; and one
# among its options, as that of a key file.
_PASSWORD = re.compile(r"(://[^/:@]*:)[^/]*(?=@)|([?&][^=&]*password=)[^&]*", re.IGNORECASE)


def described(settings: ServiceSettings) -> dict[str, str]:
    """Every setting that is in force, as its variable would say it; what is secret is masked."""

    def text(value: object) -> str:
        if isinstance(value, SecretStr):
            return MASK
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}{MASK}", "" if value is None else str(value))

    return {name.upper(): text(getattr(settings, name)) for name in type(settings).model_fields}


def load(kind: type[S]) -> S:
    """The settings, or an end of the process that names every variable that is wrong."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(part) for part in problem["loc"]).upper() or "settings"
            print(f"{name}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)

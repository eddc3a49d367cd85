"""Settings that every service has. Each service's own are in its `settings.py`; all come from the environment."""

import sys
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.topology import Topology


class ServiceSettings(BaseSettings):
    """Environment variables carry the upper-case names of the fields."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False)

    amqp_url: str = Field(
        "amqp://guest:guest@127.0.0.1:5672/",
        pattern=r"^amqps?://[^/?#]+(/[^/?#]*)?(\?[^#]*)?$",
        description="RabbitMQ, as amqp://user:password@host:port/vhost or amqps://",
    )
    mongodb_url: str = Field(
        "mongodb://127.0.0.1:27017/?replicaSet=rs0",
        pattern=r"^mongodb(\+srv)?://[^/?#]+",
        description="MongoDB, a replica set (it may have one node)",
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
    shutdown_timeout: float = Field(30.0, gt=0, description="seconds that a stop may take after SIGTERM")

    @field_validator("amqp_url")
    @classmethod
    def _port_of(cls, url: str) -> str:
        if urlsplit(url).port == 0:  # raises ValueError for what is no port at all
            raise ValueError("0 is no port")
        return url

    @property
    def topology(self) -> Topology:
        """The names of this environment."""
        return Topology(self.prefix, self.partitions)


class WorkerSettings(ServiceSettings):
    """Of the services without a port of their own: one for probes and metrics."""

    http_port: int = Field(3100, ge=0, le=65535, description="port of /healthz, /readyz and /metrics")


S = TypeVar("S", bound=ServiceSettings)


def load(kind: type[S]) -> S:
    """The settings, or an end of the process that names every variable that is wrong."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(part) for part in problem["loc"]).upper() or "settings"
            print(f"{name}: {problem['msg']}", file=sys.stderr)
        sys.exit(2)

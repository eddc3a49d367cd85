"""What can be set for a notifier, beside what every service has."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.settings import WorkerSettings


class Settings(WorkerSettings):
    """Settings of a notifier."""

    prefetch: Annotated[int, Field(ge=1, le=2000)] = Field(
        50, description="AMQP messages that wait here unacknowledged; each holds the events of one batch"
    )
    batch_size: Annotated[int, Field(ge=1, le=5000)] = Field(500, description="events that are looked up together")
    linger: float = Field(
        0.1,
        ge=0,
        le=1,
        description="seconds that events wait for others, to be looked up together, while there are many",
    )
    preview_length: Annotated[int, Field(ge=0, le=1000)] = Field(
        140, description="characters of a message shown in its notification; 0 shows none"
    )
    notify_delay: Literal[0, 5, 60] = Field(
        5, description="seconds after which what is not read yet is worth an entry, a push, a mail"
    )
    notify_pause: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="seconds between two pushes of one conversation to one person, but for mentions",
    )
    notify_until: float = Field(
        86400.0, gt=0, description="seconds after which nobody is pushed or mailed of a message"
    )
    keep_notifications: float = Field(
        30 * 86400.0, gt=0, description="seconds for which the notification centre keeps an entry"
    )
    entries_up_to: Annotated[int, Field(ge=0, le=10_000)] = Field(
        100,
        description="members up to whom an ordinary message is kept for the notification centre; mentions always are",
    )
    presence_believed: float = Field(
        75.0, gt=0, description="seconds for which a silent gateway's people are here: 2.5 times PRESENCE_INTERVAL"
    )

    call_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="networks that people may make us call beside the internet, as 10.1.0.0/16, comma-separated; "
        "http is spoken there only",
    )

    vapid_private_key: SecretStr | None = Field(
        None, description="Web Push: the private key that `palabre vapid` printed; none switches it off"
    )
    vapid_subject: str | None = Field(
        None,
        pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://[^\s]+)$",
        description="Web Push: whom the push services may ask, as mailto:admin@example.org",
    )
    push_content: bool = Field(
        True, description="pushes say who wrote what, where the person lets them; 0: that there is something new"
    )
    push_timeout: float = Field(10.0, gt=0, le=60, description="seconds until a push service must have answered")
    push_at_once: Annotated[int, Field(ge=1, le=1000)] = Field(
        50, description="pushes under way to one push service; others wait in RabbitMQ"
    )

    smtp_host: str | None = Field(None, description="mail server of the e-mail digest; none switches it off")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(587, description="its port; 465 with tls")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls and tls end where the server cannot or is not known; none is for this machine"
    )
    smtp_ca_file: Path | None = Field(
        None, description="authorities by which it is known, instead of those of the system"
    )
    smtp_user: str | None = Field(None, description="as whom to sign in there")
    smtp_password: SecretStr | None = Field(None, description="with which password")
    smtp_timeout: float = Field(30.0, gt=0, le=300, description="seconds for each step of the conversation with it")
    email_from: str | None = Field(
        None, pattern=r"^([^<>@\r\n]+ <[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$", description="sender of the mails"
    )
    email_delay: float = Field(900.0, ge=0, description="seconds for which something must be unread to be worth a mail")
    email_content: bool = Field(True, description="mails say who wrote what; 0: that there is something")
    email_secret: SecretStr | None = Field(
        None, min_length=32, description="signs the links that end somebody's mails; the same for gateway and notifier"
    )
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/?#\s]+$", description="where people find the page, for links in mails"
    )

    webhooks: Literal["off", "administrators", "everybody"] = Field(
        "off",
        description="who may make webhooks: administrators of the deployment, or also the admins of each conversation",
    )
    webhook_connect_timeout: float = Field(5.0, gt=0, description="seconds until a webhook must have let us connect")
    webhook_timeout: float = Field(10.0, gt=0, le=60, description="seconds until a webhook must have answered")
    webhook_concurrency: Annotated[int, Field(ge=1, le=100)] = Field(
        4, description="calls of one webhook at once, about different conversations"
    )
    webhook_prefetch: Annotated[int, Field(ge=10, le=5000)] = Field(
        500, description="events for webhooks in hand, the calls at once included"
    )
    webhook_give_up: float = Field(
        24 * 3600.0, gt=0, le=36 * 3600.0, description="seconds for which an event is tried until its webhook is paused"
    )
    webhook_log_days: Annotated[int, Field(ge=2, le=365)] = Field(
        7, description="days for which deliveries are kept with their events, to be read and delivered again"
    )

    @field_validator("call_networks", mode="before")
    @classmethod
    def _networks(cls, text: object) -> object:
        return tuple(ip_network(part.strip()) for part in text.split(",")) if isinstance(text, str) else text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.vapid_private_key is None) != (self.vapid_subject is None):
            raise ValueError("VAPID_PRIVATE_KEY and VAPID_SUBJECT are set together or not at all")
        key = self.vapid_private_key
        if key is not None and not re.fullmatch(r"[A-Za-z0-9_-]{43}", key.get_secret_value()):
            raise ValueError("VAPID_PRIVATE_KEY is not one that `palabre vapid` printed")
        if self.smtp_host is not None:
            needed = {"email_from": self.email_from, "email_secret": self.email_secret, "public_url": self.public_url}
            if missing := [name.upper() for name, value in needed.items() if value is None]:
                raise ValueError(f"SMTP_HOST needs {', '.join(missing)} too")
        return self

"""Webhooks: events for programs, over HTTP. Their shapes over REST, what the notifier is asked, and what it hands on."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from contracts import limits
from contracts.commands import NotifierCommand
from contracts.shape import Id, Instant, Shape, optional

EventType = Literal[
    "chat.message.created.v1",
    "chat.message.updated.v1",
    "chat.conversation.updated.v1",
    "chat.read.updated.v1",
]
READ: EventType = (
    "chat.read.updated.v1"  # for webhooks of all conversations only: in a crowd nobody learns who has read
)
PING = "chat.webhook.ping.v1"
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=limits.NAME_LENGTH)]


def _url(text: str) -> str:
    parts = urlsplit(text)  # raises ValueError, as `port` does
    if not parts.hostname or parts.port == 0 or "@" in parts.netloc:  # who is in there would be in logs
        raise ValueError("an address without user and password, as https://example.com/hook")
    return text


# What it leads to is looked at when it is called.
WebhookUrl = Annotated[
    str,
    StringConstraints(max_length=limits.URL_LENGTH, pattern=r"^https?://[!-\[\]-~]+$"),
    AfterValidator(_url),
]
EventTypes = Annotated[list[EventType], Field(max_length=20)]

# by_hand: somebody paused it; gone: it answered 410; failing: it did not take an event for a day;
# owner_left: whoever answers for it does not lead the conversation any more.
PauseReason = Literal["by_hand", "gone", "failing", "owner_left"]
# waiting: not yet taken, and tried again; failed: given up.
DeliveryStatus = Literal["waiting", "delivered", "failed"]
AttemptOutcome = Literal["delivered", "gone", "refused", "timeout", "connection", "forbidden_address", "paused"]


class Webhook(Shape):
    """Where events go. Without `conversationId` those of all conversations; without `events` all of them.

    `ownerId` answers for it: who last said where it goes, or let it go on. `secret` is shown once.
    """

    id: Id
    conversation_id: Id | None = optional()
    url: str
    events: list[str]
    description: str
    active: bool
    pause_reason: PauseReason | None = optional()
    paused_at: Instant | None = optional()
    owner_id: Id
    created_at: Instant
    secret: str | None = optional()


class Attempt(Shape):
    """One call. `response` is the beginning of the answer's body, `error` what went wrong where there was no answer."""

    at: Instant
    outcome: AttemptOutcome
    status: int | None = optional()
    duration_ms: int
    response: str | None = optional()
    error: str | None = optional()


class WebhookDelivery(Shape):
    """One event on its way to one webhook: the entry of the log. `attempts` are the last ones of `attemptCount`."""

    id: Id
    webhook_id: Id
    event_id: str
    event_type: str
    conversation_id: Id | None = optional()
    status: DeliveryStatus
    created_at: Instant
    next_attempt_at: Instant | None = optional()
    attempt_count: int
    attempts: list[Attempt]


class WebhookCommand(NotifierCommand):
    """A command about webhooks. `administrator`: the token allows to lead the whole deployment."""

    administrator: bool


class CreateWebhook(WebhookCommand):
    """Make a webhook, whose id is the command's."""

    type: Literal["notifier.create_webhook"] = "notifier.create_webhook"
    conversation_id: Id | None = optional()
    url: WebhookUrl
    events: EventTypes
    description: Description
    secret: str


class ChangeWebhook(WebhookCommand):
    """Change what is given. With `active` it goes on; with that or another `url` the actor answers for it."""

    type: Literal["notifier.change_webhook"] = "notifier.change_webhook"
    webhook_id: Id
    url: WebhookUrl | None = optional()
    events: EventTypes | None = optional()
    description: Description | None = optional()
    active: bool | None = optional()


class DeleteWebhook(WebhookCommand):
    """Call it no more, and forget what was delivered."""

    type: Literal["notifier.delete_webhook"] = "notifier.delete_webhook"
    webhook_id: Id


class RotateWebhookSecret(WebhookCommand):
    """Sign with another secret; also with the one before, until that moment."""

    type: Literal["notifier.rotate_webhook_secret"] = "notifier.rotate_webhook_secret"
    webhook_id: Id
    secret: str
    previous_until: Instant


class PingWebhook(WebhookCommand):
    """Call it with an event that means nothing."""

    type: Literal["notifier.ping_webhook"] = "notifier.ping_webhook"
    webhook_id: Id


class RedeliverWebhook(WebhookCommand):
    """Deliver again what is in its log."""

    type: Literal["notifier.redeliver_webhook"] = "notifier.redeliver_webhook"
    webhook_id: Id
    delivery_id: Id


AnyWebhookCommand = CreateWebhook | ChangeWebhook | DeleteWebhook | RotateWebhookSecret | PingWebhook | RedeliverWebhook


class Job(Shape):
    """What travels through `notifier.webhook`: this, a line break, and the event as it is.

    `id` is derived from webhook and event. `attempt` counts calls that were made. `run` is the command that began
    a redelivery, and absent for what came from the event itself. Not to be tried before `notBefore`.
    """

    id: Id
    webhook_id: Id
    event_id: str
    event_type: str
    conversation_id: Id | None = optional()
    created_at: Instant
    attempt: int = 0
    run: str | None = optional()
    not_before: Instant | None = optional()

    def pack(self, event: bytes) -> bytes:
        """The body of one AMQP message. The event must be compact JSON, which has no line break."""
        return self.encode() + b"\n" + event

    @classmethod
    def unpack(cls, body: bytes) -> tuple["Job", bytes]:
        """What `pack` made.

        Raises:
            pydantic.ValidationError: naming each field that is wrong.
        """
        head, _, event = body.partition(b"\n")
        return cls.decode(head), event

"""What people ask of the notifier, and what it hands to its channels: whom to tell of what."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from contracts.commands import NotifierCommand
from contracts.email import EndEmails, StoreEmail
from contracts.push import RenewPush, SubscribePush, UnsubscribePush
from contracts.shape import Id, Instant, Seq, Shape, optional
from contracts.webhooks import AnyWebhookCommand

Kind = Literal["message", "mention", "added"]
# What somebody is told of: everything, what mentions them and that they were added, or nothing.
Level = Literal["all", "mentions", "nothing"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # what is none may still be a folder's name
        raise ValueError("not a time zone of the IANA database, as Europe/Paris") from error
    return name


TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known)]


class DoNotDisturb(Shape):
    """Hours in which somebody is not to be disturbed, which begin at `from` on each of these days, where they live.

    Where `to` is not later than `from`, they end on the next day.
    """

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    time_zone: TimeZone
    days: Annotated[list[Day], Field(min_length=1, max_length=len(WEEK))] = Field(default_factory=lambda: list(WEEK))

    def covers(self, moment: datetime) -> bool:
        """Whether this moment is within."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        time = f"{local:%H:%M}"
        today = WEEK[local.weekday()] in self.days
        if self.start < self.end:
            return today and self.start <= time < self.end
        yesterday = WEEK[(local - timedelta(days=1)).weekday()] in self.days
        return (today and time >= self.start) or (yesterday and time < self.end)


class NotificationSettings(Shape):
    """What somebody wants to be told of in general, and when not."""

    level: Level = "all"
    do_not_disturb: DoNotDisturb | None = None


class ConversationNotifications(Shape):
    """What somebody wants to be told of in one conversation; null: as in general."""

    conversation_id: Id
    level: Level | None


class StoreNotificationSettings(NotifierCommand):
    """Keep what the actor wants to be told of in general."""

    type: Literal["notifier.settings"] = "notifier.settings"
    settings: NotificationSettings


class StoreConversationNotifications(NotifierCommand):
    """Keep what the actor wants to be told of in one conversation; without a level, as in general."""

    type: Literal["notifier.conversation"] = "notifier.conversation"
    conversation_id: Id
    level: Level | None = optional()


class ReadNotifications(NotifierCommand):
    """Mark what the actor's notification centre had at a moment as read: of one conversation, or all of it."""

    type: Literal["notifier.read"] = "notifier.read"
    until: Instant
    conversation_id: Id | None = optional()


AnyCommand = (
    StoreNotificationSettings
    | StoreConversationNotifications
    | ReadNotifications
    | SubscribePush
    | UnsubscribePush
    | RenewPush
    | StoreEmail
    | EndEmails
    | AnyWebhookCommand
)

_command: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="type")])


def decode(line: bytes) -> AnyCommand:
    """One command to the notifier.

    Raises:
        pydantic.ValidationError: naming each field that is wrong.
    """
    return _command.validate_json(line)


class Notification(Shape):
    """An entry of somebody's notification centre, in which `count` things of one kind and conversation are folded.

    What it shows is the newest of them. Without a message, it is that somebody was added. `preview` is left out where the
    message has no words, or none any more.
    """

    id: str
    kind: Kind
    conversation_id: Id
    conversation_name: str | None
    message_id: Id | None = optional()
    seq: Seq | None = optional()
    sender_name: str | None = optional()
    preview: str | None = optional()
    count: int
    created_at: Instant
    read_at: Instant | None


class Delivery(Shape):
    """One person is to be told of one thing, on every device or address that a channel has for them.

    `id` is the same however often it comes. Past `expiresAt` nobody is told any more. `count` is there where several are
    folded into it; it shows the newest, or the newest that mentions its person.
    """

    id: str
    user_id: Id
    conversation_id: Id
    conversation_name: str | None = optional()
    kind: Kind
    message_id: Id | None = optional()
    seq: Seq | None = optional()
    sender_name: str | None = optional()
    preview: str | None = optional()
    count: int | None = optional()
    created_at: Instant
    expires_at: Instant


class PushAttempt(Delivery):
    """A delivery on its way to devices: to all of its person's at first, then to each that was not reached.

    `device` is the id of a push subscription. `number` counts the failures; before `notBefore` it is not tried again.
    """

    device: str | None = optional()
    number: Seq = 0
    not_before: Instant | None = optional()

"""The notifier put together: what it consumes, and what is done with it."""

from collections.abc import Awaitable, Callable, Mapping

from contracts.topology import LOOK
from services.amqp import Broker, Inbox
from services.mongo import Database
from services.notifier import (
    batches,
    centre,
    commands,
    due,
    email,
    here,
    mailboxes,
    preferences,
    push,
    reach,
    subscriptions,
)
from services.notifier.addresses import Resolver
from services.notifier.batches import Pace, Source
from services.notifier.commands import Handlers
from services.notifier.consumer import FirstLook
from services.notifier.endpoints import Endpoints
from services.notifier.here import Here
from services.notifier.preferences import Remembered
from services.notifier.reach import Reach
from services.notifier.settings import Settings
from services.notifier.traces import Traces
from services.notifier.webhook.commands import WebhookCommands
from services.notifier.webpush import Vapid

CONNECT_TIMEOUT = 5.0  # seconds, to a push service


def work(
    settings: Settings,
    broker: Broker,
    database: Database,
    notifier_id: str,
    *,
    channels: Mapping[str, Reach] | None = None,
    inbox: Callable[[], Inbox] = Inbox,
    traces: Traces | None = None,
) -> list[Awaitable[None]]:
    """Everything that runs beside the broker, until cancelled. To be called before the broker runs."""
    names = broker.topology
    resolver = Resolver(settings.call_networks)
    channels = reach.channels(settings) if channels is None else channels
    events, looks, asked, heard = inbox(), inbox(), inbox(), inbox()
    pace = Pace(settings.prefetch, settings.batch_size, settings.linger)
    ear, due_queue = names.notifier_ear(notifier_id), names.channel_queue(LOOK)
    broker.subscribe(names.notifier_queue, events, prefetch=pace.prefetch)
    broker.subscribe(due_queue, looks, prefetch=due.PACE.prefetch)
    broker.subscribe(names.notifier_commands, asked, prefetch=commands.PREFETCH)
    broker.subscribe(ear, heard, prefetch=here.PREFETCH, bindings=names.notifier_ear_bindings(notifier_id))

    remembered = Remembered(database)
    picture = Here(broker, notifier_id, heard, settings.presence_believed)
    picture.preferences_changed = remembered.forget
    broker.reconnected = picture.reconnected
    first = FirstLook(settings, broker, database, remembered, reaches=bool(channels))
    second = due.SecondLook(settings, broker, database, remembered, picture, channels)
    parts: list[Awaitable[None]] = [
        batches.consume(
            broker,
            Source(events, names.notifier_queue.name, ("", names.notifier_queue.name)),
            pace,
            first.handle if traces is None else traces.looking(first.handle),
        ),
        batches.consume(broker, Source(looks, due_queue.name, (names.work.name, f"{LOOK}.0")), due.PACE, second.handle),
        commands.consume(
            broker, database, asked, {**handlers(resolver), **WebhookCommands(settings, broker).handlers}, traces
        ),
        picture.run(),
    ]
    if settings.vapid_private_key is not None:
        pushes = inbox()
        broker.subscribe(names.channel_queue(push.CHANNEL), pushes, prefetch=push.PREFETCH)
        vapid = Vapid(settings.vapid_private_key.get_secret_value(), str(settings.vapid_subject))
        endpoints = Endpoints(
            resolver, connect_timeout=CONNECT_TIMEOUT, timeout=settings.push_timeout, connections=push.PREFETCH
        )
        parts.append(push.Push(settings, broker, database, pushes, endpoints, vapid).run())
    if settings.smtp_host is not None:
        mails = inbox()
        broker.subscribe(names.channel_queue(email.CHANNEL), mails, prefetch=email.PREFETCH)
        parts.append(email.Email(settings, broker, database, mails).run())
    return parts


def handlers(resolver: Resolver) -> Handlers:
    """What is done about each command, by its type."""
    return {
        "notifier.settings": preferences.store_general,
        "notifier.conversation": preferences.store_conversation,
        "notifier.read": centre.mark_read,
        **subscriptions.handlers(resolver),
        "notifier.email": mailboxes.store,
        "notifier.email_end": mailboxes.end,
    }

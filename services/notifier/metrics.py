"""Every metric of the notifier."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("palabre_notifier_events_total", "Events handled, by type", ["type"])
NOTIFIED = Counter("palabre_notifier_recipients_total", "Members told through the fan-out, by kind", ["kind"])
COMMANDS = Counter("palabre_notifier_commands_total", "Commands carried out or refused, by type", ["type"])
WAITING = Gauge("palabre_notifier_waiting_events", "Events received and not begun")
HERE = Gauge("palabre_notifier_people_here", "People at any gateway, as far as they want to be seen")
LOOKED = Counter(
    "palabre_notifier_second_looks_total", "People to whom something was news, by what became of it", ["what"]
)
DELIVERED = Counter("palabre_notifier_deliveries_total", "Deliveries handed to a channel", ["channel"])
ENTRIES = Counter(
    "palabre_notifier_entries_total", "Entries of notification centres begun or added to, by kind", ["kind"]
)
DEAD = Counter("palabre_notifier_dead_letters_total", "Events set aside")
PUSHED = Counter("palabre_notifier_pushes_total", "Pushes to a device, by what became of each", ["outcome"])
MAILED = Counter("palabre_notifier_mails_total", "Looks at whether a mail is due, by what became of each", ["outcome"])
WEBHOOK_CALLS = Counter("palabre_notifier_webhook_calls_total", "Calls of webhooks, by outcome", ["outcome"])
WEBHOOK_SECONDS = Histogram("palabre_notifier_webhook_seconds", "Seconds that a call of a webhook took")
WEBHOOK_JOBS = Counter(
    "palabre_notifier_webhook_jobs_total",
    "Events for webhooks, by what became of them: delivered, again (after a wait), failed (given up), set_aside (until "
    "there is room), repeated (done before), dropped (the webhook is gone)",
    ["result"],
)
WEBHOOKS_HELD = Gauge("palabre_notifier_webhook_held", "Events for webhooks that are in hand")
WEBHOOKS_PAUSED = Counter("palabre_notifier_webhooks_paused_total", "Webhooks paused by the notifier", ["reason"])
BEHIND = Histogram(
    "palabre_notifier_behind_seconds",
    "From an event to its notifications: the oldest of those that were handled together",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)

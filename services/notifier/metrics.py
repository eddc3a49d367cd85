"""Every metric of the notifier."""

from prometheus_client import Counter, Gauge

EVENTS = Counter("palabre_notifier_events_total", "Events handled, by type", ["type"])
NOTIFIED = Counter("palabre_notifier_recipients_total", "Members told through the fan-out, by kind", ["kind"])
WAITING = Gauge("palabre_notifier_waiting_events", "Events received and not begun")
DEAD = Counter("palabre_notifier_dead_letters_total", "Events set aside")

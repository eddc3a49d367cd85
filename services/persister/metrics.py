"""Every metric of the persister."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

COMMANDS = Counter("palabre_persister_commands_total", "Commands handled, by type", ["type"])
REFUSALS = Counter("palabre_persister_refusals_total", "Commands refused, by code", ["code"])
REPEATS = Counter("palabre_persister_repeats_total", "Messages that were stored before, by cause", ["cause"])
BATCH = Histogram(
    "palabre_persister_batch_commands", "Commands in one batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
STORE = Histogram("palabre_persister_store_seconds", "One batch: look up, number, insert", buckets=SECONDS)
PUBLISH = Histogram("palabre_persister_publish_seconds", "One batch: events and fan-out confirmed", buckets=SECONDS)
FENCED = Counter("palabre_persister_fenced_total", "Writes refused by a unique index and begun again")
RETRIES = Counter("palabre_persister_retries_total", "Batches tried again because a dependency was away")
DEAD = Counter("palabre_persister_dead_letters_total", "Commands set aside")
WAITING = Gauge("palabre_persister_waiting_messages", "AMQP messages received and not begun")
PARTITIONS = Gauge("palabre_persister_preferred_partitions", "Partitions that are this persister's share")

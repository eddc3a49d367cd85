"""Every metric of the gateway."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

CONNECTIONS = Gauge("palabre_gateway_connections", "Open sockets")
FRAMES_IN = Counter("palabre_gateway_frames_in_total", "Frames received, by type", ["type"])
FRAMES_OUT = Counter("palabre_gateway_frames_out_total", "Frames sent, by type", ["type"])
REFUSALS = Counter("palabre_gateway_refusals_total", "Refusals, by code", ["code"])
CLOSES = Counter("palabre_gateway_closes_total", "Sockets closed by the gateway, by code", ["code"])
KEY_FETCHES = Counter("palabre_gateway_key_fetches_total", "Fetches of the keys of tokens, by outcome", ["outcome"])
CUT_OFF = Counter(
    "palabre_gateway_strangers_cut_off_total", "Connections cut before they authenticated, to make room for others"
)
STORED = Histogram("palabre_gateway_send_to_stored_seconds", "From a send to its message_sent", buckets=SECONDS)
DELIVERED = Histogram(
    "palabre_gateway_stored_to_delivered_seconds",
    "From a message's createdAt to its sockets here",
    buckets=SECONDS,
)
COMMAND_BATCH = Histogram(
    "palabre_gateway_batch_commands",
    "Commands in one AMQP message",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
PENDING = Gauge("palabre_gateway_pending_commands", "Commands that wait for their answer")
LAG = Gauge("palabre_gateway_queue_waiting", "AMQP messages received and not yet handed on")
HOLES = Counter("palabre_gateway_holes_healed_total", "Holes in the fan-out, filled from the history")
FAILED = Counter("palabre_gateway_fanout_failures_total", "Items of the fan-out that could not be handled")
RESYNCS = Counter("palabre_gateway_resyncs_total", "Holes too large to fill")
PRESENCE = Counter("palabre_gateway_presence_items_total", "Items of the fan-out that told who is here")
DROPPED = Counter(
    "palabre_gateway_droppable_frames_dropped_total", "Typing and presence frames not sent to slow clients"
)


# Finding a child costs more than counting; the types are few.
frames_in = cache(FRAMES_IN.labels)
frames_out = cache(FRAMES_OUT.labels)

"""Messages that cannot be handled, on their way to `chat.dead`: with why, since when, and where to replay them."""

from datetime import UTC, datetime

from contracts.topology import Topology
from services.amqp.frames import Outgoing


def dead_letter(
    topology: Topology, service: str, body: bytes, routing_key: str, reason: str, *, back: tuple[str, str]
) -> Outgoing:
    """A dead letter. `back` is the exchange and routing key by which it comes to its consumer again."""
    exchange, key = back
    return Outgoing(
        topology.dead.name,
        routing_key or "unknown",
        body,
        headers={
            "x-reason": reason[:500],
            "x-service": service,
            "x-first-failed-at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "x-exchange": exchange,
            "x-routing-key": key,
        },
        mandatory=True,
    )

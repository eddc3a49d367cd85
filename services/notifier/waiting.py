"""Work for the channels: at once, or after a wait in RabbitMQ, where it survives us."""

from contracts import topology
from contracts.topology import Topology
from services.amqp import Outgoing


def at_once(names: Topology, channel: str, body: bytes) -> Outgoing:
    """Something for a channel to do now."""
    return Outgoing(names.work.name, f"{channel}.0", body, mandatory=True)


def later(names: Topology, channel: str, body: bytes, seconds: float) -> Outgoing:
    """Something for a channel to look at again in `seconds`, or sooner: there are few lengths of waits.

    Whoever is woken too early waits for the rest in the same way; the shortest wait is taken for anything shorter.
    """
    wait = max((one for one in topology.WAITS if one <= seconds), default=min(topology.WAITS))
    return Outgoing(names.waiting.name, f"{channel}.{wait}", body, mandatory=True)

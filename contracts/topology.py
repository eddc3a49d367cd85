"""Exchanges, queues and bindings as values. Nothing here opens a connection: `services/amqp` declares them.

A prefix separates environments (and tests) that share a virtual host.
"""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Exchange:
    """An exchange; all of ours are durable."""

    name: str
    kind: Literal["topic", "direct", "fanout"]


@dataclass(frozen=True)
class Queue:
    """A queue with its `x-` arguments (https://www.rabbitmq.com/docs/queues#optional-arguments)."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False


@dataclass(frozen=True)
class Binding:
    """What of an exchange goes to a queue."""

    exchange: str
    queue: str
    routing_key: str = ""


@dataclass(frozen=True)
class Relay:
    """All that comes to one exchange also goes to another (https://www.rabbitmq.com/docs/e2e)."""

    source: str
    destination: str


# A command that brings its consumer down this often is set aside by the broker itself; ordinary failures are set
# aside by the consumer long before, with a reason.
DELIVERY_LIMIT = 50
# The events of a gateway that stalls wait in its queue; past this the oldest are dropped, and healed from the history.
GATEWAY_QUEUE_BYTES = 64 * 1024 * 1024
LOG_AGE = "7D"
# Everything that the notifier looks at a second time, seconds later: what was read meanwhile is no news.
LOOK = "due"
# Ways to reach people who are not looking: each a queue `notifier.<channel>` and a module of the notifier.
CHANNELS = ("push", "email", "webhook")
# Those that one notifier at a time attends to: in order, and with bounds for each endpoint that hold for all of them.
SINGLE = ("webhook",)
# Seconds that something for a channel may wait at a time. Each is a queue, since a queue gives up its messages in order.
WAITS = (5, 60, 600, 3600)
# Listing dead letters gives them back, which counts as a delivery on RabbitMQ 4; they must outlive any number of those.
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Topology:
    """All names of one environment.

    Attributes:
        prefix: put before every name, as `staging.`; empty in production.
        partitions: how many queues the commands are spread over. Changing it moves conversations between queues.
    """

    prefix: str = ""
    partitions: int = 16

    def name(self, name: str) -> str:
        """A name of this environment."""
        return self.prefix + name

    @property
    def commands(self) -> Exchange:
        """Gateways to persisters, by `<entity>.<verb>.<partition>`, and to the notifier, by `notifier.<verb>`."""
        return Exchange(self.name("chat.commands"), "topic")

    @property
    def events(self) -> Exchange:
        """Facts, after they are stored: the public contract."""
        return Exchange(self.name("chat.events"), "topic")

    @property
    def batches(self) -> Exchange:
        """The same facts, many in an AMQP message: for our own services, not a contract."""
        return Exchange(self.name("chat.batches"), "fanout")

    @property
    def fanout(self) -> Exchange:
        """To every gateway."""
        return Exchange(self.name("chat.fanout"), "fanout")

    @property
    def presence(self) -> Exchange:
        """Who is here: to every gateway, by way of the fan-out, and to the notifier, which then reads nothing else."""
        return Exchange(self.name("chat.presence"), "fanout")

    @property
    def replies(self) -> Exchange:
        """To one gateway, by its id."""
        return Exchange(self.name("chat.replies"), "direct")

    @property
    def dead(self) -> Exchange:
        """What could not be handled."""
        return Exchange(self.name("chat.dead"), "topic")

    @property
    def peers(self) -> Exchange:
        """Persisters to one another: who is there, so that partitions are spread over all of them."""
        return Exchange(self.name("chat.peers"), "fanout")

    @property
    def renewed(self) -> Exchange:
        """To every process: a lasting queue was gone and has been made anew. Its name is the routing key; no body."""
        return Exchange(self.name("chat.renewed"), "fanout")

    @property
    def work(self) -> Exchange:
        """To the notifier's channels, by `<channel>.<seconds>`: what is to be done now, after so long a wait (or 0)."""
        return Exchange(self.name("notifier.work"), "topic")

    @property
    def waiting(self) -> Exchange:
        """By `<channel>.<seconds>` (one of `WAITS`): what comes to `work` under the same key after that time."""
        return Exchange(self.name("notifier.waiting"), "topic")

    @property
    def exchanges(self) -> list[Exchange]:
        """Every exchange."""
        return [
            self.commands,
            self.events,
            self.batches,
            self.fanout,
            self.presence,
            self.replies,
            self.dead,
            self.peers,
            self.renewed,
            self.work,
            self.waiting,
        ]

    def persister_queue(self, partition: int) -> Queue:
        """The commands of one partition, handled by one process at a time (single active consumer)."""
        return Queue(
            self.name(f"persister.{partition:02d}"),
            {
                "x-queue-type": "quorum",
                "x-single-active-consumer": True,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead.name,
            },
        )

    @property
    def notifier_queue(self) -> Queue:
        """Every event, in batches, for the notifier."""
        return Queue(
            self.name("notifier.events"),
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead.name,
            },
        )

    @property
    def notifier_commands(self) -> Queue:
        """What people ask of the notifier, handled by one process at a time, so that what was asked last holds."""
        return Queue(
            self.name("notifier.commands"),
            {
                "x-queue-type": "quorum",
                "x-single-active-consumer": True,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead.name,
            },
        )

    def channel_queue(self, channel: str) -> Queue:
        """What one channel of the notifier has to do, or what is to be looked at again."""
        return Queue(
            self.name(f"notifier.{channel}"),
            {
                "x-queue-type": "quorum",
                **({"x-single-active-consumer": True} if channel in SINGLE else {}),
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead.name,
            },
        )

    @property
    def webhook_events(self) -> Queue:
        """Every event, in batches, while there are webhooks: `webhook_binding` comes and goes with them."""
        return Queue(
            self.name("notifier.webhook.events"),
            {
                "x-queue-type": "quorum",
                "x-single-active-consumer": True,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead.name,
            },
        )

    @property
    def webhook_binding(self) -> Binding:
        """Not among `bindings`: where nobody has a webhook, the queue costs nothing."""
        return Binding(self.batches.name, self.webhook_events.name)

    def waiting_queue(self, seconds: int) -> Queue:
        """Where the things of all channels wait. At least once: nothing is lost on its way back either."""
        return Queue(
            self.name(f"notifier.waiting.{seconds}"),
            {
                "x-queue-type": "quorum",
                "x-message-ttl": seconds * 1000,
                "x-dead-letter-exchange": self.work.name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )

    @property
    def log(self) -> Queue:
        """The last days of events, a stream that integrators replay from any offset."""
        return Queue(self.name("chat.events.log"), {"x-queue-type": "stream", "x-max-age": LOG_AGE})

    @property
    def integrators(self) -> str:
        """What the names of all integrators' queues begin with."""
        return self.name("integrator.")

    def integrator(self, user: str) -> str:
        """What the names of one RabbitMQ user's queues begin with, who may only read."""
        return f"{self.integrators}{user}."

    @property
    def dead_letters(self) -> Queue:
        """What could not be handled, until somebody looks."""
        return Queue(self.dead.name, {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT})

    @property
    def queues(self) -> list[Queue]:
        """Every lasting queue."""
        partitions = [self.persister_queue(partition) for partition in range(self.partitions)]
        channels = [self.channel_queue(channel) for channel in (LOOK, *CHANNELS)]
        waiting = [self.waiting_queue(seconds) for seconds in WAITS]
        return [
            *partitions,
            self.notifier_queue,
            self.notifier_commands,
            *channels,
            self.webhook_events,
            *waiting,
            self.log,
            self.dead_letters,
        ]

    @property
    def bindings(self) -> list[Binding]:
        """What goes into the lasting queues."""
        partitions = [
            Binding(self.commands.name, self.persister_queue(partition).name, f"*.*.{partition:02d}")
            for partition in range(self.partitions)
        ]
        return [
            *partitions,
            Binding(self.batches.name, self.notifier_queue.name),
            # Two words: those of the persisters have three.
            Binding(self.commands.name, self.notifier_commands.name, "notifier.*"),
            *(
                Binding(self.work.name, self.channel_queue(channel).name, f"{channel}.*")
                for channel in (LOOK, *CHANNELS)
            ),
            *(Binding(self.waiting.name, self.waiting_queue(seconds).name, f"*.{seconds}") for seconds in WAITS),
            Binding(self.events.name, self.log.name, "#"),
            Binding(self.dead.name, self.dead_letters.name, "#"),
        ]

    @property
    def relays(self) -> list[Relay]:
        """What goes from exchange to exchange."""
        return [Relay(self.presence.name, self.fanout.name)]

    @property
    def retired(self) -> list[Binding]:
        """Bindings of earlier versions, which would bring everything twice."""
        return [Binding(self.events.name, self.notifier_queue.name, "#")]

    def gateway_queue(self, gateway_id: str) -> Queue:
        """One gateway's share of the fan-out and its replies; it goes with the gateway's connection."""
        return Queue(
            self.name(f"gateway.{gateway_id}"),
            {"x-max-length-bytes": GATEWAY_QUEUE_BYTES, "x-overflow": "drop-head"},
            durable=False,
            exclusive=True,
            auto_delete=True,
        )

    def gateway_bindings(self, gateway_id: str) -> list[Binding]:
        """What goes into one gateway's queue. One queue for both, so that an answer and an event keep their order."""
        queue = self.gateway_queue(gateway_id).name
        return [Binding(self.fanout.name, queue), Binding(self.replies.name, queue, gateway_id)]

    def notifier_ear(self, notifier_id: str) -> Queue:
        """What one notifier hears of who is here; it goes with its connection."""
        return Queue(
            self.name(f"notifier.ear.{notifier_id}"),
            {"x-max-length-bytes": GATEWAY_QUEUE_BYTES, "x-overflow": "drop-head"},
            durable=False,
            exclusive=True,
            auto_delete=True,
        )

    def notifier_ear_bindings(self, notifier_id: str) -> list[Binding]:
        """What goes into it: what everybody is told, and what gateways answer to it alone."""
        queue = self.notifier_ear(notifier_id).name
        return [Binding(self.presence.name, queue), Binding(self.replies.name, queue, notifier_id)]

    def peer_queue(self, persister_id: str) -> Queue:
        """What one persister hears of the others."""
        return Queue(self.name(f"persister.peer.{persister_id}"), durable=False, exclusive=True, auto_delete=True)

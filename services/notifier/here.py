"""Who is here, as gateways tell it: whoever looks at a page needs no push. It costs nothing for a message.

A notifier that begins asks, and is answered on its own queue. Until then, and for a while after RabbitMQ was away, it is
believed that nobody has gone: who is here is not to be woken up because we do not know.
"""

import asyncio
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from contracts import fanout
from contracts.shape import complaint
from services.amqp import Broker, Inbox, Outgoing
from services.leases import Leases
from services.notifier import metrics
from services.telemetry import logger

PREFETCH = 200
GRACE = 10.0  # seconds in which the people of a gateway that stops come to another one
ANSWERED = 3.0  # seconds after which everybody has answered
TICK = 1.0


class Here:
    """The picture of one notifier.

    Attributes:
        known: set once gateways had the time to tell who is at them.
    """

    def __init__(self, broker: Broker, notifier_id: str, inbox: Inbox, believed: float) -> None:
        """`believed`: seconds for which a gateway is believed that tells nothing new."""
        self._broker = broker
        self._id = notifier_id
        self._inbox = inbox
        self._believed = believed
        self._leases = Leases(believed)
        self.known = asyncio.Event()
        self.preferences_changed: Callable[[Iterable[str]], None] = lambda _: None

    def looks(self, user: str) -> bool:
        """Whether somebody has a page before them, or does not want to be disturbed at all."""
        return self._leases.status(user) in ("online", "busy")

    def reconnected(self) -> None:
        """Nobody could be heard, so nobody is gone before they had the time to say otherwise."""
        self._leases.hold(_clock() + self._believed)
        self._ask()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._tidy())
            await self._broker.publisher.up.wait()
            await self._broker.consumer.up.wait()
            self._ask()
            await asyncio.sleep(ANSWERED)
            self.known.set()

    async def _hear(self) -> None:
        while True:
            deliveries = await self._inbox.take(PREFETCH)
            for delivery in deliveries:
                try:
                    for item, _ in fanout.unpack(delivery.body):
                        self._heard(item)
                except ValidationError as error:
                    logger().error("undecodable presence", reason=complaint(error))
            self._inbox.ack(deliveries)

    def _heard(self, item: fanout.Item) -> None:
        match item:
            case fanout.Presence():
                moment = _clock()
                self._leases.say(item.gateway_id, item.here, item.gone, moment)
                if item.leaving:
                    self._leases.leave(item.gateway_id, moment + GRACE)
            case fanout.PreferencesChanged():
                self.preferences_changed([item.user_id])

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._leases.expire(_clock())
            self._leases.changed.clear()
            metrics.HERE.set(self._leases.people)

    def _ask(self) -> None:
        item = fanout.Presence(gateway_id=self._id, asking=True)
        body = fanout.pack([(item, fanout.NULL)])
        self._broker.tell(Outgoing(self._broker.topology.presence.name, "", body, persistent=False))


def _clock() -> float:
    return asyncio.get_running_loop().time()

"""The two connections of a process: one to publish, one to consume, since a memory alarm blocks those that publish
(https://www.rabbitmq.com/docs/connections#publishers-and-consumers).

Each comes back for ever, and every time it does is one known moment, at which services heal what they may have missed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from tenacity import wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts.topology import Binding, Queue, Topology
from services.amqp.connection import BrokerAway, Channel, Connection, connect
from services.amqp.declarations import declare, queue_binding, queue_unbinding
from services.amqp.frames import Outgoing
from services.amqp.subscription import Inbox, Subscription
from services.telemetry import logger

CONNECT_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0
PUBLISH_TIMEOUT = 10.0
DECLARE_INTERVAL = 30.0
PROBE_INTERVAL = 2.0
PROBE_AGE = 3 * PROBE_INTERVAL


class Link:
    """One connection that comes back. `opened` is called each time with the new connection.

    Attributes:
        up: set while it can be used.
        down_since: when it went down (monotonic, in seconds); None while it is up.
    """

    def __init__(self, url: str, name: str, opened: Callable[[Connection], Awaitable[None]]) -> None:
        self.up = asyncio.Event()
        self.down_since: float | None = None
        self.connection: Connection | None = None
        self._url = url
        self._name = name
        self._opened = opened

    def reopen(self, reason: str = "something on it was lost") -> None:
        """Give this connection up and make a new one: something on it is lost that only a new start brings back."""
        if self.connection is not None:
            self.connection.abort(reason)

    async def run(self) -> None:
        """Connect, wait until the connection ends, connect again; until cancelled."""
        self.down_since = time.monotonic()
        while True:
            # A connection that worked for a while starts the back-off anew.
            async for attempt in AsyncRetrying(wait=wait_random_exponential(0.2, max=3)):
                with attempt:
                    connection = await self._connect()
            reason = await asyncio.shield(connection.ended)
            self.up.clear()
            self.connection = None
            self.down_since = time.monotonic()
            logger().warning("broker connection lost", connection=self._name, reason=reason)

    async def close(self) -> None:
        """Part on good terms, after `run` was cancelled."""
        if self.connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self.connection.close()

    async def _connect(self) -> Connection:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await connect(self._url, self._name)
                self.connection = connection
                await self._opened(connection)
        except BaseException as error:
            if connection is not None:
                connection.abort("it was not opened")
            if isinstance(error, BrokerAway | TimeoutError):
                reason = str(error) or f"no answer within {CONNECT_TIMEOUT:.0f} s"
                logger().warning("broker away", connection=self._name, reason=reason)
            elif isinstance(error, Exception):
                logger().exception("broker connection not opened", connection=self._name)
            raise
        self.down_since = None
        self.up.set()
        logger().info("broker connected", connection=self._name)
        return connection


class Broker:
    """The two connections of one process.

    `reconnected` is called whenever all consumers are there, the first time too.
    """

    def __init__(self, url: str, name: str, topology: Topology) -> None:
        self.topology = topology
        self.subscriptions: list[Subscription] = []
        self.reconnected: Callable[[], None] = lambda: None
        self.publisher = Link(url, f"{name} publishes", self._open_publisher)
        self.consumer = Link(url, f"{name} consumes", self._open_consumer)
        self._confirmed: Channel | None = None
        self._unconfirmed: Channel | None = None
        self._lining_up = asyncio.Lock()
        self._probes = Inbox()
        self._probe = Subscription(
            Queue(topology.name(f"probe.{name}"), durable=False, exclusive=True, auto_delete=True),
            self._probes,
            10,
            [Binding(topology.renewed.name, topology.name(f"probe.{name}"))],
        )
        self._probe.lost = self.consumer.reopen
        self._probed: float | None = None

    def subscribe(self, queue: Queue, inbox: Inbox, *, prefetch: int, bindings: Iterable[Binding] = ()) -> Subscription:
        """A consumer that is there whenever the connection is. To be called before `run`."""
        subscription = Subscription(queue, inbox, prefetch, bindings)
        subscription.lost = self.consumer.reopen
        self.subscriptions.append(subscription)
        return subscription

    async def run(self) -> None:
        """Keep both connections, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.publisher.run())
                group.create_task(self.consumer.run())
                group.create_task(self._keep_topology())
                group.create_task(self._send_probes())
                group.create_task(self._read_probes())
        finally:
            await asyncio.gather(self.publisher.close(), self.consumer.close())

    async def step_back(self, subscriptions: Sequence[Subscription]) -> None:
        """Go to the end of these queues' lines of consumers; what is not acknowledged goes to the next in line."""
        async with self._lining_up:
            connection = self.consumer.connection
            if connection is None or not self.consumer.up.is_set():
                return  # the next connection begins at the end of every line anyway
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    for subscription in subscriptions:
                        await subscription.close()
                    for subscription in subscriptions:
                        await subscription.open(connection)
            except (BrokerAway, TimeoutError) as error:
                # Half of it is done: a new connection brings all of them back.
                connection.abort(str(error) or "stepping back took too long")

    async def rebind(self, *, bind: Iterable[Binding] = (), unbind: Iterable[Binding] = ()) -> None:
        """Make and undo bindings of lasting queues that are not of the topology, since they come and go.

        Raises:
            BrokerAway: there is no connection, or no answer in time; some of it may be done.
        """
        connection = self.consumer.connection
        if connection is None or not self.consumer.up.is_set():
            raise BrokerAway("there is no connection to the broker")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                channel = await connection.channel()
                for binding in bind:
                    await channel.call(queue_binding(binding))
                for binding in unbind:
                    await channel.call(queue_unbinding(binding))
                await channel.close()
        except TimeoutError as error:
            raise BrokerAway("no answer in time") from error

    async def publish(self, message: Outgoing, timeout: float = PUBLISH_TIMEOUT) -> None:
        """Publish and wait until the broker has taken responsibility (https://www.rabbitmq.com/docs/confirms).

        Raises:
            BrokerAway: there is no connection, or no confirm in time; it may have arrived all the same.
            Unroutable: it is mandatory, and no queue took it or another one that was under way.
        """
        await self.publish_all([message], timeout)

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float = PUBLISH_TIMEOUT) -> None:
        """Publish in order, all in flight at once, and wait for every confirm.

        Raises:
            BrokerAway, Unroutable: as `publish`.
        """
        if not messages:
            return
        channel = self._confirmed
        if channel is None or not self.publisher.up.is_set():
            raise BrokerAway("there is no connection to the broker")
        try:
            async with asyncio.timeout(timeout):
                await channel.publish(messages)
        except TimeoutError as error:
            connection = self.publisher.connection
            blocked = connection.blocked if connection is not None else None
            raise BrokerAway(f"the broker blocks publishers: {blocked}" if blocked else "no confirm in time") from error

    def tell(self, message: Outgoing) -> None:
        """Publish without a confirm what may be lost: typing, presence. Dropped while the broker is away or busy."""
        channel = self._unconfirmed
        if channel is not None and channel.is_open and not channel.congested:
            channel.write([message])

    async def check(self) -> None:
        """Returns when a probe has lately travelled through both connections and every consumer is there.

        Raises:
            ConnectionError: what is missing.
        """
        publishing = self.publisher.connection
        if publishing is None or not self.publisher.up.is_set() or not self.consumer.up.is_set():
            raise ConnectionError("RabbitMQ is not connected")
        if publishing.blocked is not None:
            raise ConnectionError(f"RabbitMQ blocks publishers: {publishing.blocked}")
        missing = [s.queue.name for s in self.subscriptions if not s.live]
        if missing:
            raise ConnectionError(f"no consumer on {', '.join(missing)}")
        if self._probed is None or time.monotonic() - self._probed > PROBE_AGE:
            raise ConnectionError("RabbitMQ accepts but does not deliver")

    async def _open_publisher(self, connection: Connection) -> None:
        await declare(connection, self.topology)
        channel = await connection.channel(confirms=True)
        unconfirmed = await connection.channel()
        channel.on_lost = unconfirmed.on_lost = self.publisher.reopen
        self._confirmed, self._unconfirmed = channel, unconfirmed

    async def _open_consumer(self, connection: Connection) -> None:
        async with self._lining_up:
            await declare(connection, self.topology)
            for subscription in [*self.subscriptions, self._probe]:
                await subscription.close()
                await subscription.open(connection)
        self.reconnected()

    async def _keep_topology(self) -> None:
        """Declare everything again from time to time: a binding that somebody removed is missed by nobody else."""
        while True:
            await asyncio.sleep(DECLARE_INTERVAL)
            connection = self.consumer.connection
            if connection is None or not self.consumer.up.is_set():
                continue
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await declare(connection, self.topology)
                    channel = await connection.channel()
                    for subscription in [*self.subscriptions, self._probe]:
                        await subscription.bind(channel)
                    await channel.close()
            except (BrokerAway, TimeoutError) as error:
                self.consumer.reopen(str(error) or "declaring took too long")

    async def _send_probes(self) -> None:
        while True:
            await self.publisher.up.wait()
            await self.consumer.up.wait()
            with suppress(BrokerAway):
                await self.publish(
                    Outgoing("", self._probe.queue.name, b"{}", persistent=False), timeout=PROBE_INTERVAL
                )
            await asyncio.sleep(PROBE_INTERVAL)

    async def _read_probes(self) -> None:
        while True:
            batch = await self._probes.take(10)
            self._probes.ack(batch)
            for delivery in batch:
                if delivery.routing_key == self._probe.queue.name:
                    self._probed = time.monotonic()
                elif delivery.live:
                    self._renewed(delivery.routing_key)

    def _renewed(self, queue: str) -> None:
        """This queue is another one now. Whether its consumer was told depends on how soon (`declare`)."""
        if any(subscription.queue.name == queue for subscription in self.subscriptions):
            self.consumer.reopen(f"{queue} was made anew")

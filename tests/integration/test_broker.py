"""RabbitMQ through a network that fails: connections come back, confirmed means there, and nothing hangs."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from typing import Self
from unittest.mock import AsyncMock

import pamqp.frame
import pytest
from pamqp import commands

from contracts.topology import Binding, Queue, Topology
from services.amqp import Broker, BrokerAway, Inbox, Outgoing, Subscription, Unroutable, broker, connect, connection
from services.amqp import declare as declare_topology
from services.persister import peers
from services.persister.settings import Settings
from tests.support.eventually import eventually
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
KEY = "message.send.00"


class Service:
    """A broker with a consumer of partition 0, by way of the proxy."""

    def __init__(self, topology: Topology, url: str, name: str = "service") -> None:
        self.topology = topology
        self.inbox = Inbox()
        self.reconnects = 0
        self.broker = Broker(url, name, topology)
        self.broker.reconnected = self._reconnected
        self.queue = topology.persister_queue(0)
        self.subscription = self.subscribe(self.queue)

    def _reconnected(self) -> None:
        self.reconnects += 1

    def subscribe(self, queue: Queue, bindings: Iterable[Binding] = ()) -> Subscription:
        return self.broker.subscribe(queue, self.inbox, prefetch=1000, bindings=bindings)

    def outgoing(self, body: bytes, key: str = KEY) -> Outgoing:
        return Outgoing(self.topology.commands.name, key, body, mandatory=True)

    async def publish(self, *bodies: bytes) -> None:
        await self.broker.publish_all([self.outgoing(body) for body in bodies])

    async def surely_publish(self, body: bytes) -> None:
        """Again and again, until it is confirmed."""
        await self.surely(self.outgoing(body))

    async def surely(self, message: Outgoing) -> None:
        async def published() -> None:
            try:
                await self.broker.publish(message)
            except (BrokerAway, Unroutable) as error:
                raise AssertionError("not published") from error

        await eventually(published)

    async def take(self, count: int) -> list[bytes]:
        """Take and acknowledge, until there were this many."""
        bodies: list[bytes] = []
        async with asyncio.timeout(10):
            while len(bodies) < count:
                batch = await self.inbox.take(100)
                bodies += [delivery.body for delivery in batch]
                self.inbox.ack(batch)
        return bodies

    async def round_trip(self) -> None:
        """Until the broker has read everything that was written to it over the consuming connection."""
        link = self.broker.consumer.connection
        assert link is not None
        await (await link.channel()).close()

    async def check(self) -> None:
        """As /readyz has it."""
        try:
            await self.broker.check()
        except ConnectionError as error:
            raise AssertionError(str(error)) from error

    async def well(self, timeout: float = 10) -> None:
        await eventually(self.check, timeout=timeout)

    async def unwell(self, reason: str) -> None:
        """Until it is not ready, for this reason."""

        async def check() -> None:
            found = "nothing is wrong"
            try:
                await self.broker.check()
            except ConnectionError as error:
                found = str(error)
            assert reason in found

        await eventually(check)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.broker.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self._running.done(), "nothing that happens to the broker ends `run`"
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short times, so that what is lost is missed soon."""
    monkeypatch.setattr(broker, "PROBE_INTERVAL", 0.1)
    monkeypatch.setattr(broker, "PROBE_AGE", 0.6)
    monkeypatch.setattr(connection, "HEARTBEAT", 1)


@pytest.fixture
async def service(settings: Settings, amqp_proxy: TcpProxy, tap: Tap) -> AsyncIterator[Service]:
    """A service that works."""
    async with Service(settings.topology, amqp_proxy.url) as service:
        await service.well()
        yield service


# -------------------------------------------------------------------------------------------------- publishing


async def test_a_publish_that_returned_is_in_its_queue(service: Service, tap: Tap) -> None:
    await service.broker.publish(Outgoing(service.topology.dead.name, "any", b"x", headers={"x-reason": "r"}))
    letter = await (await tap.queue(service.topology.dead_letters.name)).get(timeout=5)
    assert letter is not None
    assert (letter.body, letter.headers["x-reason"], letter.delivery_mode) == (b"x", "r", 2)


async def test_a_message_of_several_frames_arrives_whole(service: Service) -> None:
    body = random.Random(1).randbytes(1_000_000)
    await service.publish(body, b"", b"next")
    assert await service.take(3) == [body, b"", b"next"]


async def test_deliveries_keep_the_order_of_publishing(service: Service) -> None:
    bodies = [b"%d" % number for number in range(500)]
    await asyncio.gather(*(service.publish(*bodies[start : start + 50]) for start in range(0, 500, 50)))
    assert await service.take(500) == bodies


async def test_a_mandatory_message_without_a_queue_is_unroutable(service: Service) -> None:
    with pytest.raises(Unroutable):
        await service.broker.publish(service.outgoing(b"x", "message.send.99"))
    await service.surely(Outgoing(service.topology.commands.name, "message.send.99", b"not mandatory"))
    await service.publish(b"still works")
    assert await service.take(1) == [b"still works"]


async def nowhere(service: Service) -> None:
    """Publish what no queue takes. Raises Unroutable, once there is a connection."""
    try:
        await service.broker.publish(service.outgoing(b"x", "message.send.99"))
    except BrokerAway as error:
        raise AssertionError("not published") from error


async def test_an_unroutable_message_ends_nothing_that_shared_its_channel(
    settings: Settings, amqp_proxy: TcpProxy, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "PROBE_INTERVAL", 0.15)
    monkeypatch.setattr(peers, "INTERVAL", 0.15)
    service = Service(settings.topology, amqp_proxy.url)
    greeting = peers.Peers(service.broker, "me", 1, step_back=AsyncMock())
    async with service:
        running = asyncio.create_task(greeting.run())
        await service.well()
        amqp_proxy.delay = 0.05  # so that a greeting or a probe is nearly always under way
        for _ in range(4):
            with pytest.raises(Unroutable):
                await eventually(lambda: nowhere(service))
        amqp_proxy.delay = 0
        await service.well()
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("missing", ["queue", "binding"])
async def test_a_topology_that_lost_something_is_declared_again(service: Service, tap: Tap, missing: str) -> None:
    # One that the service does not consume itself, so that only the publisher can notice.
    dead = service.topology.dead
    letter = Outgoing(dead.name, "any", b"x", mandatory=True)
    if missing == "queue":
        await tap.channel.queue_delete(service.topology.dead_letters.name)
    else:
        await (await tap.queue(service.topology.dead_letters.name)).unbind(dead.name, "#")
    await tap.deaf(dead.name)
    with pytest.raises(Unroutable):
        await service.broker.publish(letter)
    await service.surely(letter)
    assert (await (await tap.queue(service.topology.dead_letters.name)).get(timeout=5)) is not None


async def test_an_exchange_that_was_deleted_comes_back(service: Service, tap: Tap) -> None:
    await tap.channel.exchange_delete(service.topology.commands.name)
    with pytest.raises(BrokerAway, match="404"):
        await service.publish(b"lost")
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]


async def test_a_publish_while_the_broker_is_away_ends_in_time(service: Service, amqp_proxy: TcpProxy) -> None:
    amqp_proxy.stall()
    async with asyncio.timeout(1):
        with pytest.raises(BrokerAway, match="no confirm"):
            await service.broker.publish(service.outgoing(b"stalled"), timeout=0.2)
    await amqp_proxy.refuse()
    await eventually(lambda: not service.broker.publisher.up.is_set())
    async with asyncio.timeout(0.1):
        with pytest.raises(BrokerAway, match="no connection"):
            await service.publish(b"refused")
    await amqp_proxy.heal()
    await service.well()


async def test_what_a_cut_interrupts_is_told_and_what_is_confirmed_arrives_once(
    service: Service, amqp_proxy: TcpProxy
) -> None:
    bodies = [b"%d" % number * 300 for number in range(100)]
    amqp_proxy.cut_after(20_000)
    results = await asyncio.gather(*(service.publish(body) for body in bodies), return_exceptions=True)
    lost = [body for body, result in zip(bodies, results, strict=True) if result is not None]
    assert {type(result) for result in results if result is not None} == {BrokerAway}
    confirmed = [body for body in bodies if body not in lost]
    await service.well()
    await service.publish(b"last")
    arrived: list[bytes] = []
    while not arrived or arrived[-1] != b"last":
        arrived += await service.take(1)
    # What was being published may or may not have arrived.
    assert [body for body in arrived[:-1] if body not in lost] == confirmed
    assert set(arrived[:-1]) <= set(bodies)


async def test_telling_raises_nothing_whatever_the_broker_does(
    settings: Settings, amqp_proxy: TcpProxy, tap: Tap
) -> None:
    service = Service(settings.topology, amqp_proxy.url)
    hint = Outgoing(service.topology.fanout.name, "", b"{}\nnull", persistent=False)
    service.broker.tell(hint)  # not even started
    async with service:
        await service.well()
        amqp_proxy.cut_after(5_000)
        for _ in range(200):
            service.broker.tell(hint)
        await service.well()
        await amqp_proxy.refuse()
        await eventually(lambda: not service.broker.publisher.up.is_set())
        service.broker.tell(hint)
        await amqp_proxy.heal()
        await service.well()
        heard = len(tap.bodies)
        service.broker.tell(hint)
        await eventually(lambda: len(tap.bodies) > heard)


# --------------------------------------------------------------------------------------------- losing and finding


async def test_both_connections_come_back_and_the_moment_is_told(service: Service, amqp_proxy: TcpProxy) -> None:
    assert service.reconnects == 1
    amqp_proxy.cut()
    await eventually(lambda: service.reconnects == 2)
    await service.surely_publish(b"after")
    assert await service.take(1) == [b"after"]
    await service.well()


async def test_what_was_not_acknowledged_comes_again_in_order(service: Service, amqp_proxy: TcpProxy) -> None:
    bodies = [b"%d" % number for number in range(50)]
    await service.publish(*bodies)
    await eventually(lambda: len(service.inbox) == 50)
    batch = await service.inbox.take(20)
    service.inbox.ack(batch[:10])
    await service.round_trip()  # so the acknowledgement has arrived as well
    amqp_proxy.cut()
    await eventually(lambda: service.reconnects == 2)
    assert await service.take(40) == bodies[10:]


async def test_a_delivery_of_a_lost_channel_acknowledges_nothing_on_the_next(
    service: Service, amqp_proxy: TcpProxy
) -> None:
    await service.publish(b"0", b"1", b"2")
    await eventually(lambda: len(service.inbox) == 3)
    old = await service.inbox.take(3)
    amqp_proxy.cut()
    await eventually(lambda: service.reconnects == 2)
    await eventually(lambda: len(service.inbox) == 3)
    assert [delivery.live for delivery in old] == [False] * 3
    service.inbox.ack(old)
    # Were it taken for the new channel's, these would be gone now.
    await service.broker.step_back([service.subscription])
    assert await service.take(3) == [b"0", b"1", b"2"]


async def test_a_stalled_connection_is_noticed_and_replaced(service: Service, amqp_proxy: TcpProxy) -> None:
    amqp_proxy.stall()
    await service.unwell("does not deliver")
    await eventually(lambda: not (service.broker.publisher.up.is_set() or service.broker.consumer.up.is_set()))
    await amqp_proxy.refuse()  # what was held back never arrives
    await amqp_proxy.heal()
    await service.well()
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]


async def test_every_consumer_is_there_after_cuts_at_any_moment(
    settings: Settings, amqp_proxy: TcpProxy, tap: Tap
) -> None:
    service = Service(settings.topology, amqp_proxy.url)
    topology = service.topology
    service.subscribe(topology.gateway_queue("g1"), topology.gateway_bindings("g1"))
    service.subscribe(topology.notifier_queue)
    async with service:
        await service.well()
        whole = amqp_proxy.passed  # what it takes to open both connections
        for part in range(12):
            reconnects = service.reconnects
            amqp_proxy.cut()
            amqp_proxy.cut_after(whole * part // 10)  # the last ones when all is open
            await eventually(lambda before=reconnects: service.reconnects > before)  # type: ignore[misc]
        await service.well()
        for queue in (service.queue, topology.notifier_queue):
            assert (await tap.queue(queue.name)).declaration_result.consumer_count == 1
        await tap.put(topology.commands.name, KEY, b"command")
        await tap.put(topology.batches.name, "", b"event")
        await tap.put(topology.replies.name, "g1", b"reply")
        assert sorted(await service.take(3)) == [b"command", b"event", b"reply"]


async def test_a_consumer_whose_queue_was_deleted_comes_back(service: Service, tap: Tap) -> None:
    await tap.channel.queue_delete(service.queue.name)
    await eventually(lambda: service.reconnects == 2)
    await service.well()
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]


async def test_a_consumer_whose_queue_was_made_anew_comes_back_though_the_broker_says_nothing(
    service: Service, tap: Tap
) -> None:
    channel = service.subscription._channel
    assert channel is not None
    # RabbitMQ gives the consumer of a queue that is made anew at once to the new one, and then may deliver nothing to it.
    channel.receive = lambda frame: None  # type: ignore[method-assign]
    await tap.channel.queue_delete(service.queue.name)
    assert service.reconnects == 1
    await tap.declare()  # as the next process does that connects, or finds a message unroutable
    await eventually(lambda: service.reconnects == 2)
    await service.well()
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]


async def test_what_is_there_is_declared_again_without_a_word(service: Service, tap: Tap) -> None:
    await tap.declare()
    await service.surely_publish(b"x")
    assert (await service.take(1), service.reconnects) == ([b"x"], 1)


# --------------------------------------------------------------------------------------------------- stepping back


async def test_who_steps_back_stands_at_the_end_of_the_line(
    service: Service, settings: Settings, amqp_proxy: TcpProxy
) -> None:
    async with Service(settings.topology, amqp_proxy.url, "other") as other:
        await other.well()
        await service.publish(b"0", b"1")
        await eventually(lambda: len(service.inbox) == 2)
        service.inbox.ack(await service.inbox.take(1))
        await service.broker.step_back([service.subscription])
        assert (len(service.inbox), await other.take(1)) == (0, [b"1"])
        await other.broker.step_back([other.subscription])
        await service.publish(b"2")
        assert await service.take(1) == [b"2"]


@pytest.mark.parametrize("tenths", range(0, 12, 2))
async def test_stepping_back_while_the_connection_is_lost_leaves_every_consumer_there(
    service: Service, amqp_proxy: TcpProxy, tap: Tap, tenths: int
) -> None:
    before = amqp_proxy.passed
    await service.broker.step_back([service.subscription])
    amqp_proxy.cut_after((amqp_proxy.passed - before) * tenths // 10)
    async with asyncio.timeout(5):  # far sooner than it would give up by itself
        await service.broker.step_back([service.subscription])
        await service.well()
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]
    assert (await tap.queue(service.queue.name)).declaration_result.consumer_count == 1


async def test_stepping_back_from_a_queue_that_is_gone_declares_it_again(service: Service, tap: Tap) -> None:
    deleted = asyncio.create_task(tap.channel.queue_delete(service.queue.name))
    await service.broker.step_back([service.subscription])
    await deleted
    await service.well()
    await service.surely_publish(b"x")
    assert await service.take(1) == [b"x"]


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("path", "reason"),
    [("guest:wrong@{address}/", "403 ACCESS_REFUSED"), ("guest:guest@{address}/nowhere", "530 NOT_ALLOWED")],
)
async def test_a_broker_that_refuses_us_says_why(settings: Settings, path: str, reason: str) -> None:
    address = settings.amqp_url.rpartition("@")[2].rstrip("/")
    with pytest.raises(BrokerAway, match=reason):
        await connect("amqp://" + path.format(address=address), "stranger")


async def test_a_broker_that_is_not_there_is_away(amqp_proxy: TcpProxy) -> None:
    await amqp_proxy.refuse()
    with pytest.raises(BrokerAway):
        await connect(amqp_proxy.url, "early")


async def test_a_queue_that_exists_otherwise_is_named(settings: Settings, tap: Tap) -> None:
    name = settings.topology.notifier_queue.name
    await tap.channel.queue_delete(name)
    await tap.channel.declare_queue(name, durable=True)
    link = await connect(settings.amqp_url, "newcomer")
    with pytest.raises(BrokerAway, match=f"406 .*{name}"):
        await declare_topology(link, settings.topology)
    await link.close()


async def test_a_broker_that_blocks_publishers_is_not_ready_and_says_why(
    service: Service, amqp_proxy: TcpProxy
) -> None:
    amqp_proxy.inject(pamqp.frame.marshal(commands.Connection.Blocked("low on memory"), 0))
    await service.unwell("blocks publishers: low on memory")
    amqp_proxy.stall()  # as a broker does that reads nothing more
    with pytest.raises(BrokerAway, match="low on memory"):
        await service.broker.publish(service.outgoing(b"x"), timeout=0.2)
    amqp_proxy.inject(pamqp.frame.marshal(commands.Connection.Unblocked(), 0))
    await amqp_proxy.heal()
    await service.well()


# ------------------------------------------------------------------------------------------------- the topology


async def test_an_exchange_that_somebody_deleted_is_bound_again(
    settings: Settings, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fails on the side that listens: it would wait for ever."""
    monkeypatch.setattr(broker, "DECLARE_INTERVAL", 0.2)
    topology = settings.topology
    service = Service(topology, settings.amqp_url)
    queue = topology.gateway_queue("g1")
    service.subscribe(queue, [Binding(topology.fanout.name, queue.name)])
    async with service:
        await service.well()
        await tap.channel.exchange_delete(topology.fanout.name)

        async def heard() -> None:
            await service.broker.publish(Outgoing(topology.fanout.name, "", b"again", persistent=False))
            assert len(service.inbox)

        async def surely_heard() -> None:
            try:
                await heard()
            except BrokerAway as error:  # the exchange is not there yet
                raise AssertionError(str(error)) from error

        await eventually(surely_heard)
        assert b"again" in await service.take(1)


async def test_what_an_earlier_version_bound_is_undone(settings: Settings, tap: Tap) -> None:
    topology = settings.topology
    queue = await tap.queue(topology.notifier_queue.name)
    await queue.bind(topology.events.name, "#")
    await tap.declare()
    await tap.put(topology.events.name, "message.created.c1", b"event")
    await tap.put(topology.batches.name, "", b"batch")
    await eventually_ready(tap, topology.notifier_queue.name, 1)


async def eventually_ready(tap: Tap, name: str, count: int) -> None:
    """Until so many messages wait in a queue."""

    async def ready() -> bool:
        return (await tap.queue(name)).declaration_result.message_count == count

    await eventually(ready)

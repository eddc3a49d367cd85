"""RabbitMQ goes, comes, slows down, blocks, forgets; and somebody publishes what is no command."""

import asyncio
from contextlib import suppress

import aio_pika
from aio_pika.exceptions import AMQPError

from deploy.local.rabbitmq import RabbitMQ
from tests.faults.kinds import kind
from tests.faults.stage import SERVICES, Stage
from tests.support.tcp_proxy import TcpProxy

OUTAGE = 4.0
SLOWLY = 0.05  # seconds a piece
NO_MEMORY, ENOUGH_MEMORY = "0.00001", "0.4"
OUR_BROKER = ("broker",)


def some_way(stage: Stage) -> TcpProxy:
    """The network between RabbitMQ and one kind of services."""
    return stage.proxies[stage.dice.choice(SERVICES)]


@kind("RabbitMQ killed", "broker", within=None, needs=OUR_BROKER)
async def rabbitmq_killed(stage: Stage) -> float:
    await stage.broker.kill()
    await stage.broker.start()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("RabbitMQ restarted", "broker", within=None, needs=OUR_BROKER)
async def rabbitmq_restarted(stage: Stage) -> float:
    await stage.broker.restart()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("connections to RabbitMQ cut", "broker")
async def cut(stage: Stage) -> float:
    some_way(stage).cut()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("a publish to RabbitMQ cut in half", "broker")
async def cut_in_half(stage: Stage) -> float:
    proxy = some_way(stage)
    proxy.cut_after(stage.dice.randrange(1, 20_000))
    await asyncio.sleep(1)
    proxy.cut()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("RabbitMQ stalled", "broker", within=None)
async def stalled(stage: Stage) -> float:
    proxy = some_way(stage)
    proxy.stall()
    await asyncio.sleep(OUTAGE)
    await proxy.heal()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("RabbitMQ unreachable", "broker")
async def unreachable(stage: Stage) -> float:
    proxy = some_way(stage)
    await proxy.refuse()
    await asyncio.sleep(OUTAGE)
    await proxy.heal()
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("RabbitMQ slow", "broker")
async def slow(stage: Stage) -> float:
    for proxy in stage.proxies.values():
        proxy.delay = SLOWLY
    await asyncio.sleep(OUTAGE)
    for proxy in stage.proxies.values():
        proxy.delay = 0.0
    return await stage.recovery()


@kind("memory alarm", "broker", within=None, needs=("rabbitmqctl",))
async def memory_alarm(stage: Stage) -> float:
    """RabbitMQ reads nothing more from those who publish."""
    assert isinstance(stage.broker, RabbitMQ)
    await stage.broker.control("set_vm_memory_high_watermark", NO_MEMORY)
    await asyncio.sleep(OUTAGE)
    await stage.broker.control("set_vm_memory_high_watermark", ENOUGH_MEMORY)
    took = await stage.recovery()
    await stage.whole()
    return took


def some_partition(stage: Stage) -> str:
    """The name of its queue."""
    return stage.topology.persister_queue(stage.dice.randrange(stage.topology.partitions)).name


@kind("partition queue purged", "broker")
async def purged(stage: Stage) -> float:
    """Commands are gone that nobody has stored: whoever waits for them tries again."""
    async with stage.channel() as channel:
        for _ in range(10):
            queue = await channel.get_queue(some_partition(stage))
            await queue.purge()
    return await stage.recovery()


@kind("partition queue deleted", "broker")
async def deleted(stage: Stage) -> float:
    async with stage.channel() as channel:
        await channel.queue_delete(some_partition(stage))
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("notifier's queue deleted", "broker")
async def notifier_queue_deleted(stage: Stage) -> float:
    async with stage.channel() as channel:
        await channel.queue_delete(stage.topology.notifier_queue.name)
    took = await stage.recovery()
    await stage.whole()
    return took


@kind("poison in every queue", "broker")
async def poison(stage: Stage) -> float:
    """What is no JSON, no command, no text; in every queue of every service."""
    topology = stage.topology
    spoiled = [b"", b"\xff\xfe", b"{}", b"[1,2", b'{"type":"message.send"}', b"{" * 10_000, b"null\nnull"]
    queues = [*(topology.persister_queue(number) for number in range(topology.partitions)), topology.notifier_queue]
    async with stage.channel() as channel:
        for body in spoiled:
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            for queue in queues:
                await channel.default_exchange.publish(message, queue.name)
            for exchange in (topology.fanout, topology.peers, topology.batches):
                with suppress(AMQPError):
                    await (await channel.get_exchange(exchange.name)).publish(message, "")
    took = await stage.recovery()
    await stage.whole()
    return took

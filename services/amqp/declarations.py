"""The topology of `contracts/topology.py` as methods of AMQP, and all of it made real. Repeating it changes nothing."""

from pamqp import commands

from contracts.topology import Binding, Exchange, Queue, Relay, Topology
from services.amqp.connection import BrokerAway, Connection
from services.amqp.frames import Outgoing

NOT_FOUND = 404


def exchange_declaration(exchange: Exchange) -> commands.Exchange.Declare:
    """`exchange.declare`."""
    return commands.Exchange.Declare(exchange=exchange.name, exchange_type=exchange.kind, durable=True)


def queue_declaration(queue: Queue) -> commands.Queue.Declare:
    """`queue.declare`."""
    return commands.Queue.Declare(
        queue=queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=dict(queue.arguments),
    )


def queue_binding(binding: Binding) -> commands.Queue.Bind:
    """`queue.bind`."""
    return commands.Queue.Bind(queue=binding.queue, exchange=binding.exchange, routing_key=binding.routing_key)


def exchange_binding(relay: Relay) -> commands.Exchange.Bind:
    """`exchange.bind`, which RabbitMQ adds to the protocol."""
    return commands.Exchange.Bind(destination=relay.destination, source=relay.source)


def queue_unbinding(binding: Binding) -> commands.Queue.Unbind:
    """`queue.unbind`; one that is not there is no error."""
    return commands.Queue.Unbind(queue=binding.queue, exchange=binding.exchange, routing_key=binding.routing_key)


async def declare(connection: Connection, topology: Topology) -> None:
    """Declare every lasting exchange, queue and binding, and undo what an earlier version bound.

    A queue that was gone is told of (`Topology.renewed`), since RabbitMQ does not always tell its consumers: a channel
    that learns late of the end finds the new queue, consumes it by itself, and then throws away what that one delivers.

    Raises:
        BrokerAway: the connection is gone, or one of them exists with other arguments (406); it says why.
    """
    channel = await connection.channel()
    for exchange in topology.exchanges:
        await channel.call(exchange_declaration(exchange))
    for queue in topology.queues:
        missing = False
        try:
            await channel.call(commands.Queue.Declare(queue=queue.name, passive=True))
        except BrokerAway as error:
            if error.code != NOT_FOUND:
                raise
            missing = True
            channel = await connection.channel()
        await channel.call(queue_declaration(queue))
        if missing:
            channel.write([Outgoing(topology.renewed.name, queue.name, b"", persistent=False)])
    for binding in topology.bindings:
        await channel.call(queue_binding(binding))
    for relay in topology.relays:
        await channel.call(exchange_binding(relay))
    for binding in topology.retired:
        await channel.call(queue_unbinding(binding))
    await channel.close()

"""A direct connection to RabbitMQ beside the services: the witness of what they publish, and the gateway they serve."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

from contracts import commands, fanout, lines
from contracts.commands import AnyCommand, Command, StoreProfile
from contracts.notifying import Delivery
from contracts.topology import Topology
from services.amqp import connect, declare
from tests.support.builders import GATEWAY, make_command
from tests.support.eventually import eventually

MARK = "mark"  # type of the messages that only tell how far we have heard


@dataclass(frozen=True)
class Dead:
    """One dead letter."""

    body: bytes
    routing_key: str
    headers: dict[str, Any]


@dataclass
class Tap:
    """Declares everything, hears everything, and takes everything away in the end."""

    url: str
    topology: Topology
    events: list[dict[str, Any]] = field(default_factory=list)
    items: list[tuple[fanout.Item, bytes]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # of the fan-out
    replies: dict[str, list[fanout.Reply]] = field(default_factory=dict)  # by gateway
    dead: list[Dead] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)  # given to the channel of pushes
    _awaited: int = 0
    _heard: dict[str, list[AbstractQueue]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        await self.declare()
        self.connection: AbstractConnection = await aio_pika.connect(self.url)
        self.channel: AbstractChannel = await self.connection.channel(on_return_raises=True)
        await self._hear(self.topology.events.name, "#", self._event)
        await self._hear(self.topology.fanout.name, "", self._fanout)
        await self._hear(self.topology.dead.name, "#", self._dead)
        await self._hear(self.topology.work.name, "push.0", self._delivery)
        await self.listen(GATEWAY)
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in self.topology.queues:
            await self.channel.queue_delete(queue.name)
        for exchange in self.topology.exchanges:
            await self.channel.exchange_delete(exchange.name)
        await self.connection.close()

    async def declare(self) -> None:
        """As every service does when it connects."""
        connection = await connect(self.url, "tap")
        await declare(connection, self.topology)
        await connection.close()

    async def listen(self, gateway: str) -> None:
        """Hear the replies to a gateway, too."""
        heard = self.replies.setdefault(gateway, [])

        def reply(message: AbstractIncomingMessage) -> None:
            heard.extend(item for item, _ in fanout.unpack(message.body) if isinstance(item, fanout.Reply))

        await self._hear(self.topology.replies.name, gateway, reply)

    async def publish(self, *batch: AnyCommand) -> None:
        """Publish commands of one partition, in one AMQP message."""
        await self.put(
            self.topology.commands.name,
            commands.routing_key(batch[0], self.topology.partitions),
            lines.pack([command.encode() for command in batch]),
        )

    async def put(self, exchange: str, routing_key: str, body: bytes) -> None:
        """Publish, confirmed and mandatory."""
        target = await self.channel.get_exchange(exchange, ensure=False)
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await target.publish(message, routing_key, mandatory=True)

    async def queue(self, name: str) -> AbstractQueue:
        """A queue, with its counts of messages ready and of consumers in `declaration_result`."""
        channel = await self.connection.channel()  # of its own: asking for a queue that is gone closes it
        return await channel.declare_queue(name, passive=True)

    async def deaf(self, exchange: str) -> None:
        """Hear no more of an exchange, so that nothing but the services' own queues takes what goes there."""
        for queue in self._heard.pop(exchange):
            await queue.delete(if_unused=False, if_empty=False)

    def events_of(self, command: AnyCommand) -> list[dict[str, Any]]:
        """The events that tell of a command's change to a conversation."""
        return [event for event in self.events if event["id"] == f"{command.key}:{command.id}"]

    def messages_of(self, conversation_id: str) -> list[tuple[int, str]]:
        """Number and content of the messages that events told of, in their order, as often as they did."""
        created = [e for e in self.events if e["type"] == "chat.message.created.v1" and e["subject"] == conversation_id]
        return [(event["data"]["seq"], event["data"]["content"]) for event in created]

    def items_of(self, conversation_id: str) -> list[tuple[fanout.Item, bytes]]:
        """What gateways were told of a conversation."""
        return [item for item in self.items if getattr(item[0], "conversation_id", None) == conversation_id]

    def replies_to(self, command: Command) -> list[fanout.Reply]:
        """The answers to a command, where it came from."""
        return [reply for reply in self.replies[command.origin.gateway_id] if reply.command_id == command.id]

    async def caught_up(self) -> None:
        """Until everything was heard that was published before."""
        queues = [queue for queues in self._heard.values() for queue in queues]
        self._awaited = len(queues)
        for queue in queues:
            await self.channel.default_exchange.publish(aio_pika.Message(b"", type=MARK), queue.name)
        await eventually(lambda: not self._awaited, poll=0.002)

    async def all_handled(self) -> None:
        """Until a persister has handled every command published before, and we have heard of it. (For one partition.)"""
        last = make_command(StoreProfile)  # of another type, so it is begun when all before it is told
        await self.publish(last)
        await eventually(lambda: bool(self.replies_to(last)), poll=0.005)
        await self.caught_up()

    async def _hear(self, exchange: str, routing_key: str, heard: Any) -> None:
        queue = await self.channel.declare_queue(exclusive=True)
        await queue.bind(exchange, routing_key)
        self._heard.setdefault(exchange, []).append(queue)

        async def arrived(message: AbstractIncomingMessage) -> None:
            if message.type == MARK:
                self._awaited -= 1
            else:
                heard(message)

        await queue.consume(arrived, no_ack=True)

    def _event(self, message: AbstractIncomingMessage) -> None:
        with suppress(ValueError):  # made to be undecodable
            self.events.append(json.loads(message.body))

    def _fanout(self, message: AbstractIncomingMessage) -> None:
        self.bodies.append(message.body)
        self.items.extend(fanout.unpack(message.body))

    def _delivery(self, message: AbstractIncomingMessage) -> None:
        with suppress(ValueError):  # a later attempt, or made to be undecodable
            self.deliveries.append(Delivery.decode(message.body))

    def _dead(self, message: AbstractIncomingMessage) -> None:
        self.dead.append(Dead(message.body, message.routing_key or "", dict(message.headers)))

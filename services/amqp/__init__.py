"""RabbitMQ: connections that come back, confirmed publishing, and the only acknowledgements in the repository.

    frames         what travels a thousand times a second, as bytes
    connection     one connection and its channels: calls, confirms, deliveries, and how they end
    declarations   the topology of the contracts as methods
    dead_letters   what cannot be handled, with why
    subscription   one consumer of one queue; what arrives, in order, until it is acknowledged
    broker         the two connections of a process, which come back for ever

Source: https://www.rabbitmq.com/amqp-0-9-1-reference
"""

from services.amqp.broker import Broker
from services.amqp.connection import BrokerAway, Channel, Unroutable, connect
from services.amqp.dead_letters import dead_letter
from services.amqp.declarations import declare
from services.amqp.frames import Outgoing
from services.amqp.subscription import Delivery, Inbox, Subscription

__all__ = [
    "Broker",
    "BrokerAway",
    "Channel",
    "Delivery",
    "Inbox",
    "Outgoing",
    "Subscription",
    "Unroutable",
    "connect",
    "dead_letter",
    "declare",
]

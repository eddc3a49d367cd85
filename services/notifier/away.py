"""What passes by itself: the same may succeed later."""

from pymongo.errors import PyMongoError

from services.amqp import BrokerAway, Unroutable

AWAY = (PyMongoError, BrokerAway, Unroutable)

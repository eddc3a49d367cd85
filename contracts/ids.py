"""Ids that two processes must derive alike."""

import json
from hashlib import sha256
from zlib import crc32

SHORT_STRING = 255  # bytes of an AMQP message's id, or of its routing key


def partition_of(key: str, partitions: int) -> int:
    """The partition that handles all commands of a conversation (or, for a profile, of a user)."""
    return crc32(key.encode()) % partitions


def direct_conversation_id(one: str, other: str) -> str:
    """The id of the only direct conversation of two people, whoever of them starts it."""
    return "d" + sha256(json.dumps(sorted((one, other))).encode()).hexdigest()[:31]


def message_event_id(conversation_id: str, seq: int) -> str:
    """Consumers drop a `message.created` that they have had by this id alone."""
    return f"{conversation_id}:{seq}"


def change_event_id(conversation_id: str, change_seq: int) -> str:
    """Consumers drop a `message.updated` that they have had by this id alone."""
    return f"{conversation_id}:c{change_seq}"


def read_event_id(conversation_id: str, user_id: str, seq: int) -> str:
    """Consumers drop a `read.updated` that they have had by this id alone.

    It is the AMQP message's id too, so it has to fit there: ids of conversations are short, since we make them, but those
    of people are whatever a token says.
    """
    event_id = f"{conversation_id}:{user_id}:{seq}"
    if len(event_id.encode()) <= SHORT_STRING:
        return event_id
    # Longer than any id of a person: nobody can have one that is taken for it.
    return f"{conversation_id}:sha256:{sha256(user_id.encode()).hexdigest()}:{seq}"


def webhook_delivery_id(webhook_id: str, event_id: str) -> str:
    """The `webhook-id` of one event at one webhook, however often it is sent."""
    return sha256(json.dumps([webhook_id, event_id]).encode()).hexdigest()[:32]

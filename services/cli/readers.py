"""A RabbitMQ user for an integrator, who may read the events and nothing else, as RabbitMQ's own definitions.

Definitions are taken by every RabbitMQ: over its management API, by `rabbitmqctl import_definitions`, or at its start
(https://www.rabbitmq.com/docs/definitions). Permissions: https://www.rabbitmq.com/docs/access-control#authorisation.
"""

import base64
import hashlib
import re
import secrets
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from aio_pika.abc import AbstractConnection

from contracts.topology import Topology
from services.cli.gateway import CommandError, Unreachable, uses_proxy

TAG = "palabre-integrator"  # no tag of RabbitMQ's own; marks whom we made
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
HASHING = "rabbit_password_hashing_sha256"
# What waits for an integrator who is away, per queue; past it the oldest is dropped. The stream still has it.
QUEUE_BYTES = 256 * 1024 * 1024
QUEUE_EXPIRES_MS = 7 * 24 * 3600 * 1000  # a queue that nobody reads for so long goes: the stream keeps no more either
TIMEOUT = 15.0


async def declare(connection: AbstractConnection, names: Topology) -> None:
    """What integrators bind to and consume, so that they can begin before anything of ours has started there.

    Nothing else: how many partitions there are is known to whoever runs the services.
    """
    channel = await connection.channel()
    events = await channel.declare_exchange(names.events.name, names.events.kind, durable=True)
    log = await channel.declare_queue(names.log.name, durable=True, arguments=names.log.arguments)
    await log.bind(events, "#")


def definitions(names: Topology, vhost: str, user: str, password: str) -> dict[str, Any]:
    """The user, what it may, and a policy that bounds what waits in the queues of all integrators."""
    own = re.escape(names.integrator(user))
    readable = "|".join(re.escape(name) for name in (names.events.name, names.log.name))
    return {
        "users": [
            {"name": user, "password_hash": _hash(password), "hashing_algorithm": HASHING, "tags": TAG, "limits": {}}
        ],
        "permissions": [
            {
                "user": user,
                "vhost": vhost,
                "configure": f"^{own}",  # declare and delete queues of its own
                "write": f"^{own}",  # bind these
                "read": f"^({readable}|{own}.*)$",  # bind to the events, consume the stream and its own queues
            }
        ],
        "policies": [
            {
                "vhost": vhost,
                "name": names.name("palabre-integrators"),
                "pattern": f"^{re.escape(names.integrators)}",
                "apply-to": "queues",
                "priority": 0,
                "definition": {
                    "max-length-bytes": QUEUE_BYTES,
                    "overflow": "drop-head",
                    "expires": QUEUE_EXPIRES_MS,
                },
            }
        ],
    }


def new_password() -> str:
    """One that nobody guesses, without characters that a URL would escape."""
    return secrets.token_urlsafe(24)


def vhost_of(amqp_url: str) -> str:
    """The virtual host of an AMQP URL."""
    return unquote(urlsplit(amqp_url).path[1:]) or "/"


async def create(management_url: str, wanted: dict[str, Any]) -> None:
    """Import definitions over the management API.

    Raises:
        CommandError: there is a user of this name whom we did not make, or RabbitMQ refuses.
    """
    user = wanted["users"][0]["name"]
    url = httpx.URL(management_url)
    # Given here, not in the URL, which would be shown in errors.
    credentials = (url.username or "guest", url.password or "guest")
    base = url.copy_with(username=None, password=None)
    try:
        async with httpx.AsyncClient(
            base_url=base, auth=credentials, timeout=TIMEOUT, trust_env=uses_proxy(str(base))
        ) as client:
            known = await client.get(f"/api/users/{quote(user, safe='')}")
            if known.status_code != httpx.codes.NOT_FOUND and TAG not in _tags(_ok(known).json()):
                raise CommandError(f"There is a RabbitMQ user {user} already, who is no integrator.")
            _ok(await client.post("/api/definitions", json=wanted))
    except httpx.HTTPError as error:
        raise Unreachable(f"{base} does not answer: {str(error) or type(error).__name__}") from None


def _ok(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise CommandError(f"RabbitMQ refuses: {answer.status_code} {answer.text[:200]}")
    return answer


def _tags(user: dict[str, Any]) -> list[str]:
    tags = user["tags"]  # a list since RabbitMQ 3.9, a text before
    return tags.split(",") if isinstance(tags, str) else list(tags)


def _hash(password: str) -> str:
    """As RabbitMQ keeps it: https://www.rabbitmq.com/docs/passwords#this-is-the-algorithm."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()

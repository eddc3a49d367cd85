"""A bot that answers `/hello`: it hears events from RabbitMQ and answers over REST, exactly once.

    AMQP_URL       a user that `palabre topology --reader NAME` made
    PREFIX         of the environment, where it has one
    PALABRE_URL    a gateway, as http://127.0.0.1:3000
    PALABRE_TOKEN  `palabre token "Hello bot" --scope messages:write`; the bot must be a member where it is to answer

The answer has an Idempotency-Key made from the event's id, and the delivery is acknowledged when the answer is stored.
Killed in between, the bot hears the event again and sends the same answer under the same key, which is then stored already.
"""

import asyncio
import hashlib
import os
import signal
import sys
from urllib.parse import urlsplit

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError

from contracts.events import Event, MessageCreated, OtherEvent, parse_event

LONGEST_WAIT = 30.0  # seconds between two tries


async def answer(client: httpx.AsyncClient, event: Event | OtherEvent) -> None:
    """Answer, if this asks for it. Returns when the answer is stored, or will never be."""
    if not isinstance(event, MessageCreated) or event.data.content.strip() != "/hello":
        return
    message = event.data
    key = hashlib.sha256(f"hello {event.id}".encode()).hexdigest()
    wait = 0.5
    while True:
        try:
            response = await client.post(
                f"/api/conversations/{message.conversation_id}/messages",
                headers={"Idempotency-Key": key},
                json={"content": f"Hello, {message.sender_name}!", "replyTo": message.id},
            )
        except httpx.TransportError as error:
            print(f"the gateway is away: {error!r}", file=sys.stderr)
        else:
            if response.is_success:  # 201: stored; 200: it was stored before
                return
            if response.status_code != 429 and response.status_code < 500:
                # Not a member there, most often: trying again would not help.
                print(f"refused: {response.text}", file=sys.stderr)
                return
            wait = float(response.headers.get("Retry-After", wait))
        await asyncio.sleep(wait)
        wait = min(LONGEST_WAIT, wait * 2)


async def main() -> None:
    url, prefix = os.environ["AMQP_URL"], os.environ.get("PREFIX", "")
    client = httpx.AsyncClient(
        base_url=os.environ["PALABRE_URL"],
        headers={"Authorization": f"Bearer {os.environ['PALABRE_TOKEN']}"},
        timeout=15,
    )

    async def arrived(message: AbstractIncomingMessage) -> None:
        try:
            await answer(client, parse_event(message.body))
        except ValidationError as error:
            print(f"not an event: {error}", file=sys.stderr)
        await message.ack()

    connection = await aio_pika.connect_robust(url)
    async with connection, client:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)  # answers at a time
        queue = await channel.declare_queue(f"{prefix}integrator.{urlsplit(url).username}.hello", durable=True)
        await queue.bind(f"{prefix}chat.events", "message.created.#")
        await queue.consume(arrived)
        print("listening", flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

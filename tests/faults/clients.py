"""Clients that lose their network, do not read, come again and again, or send what is no frame."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.faults.kinds import kind
from tests.faults.people import Person
from tests.faults.stage import Stage
from tests.support.system import Process

HOLD = 4.0
UPGRADE = (
    "GET /ws/chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@kind("clients lose their network", "client")
async def lost_network(stage: Stage) -> float:
    for person in stage.dice.sample(stage.crowd.people, len(stage.crowd.people) // 2):
        person.drop()
    return await stage.recovery()


async def intruder(person: Person, door: Process, stack: AsyncExitStack, *, replayed: bool = True) -> ClientConnection:
    """Another connection of somebody, joined everywhere, with all history to come or only what is said from now on."""
    assert person.rest is not None
    token = person.rest.headers["Authorization"].removeprefix("Bearer ")
    socket = await stack.enter_async_context(
        connect(door.ws, compression=None, proxy=None, ping_interval=None, close_timeout=0.5, max_queue=1)
    )
    await socket.send(orjson.dumps({"type": "authenticate", "token": token}), text=True)
    for conversation in person.conversations:
        join: dict[str, Any] = {"type": "join_conversation", "conversationId": conversation}
        join |= {"afterSeq": 0} if replayed else {"limit": 1}
        await socket.send(orjson.dumps(join), text=True)
    return socket


@kind("readers stop", "client")
async def readers_stop(stage: Stage) -> float:
    async with AsyncExitStack() as stack:
        for person in stage.dice.sample(stage.crowd.people, 8):
            with suppress(OSError, WebSocketException):
                socket = await intruder(person, stage.one_of(stage.doors), stack)
                socket.transport.pause_reading()
        took = await stage.recovery()
        await asyncio.sleep(HOLD)
    return took


@kind("clients reconnect in a loop", "client")
async def reconnecting(stage: Stage) -> float:
    async def again_and_again(person: Person) -> None:
        for _ in range(20):
            with suppress(OSError, WebSocketException):
                async with AsyncExitStack() as stack:
                    socket = await intruder(person, stage.one_of(stage.doors), stack)
                    await asyncio.sleep(stage.dice.uniform(0, 0.05))
                    socket.transport.abort()

    people = stage.dice.sample(stage.crowd.people, 5)
    await asyncio.gather(*(again_and_again(person) for person in people))
    return await stage.recovery()


@kind("half frames and rubbish", "client")
async def rubbish(stage: Stage) -> float:
    """Before the handshake, in it, and as frames; held open for a while."""
    half_frame = b"\x81\xfe\xff\xff" + b"\x00" * 100  # a text of 65,535 bytes, of which these are the first
    sent = [
        UPGRADE[:40].encode(),
        b"\x16\x03\x01" + bytes(200),
        UPGRADE.encode() + half_frame,
        UPGRADE.encode() + b"\x81\x05hello",  # not masked, as a client's must be
        UPGRADE.encode() + b"\xff" * 500,
        UPGRADE.encode() + b"\x81\x84\x00\x00\x00\x00\xff\xff\xff\xff",  # a text that is not UTF-8
        *(UPGRADE.encode() + b"\x81\x81\x00\x00\x00\x00x" * 60 for _ in range(3)),  # 60 texts that are no JSON
    ]
    writers = []
    for data in sent * 3:
        with suppress(OSError):
            door = stage.one_of(stage.doors)
            _, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
            writers.append(writer)
            writer.write(data)
    took = await stage.recovery()
    await asyncio.sleep(HOLD / 2)
    for writer in writers:
        writer.transport.abort()
    return took

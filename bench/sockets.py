"""Sockets of many people who do the same; what each is told goes to a function of the measurement's own."""

import asyncio
import time
from collections.abc import Callable

from bench.target import BenchError, Person
from bench.wire import Frame, Wire

AT_ONCE = 100  # that are being opened at the same time
LATEST = 150.0  # seconds: a gateway's death is told when its leases have run out, the default ones after half of that


async def connect_all(url: str, people: list[Person], receive: Callable[[Frame], None] = lambda _: None) -> list[Wire]:
    """One for each, authenticated."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(person: Person) -> Wire:
        async with gate:
            return await connect(url, person, receive)

    return list(await asyncio.gather(*(one(person) for person in people)))


async def connect(url: str, person: Person, receive: Callable[[Frame], None], then: Frame | None = None) -> Wire:
    """Authenticated; `then` is sent next. Raises OSError: it was refused."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frame(frame: Frame) -> None:
        if frame["type"] == "authenticated":
            ready.set_result(None)
        elif frame["type"] == "auth_error":
            ready.set_exception(OSError(f"{frame['code']}: {frame['error']}"))
        receive(frame)

    wire = Wire(on_frame, lambda _: None)
    async with asyncio.timeout(30):
        await wire.connect(url)
        wire.send({"type": "authenticate", "token": person.token})
        await ready
    if then is not None:
        wire.send(then)
    return wire


async def until(done: Callable[[], bool], what: str) -> None:
    """Raises BenchError: it did not come."""
    deadline = time.perf_counter() + LATEST
    while not done():
        if time.perf_counter() > deadline:
            raise BenchError(f"Waited {LATEST:.0f} s for {what}.")
        await asyncio.sleep(0.05)

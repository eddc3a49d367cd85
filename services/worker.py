"""The life of a process: start, work until SIGTERM or SIGINT, stop in order."""

import asyncio
import ctypes
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import Route

from services.telemetry import heed_signals, logger

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 128 * 1024  # bytes; where glibc begins too
TRIM_INTERVAL = 300.0  # seconds


async def until_stopped(
    stop: asyncio.Event, *work: Awaitable[None], finish: Callable[[], Awaitable[None]], timeout: float
) -> None:
    """Run everything until `stop` is set or a part fails; then `finish` what is in hand, and end all.

    A failure is raised: nothing dies unseen.
    """
    tasks = [asyncio.ensure_future(part) for part in work]
    waiting = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await finish()
    finally:
        for task in [*tasks, waiting]:
            task.cancel()
        await asyncio.gather(*tasks, waiting, return_exceptions=True)


class QuietServer(uvicorn.Server):
    """uvicorn that leaves the signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours are installed already."""
        yield


async def serve_health(host: str, port: int, routes: Sequence[Route]) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics` on a port of their own, until cancelled."""
    server = QuietServer(
        uvicorn.Config(
            Starlette(routes=routes),
            host=host,
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )
    await server.serve()


def calm_garbage_collector() -> None:
    """Look for cycles less often, and never among what was made at the start: it was a fifth of a busy worker's time.

    Nearly everything here is freed by its reference count (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def give_memory_back(loop: asyncio.AbstractEventLoop) -> None:
    """Take what is large (a frame, a batch) from the kernel each time, and give it back at once; and from time to time
    what is free in the heap.

    glibc does the first by itself only until the first such block is freed. From then on they come from the heap, where
    what is small and stays keeps the room of what was large (https://man7.org/linux/man-pages/man3/mallopt.3.html,
    M_MMAP_THRESHOLD). The second it does at the end of the heap alone, never between two blocks that are in use
    (https://man7.org/linux/man-pages/man3/malloc_trim.3.html). Other C libraries do not have these calls.
    """
    libc = ctypes.CDLL(None)

    def trim() -> None:
        libc.malloc_trim(0)
        loop.call_later(TRIM_INTERVAL, trim)

    with suppress(AttributeError):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        loop.call_later(TRIM_INTERVAL, trim)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stop)` on uvloop; `stop` is set by the first SIGTERM or SIGINT, and a second one ends at once."""

    async def body() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop_now(name: str) -> None:
            if stop.is_set():
                raise SystemExit(1)
            logger().info("stopping", signal=name)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop_now, number.name)
        heed_signals()
        calm_garbage_collector()
        give_memory_back(loop)
        await main(stop)

    uvloop.run(body())

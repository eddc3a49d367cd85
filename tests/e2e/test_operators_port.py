"""Health and metrics on a port of their own, which is not for the world."""

import asyncio

import httpx
import pytest

from deploy.local.process import free_port
from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e
PATHS = ("/healthz", "/readyz", "/metrics")


async def test_the_world_does_not_find_it_and_it_says_how_the_gateway_is_until_its_end(system: System) -> None:
    port = free_port()
    gateway = system.another_gateway(HTTP_PORT=str(port), DRAIN_BATCH="1")
    await gateway.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as operator:

        async def status(path: str) -> int:
            try:
                return (await operator.get(path)).status_code
            except httpx.TransportError:
                return 0

        async def ready() -> None:
            assert await status("/readyz") == 200

        await eventually(ready, timeout=30)
        assert [await status(path) for path in PATHS] == [200, 200, 200]
        assert "palabre_gateway_connections" in (await operator.get("/metrics")).text
        assert await status("/api/me") == 404
        async with Rest(gateway.url) as rest:
            for path in (*PATHS, "/%6Detrics", "/metrics/"):
                assert (await rest.http.get(path)).status_code == 404, path
            token = await rest.login("Alice")
        # Sockets are closed one by one, a tenth of a second each: so long it answers that it takes no more.
        async with asyncio.TaskGroup() as group:
            all_here = asyncio.Barrier(11)
            for _ in range(10):
                group.create_task(stays(gateway.ws, token, all_here))
            async with asyncio.timeout(30):
                await all_here.wait()
            assert "palabre_gateway_connections 10.0" in (await operator.get("/metrics")).text
            stopping = group.create_task(gateway.stop())

            async def draining() -> None:
                answer = await operator.get("/readyz")
                assert (answer.status_code, answer.json()["missing"]) == (503, {"gateway": "draining"})
                assert await status("/healthz") == 200

            await eventually(draining)
        assert stopping.result() == 0
        assert await status("/healthz") == 0


async def stays(url: str, token: str, all_here: asyncio.Barrier) -> None:
    async with ChatClient.connect(url, token) as client:
        await all_here.wait()
        code, _ = await client.closed(timeout=20)
        assert code == 1012

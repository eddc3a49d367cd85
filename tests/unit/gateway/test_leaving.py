"""A gateway whose part has ended by itself: nobody is led to it, and it leaves, so that another one can begin."""

import asyncio
from types import SimpleNamespace

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from services import health
from services.gateway import __main__ as gateway
from services.gateway.app import _died


async def test_it_sends_its_sockets_elsewhere_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI(routes=list(health.routes({}, alive=lambda: not app.state.failed.is_set())))
    app.state.failed = asyncio.Event()
    app.state.gateway = SimpleNamespace(settings=SimpleNamespace(shutdown_timeout=10))
    left: list[object] = []

    async def drain(what: object) -> None:
        left.append(what)

    async def break_down() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(gateway, "drain", drain)
    server = gateway.Server(uvicorn.Config(app, port=0, log_config=None), app)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://gateway") as http:
        assert (await http.get("/readyz")).status_code == 200
        part = asyncio.create_task(break_down(), name="egress")
        part.add_done_callback(lambda task: _died(app, task))
        async with asyncio.timeout(20):
            await server.serve()
        assert left == [app.state.gateway]
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["missing"]) == (503, {"process": "a part of it has ended"})
        assert (await http.get("/healthz")).status_code == 500
    assert isinstance(part.exception(), RuntimeError)

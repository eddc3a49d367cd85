"""What a gateway answers to requests for a socket: good ones, bad ones, and those for another address."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from services.gateway import app as gateway_app
from services.persister.settings import Settings
from tests.support.gateway import InProcessGateway, gateway_beside

pytestmark = pytest.mark.integration

GOOD = {
    "Host": "chat.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
async def gateway(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcessGateway]:
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(settings, auth_dev=True, allowed_origins=("https://chat.example",))
    async with InProcessGateway(gateway_settings) as gateway:
        yield gateway


async def answered(gateway: InProcessGateway, path: str = "/ws/chat", **changes: str | None) -> tuple[int, bytes]:
    """The status and the head of the answer to a handshake with some headers changed, or (None) left out."""
    headers = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    url = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    writer.write(f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1"))
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.lower()


@pytest.mark.parametrize("path", ["/ws/chat", "/ws/chat?client=1"])
async def test_a_good_one_is_answered_as_the_rfc_says(gateway: InProcessGateway, path: str) -> None:
    status, head = await answered(gateway, path)
    assert status == 101
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    assert head.count(b"\r\ndate: ") == 1
    assert b"sec-websocket-extensions" not in head


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Upgrade": None}, 404),
        ({"path": "/ws/other"}, 403),
        ({"path": "/ws/chat/"}, 403),
        ({"path": "/"}, 403),
    ],
    ids=str,
)
async def test_a_bad_one_is_refused(gateway: InProcessGateway, changes: dict[str, str | None], status: int) -> None:
    assert (await answered(gateway, **changes))[0] == status  # type: ignore[arg-type]
    assert not gateway.parts.sockets


@pytest.mark.parametrize("origin", [None, "https://chat.example", "https://chat.example/"])
async def test_our_page_and_who_is_no_browser_may_connect(gateway: InProcessGateway, origin: str | None) -> None:
    async with connect(gateway.ws, additional_headers={"Origin": origin} if origin else {}) as socket:
        await socket.send('{"type":"ping"}')
        assert json.loads(await socket.recv())["type"] == "pong"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://chat.example.evil", "https://é.example"])
async def test_another_page_may_not(gateway: InProcessGateway, origin: str) -> None:
    status, _ = await answered(gateway, Origin=origin)
    assert status == 101, "a browser tells its page a close code only, never the status"
    if origin.isascii():
        async with connect(gateway.ws, additional_headers={"Origin": origin}) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4504
    assert not gateway.parts.sockets


async def test_a_gateway_that_drains_lets_nobody_in(gateway: InProcessGateway) -> None:
    gateway.parts.draining = True
    async with connect(gateway.ws) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert json.loads(closed.value.rcvd.reason)["reconnectInMs"] >= 0
    assert not gateway.parts.sockets

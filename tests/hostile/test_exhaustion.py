"""Peers that want to be waited for, to be kept in memory, or to be very many. They cost only themselves.

The gateway of these tests waits for two seconds where others wait for ten or thirty. Memory is measured and not timed.
"""

import asyncio
import os
import resource
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidMessage

from tests.hostile.test_websocket import echo, echoed, fragments
from tests.support.chat_client import ChatClient, ConnectionEnded, Rest
from tests.support.eventually import eventually
from tests.support.logs import Logs, other_gateway
from tests.support.raw_socket import CONT, PING, TEXT, RawSocket, close_frame, frame, handshake
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e

MOST = 50  # that have not authenticated
MIB = 2**20
MANY = int(os.environ.get("HOSTILE_SOCKETS", "1000"))


@pytest.fixture(scope="module")
async def strict(system: System) -> AsyncIterator[Process]:
    """A gateway without patience, and with few places for those who do not say who they are."""
    settings = {"AUTH_TIMEOUT": "2", "REQUEST_TIMEOUT": "2", "MAX_UNAUTHENTICATED": str(MOST), "WS_COMPRESSION": "1"}
    async with other_gateway(system, Logs([]), **settings, MAX_CONNECTIONS_PER_USER="0") as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def its_logs(strict: Process, logs: Logs) -> None:
    logs.watch(strict)


def resident(process: Process) -> float:
    """MiB of memory that a process has in use."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def descriptors(process: Process) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def holds(process: Process, socket: RawSocket) -> bool:
    """Whether the process has the other end of this connection; once it has not, the kernel may still try to send."""
    port, ours = urlsplit(process.url).port, socket.writer.get_extra_info("sockname")[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (port, ours):
            return inode != "0"
    return False


async def works(process: Process) -> None:
    """Somebody who means well gets in."""
    async with Rest(process.url) as rest, ChatClient.connect(process.ws, await rest.token("Wilma")) as client:
        await client.ping()


async def in_the_end(process: Process) -> bool:
    """Whether they get in by now."""
    try:
        await works(process)
    except (httpx.HTTPError, OSError, InvalidMessage, ConnectionEnded):
        return False
    return True


async def metric(process: Process, name: str) -> float:
    """The value of a metric without labels."""
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{process.url}/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


class TestPatience:
    """Whoever takes for ever is cut off, however busy they look."""

    @pytest.mark.parametrize(
        ("begin", "again"),
        [
            (b"", None),
            (b"", b"\r\n"),
            (b"GET / HT", None),
            (b"GET /", b"x"),
            (b"GET / HTTP/1.1\r\n", b"X-More: x\r\n"),
            (b"GET / HTTP/1.1\r\nX-Long: ", b"x"),
            (handshake()[:-2], None),
            (handshake()[:-2], b"X-More: x\r\n"),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal", b"t"),
            (b"POST /api/dev/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x"),
            (b"POST /api/me HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x"),
            (b"POST /api/dev/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        ],
        ids=[
            "nothing",
            "empty lines",
            "half a line",
            "an endless path",
            "endless headers",
            "an endless header",
            "half a handshake",
            "an endless handshake",
            "empty lines after a call",
            "a second call",
            "a body",
            "a body that nobody reads",
            "chunks",
        ],
    )
    async def test_a_request_that_does_not_end(self, strict: Process, begin: bytes, again: bytes | None) -> None:
        async with RawSocket.connect(strict.url) as socket:

            async def go_on() -> None:
                with suppress(ConnectionError):
                    while again:
                        socket.write(again)
                        await asyncio.sleep(0.05)

            socket.write(begin)
            writing = asyncio.create_task(go_on())
            await socket.ended()
            writing.cancel()

    async def test_an_open_socket_on_which_nothing_is_said(self, strict: Process) -> None:
        async with RawSocket.open(strict.url) as socket:
            assert await socket.closed() == 4501

    async def test_an_answer_that_is_not_taken(self, strict: Process) -> None:
        async with Rest(strict.url) as rest:
            token = await rest.login("Slow")
            room = await rest.create_conversation([], "room")
            for _ in range(30):
                await rest.http.post(f"/api/conversations/{room['id']}/messages", json={"content": "x" * 8000})
        request = (
            f"GET /api/conversations/{room['id']}/messages?limit=200 HTTP/1.1\r\n"
            f"Host: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
        async with RawSocket.connect(strict.url) as socket:
            socket.write(request * 90)  # 20 MiB are more than any kernel keeps
            await socket.reader.readexactly(1)  # and no more: the reader stops reading when it has enough
            assert holds(strict, socket)
            await eventually(lambda: not holds(strict, socket), timeout=20)

    async def test_a_close_behind_what_is_not_taken(self, strict: Process) -> None:
        """Closing waits until everything is written, so without a deadline it would wait for ever."""
        async with Rest(strict.url) as rest:
            token = await rest.login("Deaf")
            room = await rest.create_conversation([], "room")
            for _ in range(30):
                await rest.http.post(f"/api/conversations/{room['id']}/messages", json={"content": "x" * 8000})
        async with RawSocket.open(strict.url) as socket:
            socket.write(frame(TEXT, b'{"type":"authenticate","token":"%b"}' % token.encode()))
            assert b'"type":"authenticated"' in (await socket.frame()).payload
            assert holds(strict, socket)
            join = b'{"type":"join_conversation","conversationId":"%b","limit":200}' % room["id"].encode()
            # All at once: a gateway that had enough to do before it read of the close would find out by its heartbeat only.
            socket.write(frame(TEXT, join) * 40 + close_frame())
            await eventually(lambda: not holds(strict, socket), timeout=20)


class TestMemory:
    """What strangers send is not kept."""

    @pytest.mark.parametrize(
        ("data", "answer"),
        [
            (b"GET /" + b"x" * 8 * MIB, b"431"),
            (b"GET / HTTP/1.1\r\n" + b"X-More: x\r\n" * MIB, b"431"),
            (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 8 * MIB, b"431"),
            (b"POST /api/me HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-More: x\r\n" * MIB, b""),
            (b"POST /api/me HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 8 * MIB, b""),
            (b"POST /api/dev/token HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 8 * MIB, b"413"),
        ],
        ids=["path", "headers", "header", "trailers", "chunk extension", "body"],
    )
    async def test_requests_without_end(self, strict: Process, data: bytes, answer: bytes) -> None:
        async with RawSocket.connect(strict.url) as socket:
            socket.write(data)
            assert answer in await socket.ended()
        assert resident(strict) < 400

    @pytest.mark.parametrize(
        "data",
        [
            frame(TEXT, b"x", fin=False) + frame(CONT, b"x" * 60, fin=False) * 1000,
            frame(TEXT, b"x", fin=False) + frame(CONT, b"", fin=False) * 100_000,
            frame(TEXT, b"x" * MIB),
            frame(PING, b"x" * 125) * 20_000,
            frame(TEXT, b"x" * 65536)[:-1],
        ],
        ids=["fragments", "fragments of nothing", "large frames", "pings", "frames that do not end"],
    )
    async def test_frames_without_end(self, strict: Process, data: bytes) -> None:
        await works(strict)
        before = resident(strict)
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(RawSocket.open(strict.url)) for _ in range(20)]
            for socket in sockets:
                socket.write(data)
            await asyncio.gather(*(socket.frames() for socket in sockets))
            # 64 KiB of a message and as much of what was read, for each; and what the allocator does not give back.
            assert resident(strict) - before < 30
        await works(strict)

    @pytest.mark.parametrize("size", [MIB, 64 * MIB], ids=["a MiB", "64 MiB"])
    @pytest.mark.parametrize("parts", [1, 5], ids=["whole", "in fragments"])
    async def test_12_a_compressed_bomb(self, strict: Process, size: int, parts: int) -> None:
        before = resident(strict)
        bomb = compressed(b"x" * size)
        sent = fragments(
            [bomb[start : start + -(-len(bomb) // parts)] for start in range(0, len(bomb), -(-len(bomb) // parts))]
        )
        sent[0] = bytes([sent[0][0] | 0x40]) + sent[0][1:]  # RSV1: compressed
        async with RawSocket.open(strict.url, Sec_WebSocket_Extensions="permessage-deflate") as socket:
            assert b"permessage-deflate" in socket.head
            socket.write(*sent)
            assert await socket.closed() == 1009
        assert resident(strict) - before < 40


def compressed(data: bytes) -> bytes:
    """One message as permessage-deflate has it (RFC 7692, section 7.2.1)."""
    packer = zlib.compressobj(wbits=-12)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def pack(data: bytes) -> bytes:
    """A compressed text frame."""
    return frame(TEXT, compressed(data), rsv=4)


class TestCompression:
    """12.*, 13.*: permessage-deflate."""

    @pytest.mark.parametrize("size", [100, 1024, 65536], ids="{0}".format)
    @pytest.mark.parametrize(
        "offer",
        [
            "permessage-deflate",
            "permessage-deflate; client_no_context_takeover; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=12",
            "permessage-nonsense, permessage-deflate",
        ],
        ids=["13.1", "13.2", "13.3", "13.4", "13.5", "13.7"],
    )
    async def test_12_messages(self, strict: Process, offer: str, size: int) -> None:
        async with RawSocket.open(strict.url, Sec_WebSocket_Extensions=offer) as socket:
            socket.write(frame(TEXT, compressed(echo("packed", size)), rsv=4))
            opcode, payload, rsv = await socket.frame()
            assert (opcode, rsv) == (TEXT, 4)
            assert b'"requestId":"packed"' in zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
            socket.write(frame(TEXT, echo("plain")))  # each message may do without
            assert (await socket.frame()).opcode == TEXT

    @pytest.mark.parametrize(
        "bad",
        [
            frame(TEXT, b"\xff" * 20, rsv=4),
            frame(TEXT, b"", fin=False, rsv=4) + frame(CONT, b"", rsv=4),
            frame(PING, b"", rsv=4),
            frame(TEXT, compressed(echo("r")), rsv=6),
        ],
        ids=["not compressed", "compressed twice", "a ping", "another bit"],
    )
    async def test_what_is_not_compressed(self, strict: Process, bad: bytes) -> None:
        async with RawSocket.open(strict.url, Sec_WebSocket_Extensions="permessage-deflate") as socket:
            socket.write(bad)
            assert await socket.closed() == 1002

    @pytest.mark.parametrize(
        "offer",
        [
            "permessage-deflate; nonsense",
            "permessage-deflate; server_max_window_bits=99",
            "permessage-deflate; server_max_window_bits",
            "permessage-nonsense",
        ],
    )
    async def test_13_offers_that_cannot_be_met_are_declined(self, strict: Process, offer: str) -> None:
        async with RawSocket.open(strict.url, Sec_WebSocket_Extensions=offer) as socket:
            assert b"sec-websocket-extensions" not in socket.head.lower()
            socket.write(frame(TEXT, echo("r")))
            await echoed(socket, "r")

    async def test_a_refusal_together_with_a_close(self, strict: Process) -> None:
        async with RawSocket.open(strict.url, Sec_WebSocket_Extensions="permessage-deflate") as socket:
            socket.write(pack(b'{"type":"authenticate"}') + close_frame())
            assert await socket.closed() == 1000


class TestCrowds:
    """Very many who do not say who they are."""

    @pytest.mark.parametrize("data", [b"", b"GET / HT", handshake()], ids=["silent", "half a call", "sockets"])
    async def test_the_longest_waiting_make_room(self, strict: Process, data: bytes) -> None:
        before = await metric(strict, "palabre_gateway_strangers_cut_off_total")
        async with AsyncExitStack() as stack:
            sockets = []
            for _ in range(MOST + 20):
                socket = await stack.enter_async_context(RawSocket.connect(strict.url))
                socket.write(data)
                sockets.append(socket)
            await works(strict)
            assert await metric(strict, "palabre_gateway_strangers_cut_off_total") >= before + 20
            for socket in sockets[:20]:
                await socket.ended()
        await works(strict)

    async def test_of_one_address(self, system: System, logs: Logs) -> None:
        async with (
            other_gateway(system, logs, MAX_UNAUTHENTICATED_PER_ADDRESS="3") as gateway,
            RawSocket.connect(gateway.url) as first,
            RawSocket.connect(gateway.url) as second,
        ):
            await works(gateway)  # takes two places more
            await first.ended()
            second.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in await second.ended()

    async def test_those_who_are_known_stay(self, strict: Process) -> None:
        async with Rest(strict.url) as rest:
            token = await rest.login("Known")
            async with ChatClient.connect(strict.ws, token) as client, AsyncExitStack() as stack:
                for _ in range(2 * MOST):
                    await stack.enter_async_context(RawSocket.connect(strict.url))
                await client.ping()

    async def test_half_open_connections(self, system: System, logs: Logs) -> None:
        """More than the bound: it holds for descriptors and memory alike, and everybody else gets in."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        most = MANY // 2
        async with other_gateway(system, logs, MAX_UNAUTHENTICATED=str(most)) as gateway:
            await works(gateway)
            memory, open_files = resident(gateway), descriptors(gateway)
            async with AsyncExitStack() as stack:
                for _ in range(MANY):
                    socket = await stack.enter_async_context(RawSocket.connect(gateway.url))
                    socket.write(b"GET / HTTP/1.1\r\n")
                assert descriptors(gateway) <= open_files + most + 10
                assert resident(gateway) - memory < 20 + most / 30
                await works(gateway)

    async def test_no_descriptors_are_left(self, system: System, logs: Logs) -> None:
        async with other_gateway(system, logs, MAX_UNAUTHENTICATED="0", AUTH_TIMEOUT="3") as gateway:
            await works(gateway)
            few = descriptors(gateway) + 40
            resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (few, few))
            async with AsyncExitStack() as stack:
                for _ in range(200):
                    await stack.enter_async_context(RawSocket.connect(gateway.url))
                await eventually(lambda: in_the_end(gateway), timeout=30)

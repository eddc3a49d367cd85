"""The WebSocket protocol as hostile peers speak it: RFC 6455's bad cases, named as the Autobahn test suite names them.

Autobahn expects an echo. Ours is the `pong` of a `ping`, which repeats its `requestId`; fields that are not known are
ignored, so a frame can have any length and any text.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.support.raw_socket import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawSocket, close_frame, frame, handshake
from tests.support.system import Process

pytestmark = pytest.mark.e2e

PROTOCOL_ERROR, NOT_UTF8, TOO_LARGE = 1002, 1007, 1009
MOST = 64 * 1024  # WS_MAX_FRAME


@pytest.fixture
async def socket(gateway: Process) -> AsyncIterator[RawSocket]:
    """An open one."""
    async with RawSocket.open(gateway.url) as socket:
        yield socket


def echo(request_id: str, size: int | None = None) -> bytes:
    """A text that is answered, of so many bytes."""
    body = json.dumps({"type": "ping", "requestId": request_id, "filler": ""}, ensure_ascii=False).encode()
    if size is None:
        return body
    return body[:-2] + b"x" * (size - len(body)) + body[-2:]


async def echoed(socket: RawSocket, request_id: str) -> None:
    """The answer is the next frame."""
    opcode, payload, rsv = await socket.frame()
    answer = json.loads(payload)
    assert (opcode, rsv, answer["type"], answer["requestId"]) == (TEXT, 0, "pong", request_id)


async def still_works(socket: RawSocket) -> None:
    """It is open, and nothing else is said on it."""
    socket.write(frame(TEXT, echo("after")))
    await echoed(socket, "after")


def pieces(data: bytes, size: int) -> list[bytes]:
    """The data in pieces of this size."""
    return [data[start : start + size] for start in range(0, len(data), size)] or [b""]


def fragments(parts: list[bytes], opcode: int = TEXT) -> list[bytes]:
    """One message in these fragments."""
    last = len(parts) - 1
    return [frame(CONT if n else opcode, part, fin=n == last) for n, part in enumerate(parts)]


async def chopped(socket: RawSocket, data: bytes, size: int = 1) -> None:
    """Bytes that arrive a few at a time, as far as the server reads them."""
    with suppress(ConnectionError):
        for piece in pieces(data, size):
            socket.write(piece)
            await socket.writer.drain()
            await asyncio.sleep(0)


class TestFraming:
    """1.*: texts of every kind of length."""

    @pytest.mark.parametrize("size", [125, 126, 127, 128, 65535, MOST], ids="{0}".format)
    async def test_1_1_texts(self, socket: RawSocket, size: int) -> None:
        socket.write(frame(TEXT, echo("r", size)))
        await echoed(socket, "r")

    async def test_1_1_1_an_empty_text_is_answered(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT))
        assert json.loads((await socket.frame()).payload)["code"] == "INVALID_FRAME"
        await still_works(socket)

    async def test_1_1_8_a_text_in_chops(self, socket: RawSocket) -> None:
        await chopped(socket, frame(TEXT, echo("r", MOST)), 997)
        await echoed(socket, "r")

    @pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, MOST], ids="{0}".format)
    async def test_1_2_binary_is_refused(self, socket: RawSocket, size: int) -> None:
        socket.write(frame(BINARY, b"\xfe" * size))
        assert json.loads((await socket.frame()).payload)["code"] == "INVALID_FRAME"
        await still_works(socket)

    @pytest.mark.parametrize(
        "length",
        [
            b"\x7f" + struct.pack("!Q", MOST + 1),
            b"\x7f" + struct.pack("!Q", 2**40),
            b"\x7f" + struct.pack("!Q", 2**63),
            b"\x7f" + b"\xff" * 8,
        ],
        ids=["one too many", "a terabyte", "most significant bit", "all bits"],
    )
    async def test_a_length_beyond_the_bound_closes_before_anything_is_read(
        self, socket: RawSocket, length: bytes
    ) -> None:
        socket.write(frame(TEXT, b"", length=length))
        assert await socket.closed() in (TOO_LARGE, PROTOCOL_ERROR)

    async def test_who_sends_far_too_much_can_still_read_why(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT, b"x" * 2**20), frame(TEXT, b"x" * 2**20))
        assert await socket.closed() == TOO_LARGE

    async def test_a_frame_that_is_not_masked_is_an_error(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT, echo("r"), mask=False))
        assert await socket.closed() == PROTOCOL_ERROR


class TestPings:
    """2.*: pings and pongs."""

    @pytest.mark.parametrize(
        "payload", [b"", b"Hello", bytes(range(0xF0, 0x100)), b"\xfe" * 125], ids=["2.1", "2.2", "2.3", "2.4"]
    )
    async def test_2_pings_are_answered(self, socket: RawSocket, payload: bytes) -> None:
        socket.write(frame(PING, payload))
        assert await socket.frame() == (PONG, payload, 0)

    async def test_2_5_a_ping_that_is_too_long(self, socket: RawSocket) -> None:
        socket.write(frame(PING, b"\xfe" * 126))
        assert await socket.closed() == PROTOCOL_ERROR

    async def test_2_6_a_ping_in_chops(self, socket: RawSocket) -> None:
        await chopped(socket, frame(PING, b"\xfe" * 125))
        assert await socket.frame() == (PONG, b"\xfe" * 125, 0)

    @pytest.mark.parametrize("payload", [b"", b"unsolicited"], ids=["2.7", "2.8"])
    async def test_2_unsolicited_pongs_are_ignored(self, socket: RawSocket, payload: bytes) -> None:
        socket.write(frame(PONG, payload), frame(PING, b"2.9"))
        assert await socket.frame() == (PONG, b"2.9", 0)

    @pytest.mark.parametrize("size", [1, 1000], ids=["2.11 chopped", "2.10"])
    async def test_2_ten_pings(self, socket: RawSocket, size: int) -> None:
        await chopped(socket, b"".join(frame(PING, b"%d" % number) for number in range(10)), size)
        assert [(await socket.frame()).payload for _ in range(10)] == [b"%d" % number for number in range(10)]

    @pytest.mark.parametrize("opcode", [PING, PONG], ids=["pings", "pongs"])
    async def test_a_flood_of_control_frames_is_closed(self, socket: RawSocket, opcode: int) -> None:
        await still_works(socket)
        socket.write(frame(opcode) * 1001)
        assert await socket.closed() == 4502


class TestReserved:
    """3.*, 4.*: bits and opcodes without a meaning."""

    @pytest.mark.parametrize(
        ("before", "bad"),
        [
            (b"", frame(TEXT, echo("r"), rsv=1)),
            (frame(TEXT, echo("r")), frame(TEXT, echo("s"), rsv=2)),
            (frame(TEXT, echo("r")), frame(TEXT, echo("s"), rsv=3)),
            (frame(TEXT, echo("r")), frame(TEXT, echo("s"), rsv=4)),
            (b"", frame(BINARY, b"x", rsv=5)),
            (b"", frame(PING, b"x", rsv=6)),
            (b"", frame(CLOSE, struct.pack("!H", 1000), rsv=7)),
        ],
        ids=[f"3.{number}" for number in range(1, 8)],
    )
    @pytest.mark.parametrize("size", [1, 10_000], ids=["chopped", "at once"])
    async def test_3_reserved_bits(self, socket: RawSocket, before: bytes, bad: bytes, size: int) -> None:
        await chopped(socket, before + bad + frame(PING), size)
        frames = await socket.frames()
        assert [f.code for f in frames if f.opcode == CLOSE] == [PROTOCOL_ERROR]
        assert PONG not in [f.opcode for f in frames]

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15], ids="{0}".format)
    @pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "filled"])
    async def test_4_reserved_opcodes(self, socket: RawSocket, opcode: int, payload: bytes) -> None:
        socket.write(frame(opcode, payload), frame(PING))
        assert await socket.closed() == PROTOCOL_ERROR


class TestFragmentation:
    """5.*: messages in pieces."""

    @pytest.mark.parametrize("opcode", [PING, PONG, CLOSE], ids=["5.1", "5.2", "close"])
    async def test_5_control_frames_have_no_fragments(self, socket: RawSocket, opcode: int) -> None:
        socket.write(frame(opcode, b"", fin=False), frame(CONT, b""))
        assert await socket.closed() == PROTOCOL_ERROR

    @pytest.mark.parametrize("parts", [2, 5, 100], ids="{0}".format)
    @pytest.mark.parametrize("size", [1, 100_000], ids=["5.5 chopped", "5.3"])
    async def test_5_3_text_in_fragments(self, socket: RawSocket, parts: int, size: int) -> None:
        body = echo("r", 200)
        await chopped(socket, b"".join(fragments(pieces(body, -(-len(body) // parts)))), size)
        await echoed(socket, "r")

    @pytest.mark.parametrize("parts", [2, 5], ids=["5.6", "5.19"])
    async def test_5_pings_between_fragments(self, socket: RawSocket, parts: int) -> None:
        body = echo("r", 100)
        sent = fragments(pieces(body, -(-len(body) // parts)))
        socket.write(frame(PING, b"p").join(sent))
        for _ in range(parts - 1):
            assert await socket.frame() == (PONG, b"p", 0)
        await echoed(socket, "r")

    @pytest.mark.parametrize("fin", [True, False], ids=["5.9", "5.12"])
    async def test_5_a_continuation_of_nothing(self, socket: RawSocket, fin: bool) -> None:
        socket.write(frame(CONT, b"x", fin=fin), frame(TEXT, echo("r")))
        assert await socket.closed() == PROTOCOL_ERROR

    async def test_5_15_a_continuation_after_the_end(self, socket: RawSocket) -> None:
        body = echo("r")
        socket.write(*fragments([body[:5], body[5:]]))
        await echoed(socket, "r")
        socket.write(frame(CONT, b"x", fin=False), frame(TEXT, echo("s")))
        assert await socket.closed() == PROTOCOL_ERROR

    async def test_5_18_a_message_within_a_message(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT, b"{", fin=False), frame(TEXT, echo("r")))
        assert await socket.closed() == PROTOCOL_ERROR

    async def test_fragments_of_a_binary_message(self, socket: RawSocket) -> None:
        socket.write(*fragments([b"\xff", b"\xfe", b""], BINARY))
        assert json.loads((await socket.frame()).payload)["code"] == "INVALID_FRAME"
        await still_works(socket)


VALID = {
    "6.2.1": "Hello-µ@ßöäüàá-UTF-8!!",
    "6.5": "κόσμε",
    "6.7": "\x7f߿\uffff\U0010ffff",
    "6.9": "\ud7ff\ue000�",
    "6.11": "￾\U0001fffe\U0001ffff\U0010fffe",
}
INVALID = {
    "6.3": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    "6.4": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
    "6.8 five bytes": b"\xf8\x88\x80\x80\x80",
    "6.8 six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "6.10 above the last": b"\xf7\xbf\xbf\xbf",
    "6.12 continuations": b"\x80\xbf",
    "6.13 lone starts": b"\xc0 \xc1 \xdf ",
    "6.14 cut short": b"\xe0\x80",
    "6.16 impossible": b"\xfe\xff",
    "6.17 overlong": b"\xc0\xaf",
    "6.18 overlong maximum": b"\xe0\x9f\xbf",
    "6.19 overlong NUL": b"\xf0\x80\x80\x80",
    "6.20 surrogate": b"\xed\xa0\x80",
    "6.21 surrogates": b"\xed\xaf\xbf\xed\xbf\xbf",
}


class TestText:
    """6.*: text is UTF-8, wherever it is cut."""

    @pytest.mark.parametrize("parts", [3, 4], ids=["6.1.2", "6.1.3"])
    async def test_6_1_empty_fragments(self, socket: RawSocket, parts: int) -> None:
        socket.write(*fragments([b"", echo("r") if parts == 4 else b"", b"", b""][:parts]))
        answer = json.loads((await socket.frame()).payload)
        assert answer["type"] == ("pong" if parts == 4 else "error")

    @pytest.mark.parametrize("text", VALID.values(), ids=VALID)
    @pytest.mark.parametrize("size", [1, 2, 3, 1000], ids="in {0}".format)
    async def test_6_2_text_in_any_pieces(self, socket: RawSocket, text: str, size: int) -> None:
        socket.write(*fragments(pieces(echo(text), size)))
        await echoed(socket, text)

    @pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
    @pytest.mark.parametrize("size", [1, 1000], ids="in {0}".format)
    async def test_6_3_what_is_no_text(self, socket: RawSocket, text: bytes, size: int) -> None:
        socket.write(*fragments(pieces(b'"' + text + b'"', size)))
        assert await socket.closed() == NOT_UTF8

    @pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
    async def test_6_4_no_end_is_awaited(self, socket: RawSocket, text: bytes) -> None:
        socket.write(frame(TEXT, b'"' + text + b'"', fin=False))
        assert await socket.closed() == NOT_UTF8

    async def test_6_4_a_message_that_ends_in_the_middle(self, socket: RawSocket) -> None:
        socket.write(*fragments([b'"\xce', b""]))
        assert await socket.closed() == NOT_UTF8


class TestClosing:
    """7.*: the end of a connection."""

    async def test_7_1_1_after_a_message(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT, echo("r")))
        await echoed(socket, "r")
        socket.write(close_frame(1000))
        assert await socket.closed() == 1000

    @pytest.mark.parametrize(
        "then",
        [close_frame(1000), frame(PING), frame(TEXT, echo("r")), frame(CONT, b"x"), frame(7)],
        ids=["7.1.2", "7.1.3", "7.1.4", "continuation", "nonsense"],
    )
    async def test_7_1_nothing_follows_a_close(self, socket: RawSocket, then: bytes) -> None:
        socket.write(close_frame(1000), then)
        assert [(f.opcode, f.code) for f in await socket.frames()] == [(CLOSE, 1000)]

    async def test_7_1_5_within_a_message(self, socket: RawSocket) -> None:
        socket.write(frame(TEXT, b"x", fin=False), close_frame(1000), frame(CONT, b"x"))
        assert await socket.closed() == PROTOCOL_ERROR

    @pytest.mark.parametrize(
        "last_words",
        [
            frame(TEXT, b'{"type":"authenticate"}'),
            frame(TEXT, b"nonsense") * 60,
            frame(TEXT, b'"\xff"'),
            b"".join(fragments([b"\xff", b""])),
            frame(PING, b"x") * 1001,
            frame(TEXT, echo("r", 60_000)) * 3,
        ],
        ids=["refused", "refused too often", "no text", "no text in pieces", "flood", "large"],
    )
    async def test_what_would_close_together_with_a_close(self, socket: RawSocket, last_words: bytes) -> None:
        """Both ends want to close, in one moment."""
        socket.write(last_words + close_frame(1000))
        assert await socket.closed() in (1000, 4500, 4502, NOT_UTF8)

    async def test_7_3_1_without_a_code(self, socket: RawSocket) -> None:
        socket.write(close_frame(None))
        assert [(f.opcode, f.payload) for f in await socket.frames()] == [(CLOSE, b"")]

    async def test_7_3_2_half_a_code(self, socket: RawSocket) -> None:
        socket.write(frame(CLOSE, b"\x03"))
        assert await socket.closed() == PROTOCOL_ERROR

    @pytest.mark.parametrize("size", [0, 5, 123], ids=["7.3.3", "7.3.4", "7.3.5"])
    async def test_7_3_a_reason(self, socket: RawSocket, size: int) -> None:
        socket.write(close_frame(1000, b"*" * size))
        assert await socket.closed() == 1000

    async def test_7_3_6_a_reason_that_is_too_long(self, socket: RawSocket) -> None:
        socket.write(close_frame(1000, b"*" * 124))
        assert await socket.closed() == PROTOCOL_ERROR

    async def test_7_5_1_a_reason_that_is_no_text(self, socket: RawSocket) -> None:
        socket.write(close_frame(1000, INVALID["6.3"]))
        assert await socket.closed() == NOT_UTF8

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
    async def test_7_7_codes(self, socket: RawSocket, code: int) -> None:
        socket.write(close_frame(code))
        assert await socket.closed() == code

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
    async def test_7_9_codes_without_a_meaning(self, socket: RawSocket, code: int) -> None:
        socket.write(close_frame(code))
        assert await socket.closed() == PROTOCOL_ERROR


class TestLimits:
    """9.*: as much as is allowed, in any pieces, and not more."""

    @pytest.mark.parametrize("size", [64, 256, 1024, 4096, 16384, MOST], ids="{0}".format)
    async def test_9_3_the_largest_message_in_fragments(self, socket: RawSocket, size: int) -> None:
        socket.write(*fragments(pieces(echo("r", MOST), size)))
        await echoed(socket, "r")

    @pytest.mark.parametrize("size", [64, 256, 1024], ids="{0}".format)
    async def test_9_5_the_largest_message_in_chops(self, socket: RawSocket, size: int) -> None:
        await chopped(socket, frame(TEXT, echo("r", MOST)), size)
        await echoed(socket, "r")

    @pytest.mark.parametrize("size", [1024, MOST // 2 + 1, MOST], ids="{0}".format)
    async def test_the_bound_is_one_of_the_message(self, socket: RawSocket, size: int) -> None:
        socket.write(*fragments(pieces(b"x" * (MOST + 1), size)))
        assert await socket.closed() == TOO_LARGE

    @pytest.mark.parametrize("payload", [b"", b"x"], ids=["of nothing", "of a byte"])
    async def test_endless_fragments(self, socket: RawSocket, payload: bytes) -> None:
        socket.write(frame(TEXT, payload, fin=False), *[frame(CONT, payload, fin=False)] * 1024)
        assert await socket.closed() == TOO_LARGE

    async def test_9_7_many_messages(self, socket: RawSocket) -> None:
        for number in range(50):
            socket.write(frame(TEXT, echo(f"r{number}", 1000)))
            await echoed(socket, f"r{number}")


class TestHandshake:
    """What a gateway reads before there is a socket."""

    @pytest.mark.parametrize(
        "request_bytes",
        [
            handshake("/ws/chat?" + "x" * 9000),
            handshake(X_Long="x" * 9000),
            handshake(**{f"X_{number}": "x" for number in range(200)}),
            handshake().replace(b"GET ", b"POST "),
            handshake(X_Strange="\x80\xff"),
            handshake(Content_Length="5") + b"hello",
        ],
        ids=["long path", "long header", "many headers", "another method", "bytes in a header", "body"],
    )
    async def test_a_strange_one_is_answered_or_ended(self, gateway: Process, request_bytes: bytes) -> None:
        async with RawSocket.connect(gateway.url) as socket:
            socket.write(request_bytes)
            async with asyncio.timeout(5):
                answer = await socket.reader.read(12)
            assert answer in (b"", b"HTTP/1.1 101", *[b"HTTP/1.1 %d" % code for code in (400, 405, 414, 431)])
            if not answer.endswith(b"101"):
                await socket.ended()

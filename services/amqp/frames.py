"""AMQP 0-9-1 as bytes, for the methods that travel a thousand times a second. No I/O.

Publishing and acknowledging are written here, and a delivery is read here, each in a few microseconds; pamqp does all
the rest, which is rare. Source: https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, sections 2.3 and 4.2.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8  # types of frames
END = 0xCE
OVERHEAD = 8  # bytes around a payload
FRAME_BYTES = 131072  # of the largest frame, unless the broker wants smaller ones
PROTOCOL = b"AMQP\x00\x00\x09\x01"

# Class and method ids of what is read here.
CLOSE_CHANNEL, CLOSE_CHANNEL_OK = (20, 40), (20, 41)
CANCEL, RETURN, DELIVER, ACK, NACK = (60, 30), (60, 50), (60, 60), (60, 80), (60, 120)

_FRAME = struct.Struct(">BHI")  # type, channel, size
_IDS = struct.Struct(">HH")
_CONTENT = struct.Struct(">HHQH")  # class, weight, body size, flags of the properties that follow
_SIZE = struct.Struct(">Q")
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 0x8000, 0x2000, 0x1000, 0x0080


class Malformed(ValueError):
    """The peer does not speak AMQP 0-9-1."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish. Strings that AMQP calls short have at most 255 bytes."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    message_id: str | None = None
    persistent: bool = True
    mandatory: bool = False


class Frame(NamedTuple):
    """One frame that arrived."""

    kind: int
    channel: int
    payload: bytes

    @property
    def ids(self) -> tuple[int, int]:
        """Class and method, of a method frame."""
        return _IDS.unpack_from(self.payload)

    @property
    def body_size(self) -> int:
        """Bytes of the body that follows, of a header frame."""
        return int(_SIZE.unpack_from(self.payload, 4)[0])


class Splitter:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now.

        Raises:
            Malformed: this is no frame.
        """
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= OVERHEAD:
            kind, channel, length = _FRAME.unpack_from(data, at)
            if length > FRAME_BYTES:
                raise Malformed("a frame is larger than was agreed on")
            end = at + 7 + length
            if end >= size:
                break
            if data[end] != END:
                raise Malformed("a frame does not end where it should")
            yield Frame(kind, channel, data[at + 7 : end])
            at = end + 1
        self._rest = data[at:]


def publish(channel: int, message: Outgoing, frame_max: int) -> bytes:
    """`basic.publish` with its header and body, cut into frames of at most `frame_max` bytes.

    Raises:
        ValueError: a short string is too long.
    """
    method = b"\x00\x3c\x00\x28\x00\x00%b%b%c" % (
        _short(message.exchange),
        _short(message.routing_key),
        message.mandatory,
    )
    header = _properties(message)
    parts = [
        _FRAME.pack(METHOD, channel, len(method)),
        method,
        b"\xce",
        _FRAME.pack(HEADER, channel, len(header)),
        header,
        b"\xce",
    ]
    body, most = message.body, frame_max - OVERHEAD
    for start in range(0, len(body), most):
        part = body[start : start + most]
        parts += (_FRAME.pack(BODY, channel, len(part)), part, b"\xce")
    return b"".join(parts)


def ack(channel: int, tag: int, *, multiple: bool = True) -> bytes:
    """`basic.ack` of everything up to this delivery, or of this one alone."""
    return b"%b\x00\x3c\x00\x50%b%c\xce" % (_FRAME.pack(METHOD, channel, 13), _SIZE.pack(tag), multiple)


def heartbeat() -> bytes:
    """A sign of life."""
    return b"%b\xce" % _FRAME.pack(HEARTBEAT, 0, 0)


def read_delivery(payload: bytes) -> tuple[int, bool, str]:
    """Delivery tag, whether it was delivered before, and routing key of a `basic.deliver`."""
    at = 5 + payload[4]  # behind the consumer's tag: a channel has one consumer
    tag = int(_SIZE.unpack_from(payload, at)[0])
    redelivered = bool(payload[at + 8])
    at += 9
    at += 1 + payload[at]  # behind the exchange
    return tag, redelivered, payload[at + 1 : at + 1 + payload[at]].decode()


def read_confirm(payload: bytes) -> tuple[int, bool]:
    """Tag of a `basic.ack` or `basic.nack`, and whether it stands for all before it too."""
    return int(_SIZE.unpack_from(payload, 4)[0]), bool(payload[12] & 1)


def _properties(message: Outgoing) -> bytes:
    flags = _CONTENT_TYPE | _DELIVERY_MODE
    properties = _short(message.content_type)
    if message.headers:
        flags |= _HEADERS
        table = b"".join(_short(name) + b"S" + _long(value) for name, value in message.headers.items())
        properties += struct.pack(">I", len(table)) + table
    properties += b"\x02" if message.persistent else b"\x01"
    if message.message_id is not None:
        flags |= _MESSAGE_ID
        properties += _short(message.message_id)
    return _CONTENT.pack(60, 0, len(message.body), flags) + properties


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"{text[:40]}… is longer than the 255 bytes of a short string")
    return b"%c%b" % (len(data), data)


def _long(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">I", len(data)) + data

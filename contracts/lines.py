"""Several values in one AMQP message, one a line: compact JSON has no line break."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def pack(lines: Iterable[bytes]) -> bytes:
    """The body of one AMQP message."""
    return b"\n".join(lines)


def pack_all(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The bodies of as few AMQP messages as hold them all, of at most so many bytes unless a single line has more."""
    return map(pack, portions(lines, most, len))


def portions(values: Iterable[T], most: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """What goes into each of those bodies, by the bytes of each value there."""
    part: list[T] = []
    size = 0
    for value in values:
        bytes_more = size_of(value)
        if part and size + bytes_more >= most:
            yield part
            part, size = [], 0
        part.append(value)
        size += bytes_more + 1
    if part:
        yield part


def unpack(body: bytes) -> list[bytes]:
    """Its lines, each to be decoded by itself, so that a bad one does not spoil the others."""
    return [line for line in body.split(b"\n") if line]

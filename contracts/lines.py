"""Several values in one AMQP message, one a line: compact JSON has no line break."""

from collections.abc import Iterable, Iterator


def pack(lines: Iterable[bytes]) -> bytes:
    """The body of one AMQP message."""
    return b"\n".join(lines)


def pack_all(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The bodies of as few AMQP messages as hold them all, of at most so many bytes unless a single line has more."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) >= most:
            yield pack(part)
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield pack(part)


def unpack(body: bytes) -> list[bytes]:
    """Its lines, each to be decoded by itself, so that a bad one does not spoil the others."""
    return [line for line in body.split(b"\n") if line]

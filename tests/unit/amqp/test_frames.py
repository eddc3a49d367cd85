"""What we write pamqp reads, and what pamqp writes we read."""

from itertools import pairwise

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from services.amqp import frames
from services.amqp.frames import Frame, Malformed, Outgoing, Splitter

FRAME_MAX = 4096
short = st.text(max_size=60)  # at most 240 bytes
tags = st.integers(1, 2**63 - 1)  # pamqp's are signed
outgoing = st.builds(
    Outgoing,
    exchange=st.from_regex(r"[a-z0-9.]{0,127}", fullmatch=True),  # what pamqp lets through
    routing_key=short,
    body=st.binary(max_size=3 * FRAME_MAX),
    content_type=short,
    headers=st.dictionaries(short, st.text(max_size=300), max_size=5),
    message_id=st.none() | short,
    persistent=st.booleans(),
    mandatory=st.booleans(),
)


def unmarshal(data: bytes) -> list[tuple[int, object]]:
    """All frames of these bytes as pamqp reads them, with their channels."""
    found: list[tuple[int, object]] = []
    while data:
        size, channel, frame = pamqp.frame.unmarshal(data)
        found.append((channel, frame))
        data = data[size:]
    return found


def published(message: Outgoing) -> tuple[commands.Basic.Publish, ContentHeader, list[bytes]]:
    """`basic.publish`, its header, and the parts of its body."""
    found = unmarshal(frames.publish(7, message, FRAME_MAX))
    assert {channel for channel, _ in found} == {7}
    (_, method), (_, header), *bodies = found
    assert isinstance(method, commands.Basic.Publish)
    assert isinstance(header, ContentHeader)
    return method, header, [body.value for _, body in bodies if isinstance(body, ContentBody)]


def payload(method: pamqp.base.Frame) -> bytes:
    """The payload of the frame that pamqp makes of a method."""
    (frame,) = Splitter().feed(pamqp.frame.marshal(method, 1))
    return frame.payload


# --------------------------------------------------------------------------------------------------- written


@given(outgoing)
def test_a_published_message_is_read_back_as_it_was(message: Outgoing) -> None:
    method, header, parts = published(message)
    assert (method.exchange, method.routing_key) == (message.exchange, message.routing_key)
    assert (method.mandatory, method.immediate) == (message.mandatory, False)
    properties = header.properties
    assert properties.content_type == message.content_type
    assert properties.headers == (message.headers or None)
    assert properties.message_id == message.message_id
    assert properties.delivery_mode == (2 if message.persistent else 1)
    assert header.body_size == len(message.body)
    assert b"".join(parts) == message.body


def test_a_message_is_persistent_json_unless_it_says_otherwise() -> None:
    method, header, _ = published(Outgoing("e", "k", b"{}"))
    assert (header.properties.content_type, header.properties.delivery_mode) == ("application/json", 2)
    assert not method.mandatory


def test_an_empty_body_has_no_frame() -> None:
    _, header, parts = published(Outgoing("e", "k", b""))
    assert (header.body_size, parts) == (0, [])


@pytest.mark.parametrize("size", [FRAME_MAX - 8, FRAME_MAX - 7, 2 * (FRAME_MAX - 8), 3 * FRAME_MAX])
def test_a_large_body_is_cut_into_the_largest_frames_allowed(size: int) -> None:
    _, _, parts = published(Outgoing("e", "k", b"x" * size))
    assert [len(part) + 8 for part in parts[:-1]] == [FRAME_MAX] * (len(parts) - 1)
    assert 0 < len(parts[-1]) + 8 <= FRAME_MAX
    assert sum(map(len, parts)) == size


def test_a_short_string_may_have_255_bytes_and_no_more() -> None:
    method, _, _ = published(Outgoing("e", "é" * 127 + "k", b""))
    assert len(method.routing_key.encode()) == 255
    with pytest.raises(ValueError, match="255"):
        frames.publish(1, Outgoing("e", "é" * 128, b""), FRAME_MAX)


@given(tags, st.booleans())
def test_an_acknowledgement_is_of_everything_up_to_its_delivery_or_of_one(tag: int, multiple: bool) -> None:
    ((channel, method),) = unmarshal(frames.ack(3, tag, multiple=multiple))
    assert isinstance(method, commands.Basic.Ack)
    assert (channel, method.delivery_tag, method.multiple) == (3, tag, multiple)


def test_a_heartbeat_is_one() -> None:
    ((channel, frame),) = unmarshal(frames.heartbeat())
    assert isinstance(frame, Heartbeat)
    assert channel == 0


# ------------------------------------------------------------------------------------------------------ read


@given(consumer=short, tag=tags, redelivered=st.booleans(), key=short)
def test_a_delivery_is_read(consumer: str, tag: int, redelivered: bool, key: str) -> None:
    deliver = commands.Basic.Deliver(consumer, tag, redelivered, "some.exchange", key)
    assert frames.read_delivery(payload(deliver)) == (tag, redelivered, key)


@given(tag=tags, multiple=st.booleans(), requeue=st.booleans())
def test_confirms_are_read(tag: int, multiple: bool, requeue: bool) -> None:
    assert frames.read_confirm(payload(commands.Basic.Ack(tag, multiple))) == (tag, multiple)
    assert frames.read_confirm(payload(commands.Basic.Nack(tag, multiple, requeue))) == (tag, multiple)


@pytest.mark.parametrize(
    ("method", "ids"),
    [
        (commands.Channel.Close(404, "gone", 0, 0), frames.CLOSE_CHANNEL),
        (commands.Channel.CloseOk(), frames.CLOSE_CHANNEL_OK),
        (commands.Basic.Cancel("c"), frames.CANCEL),
        (commands.Basic.Return(312, "NO_ROUTE", "e", "k"), frames.RETURN),
        (commands.Basic.Deliver("c", 1, False, "e", "k"), frames.DELIVER),
        (commands.Basic.Ack(1), frames.ACK),
        (commands.Basic.Nack(1), frames.NACK),
    ],
)
def test_methods_are_told_apart_by_their_ids(method: pamqp.base.Frame, ids: tuple[int, int]) -> None:
    (frame,) = Splitter().feed(pamqp.frame.marshal(method, 1))
    assert (frame.kind, frame.ids) == (frames.METHOD, ids)


def test_a_header_tells_the_size_of_the_body() -> None:
    header = ContentHeader(body_size=2**40, properties=commands.Basic.Properties(content_type="a/b"))
    (frame,) = Splitter().feed(pamqp.frame.marshal(header, 5))
    assert (frame.kind, frame.channel, frame.body_size) == (frames.HEADER, 5, 2**40)


# ----------------------------------------------------------------------------------------------------- split

WIRE = frames.heartbeat() + frames.publish(1, Outgoing("e", "k", b"\xce" * 300), 128) + frames.ack(2, 9)
WHOLE = list(Splitter().feed(WIRE))


def test_frames_are_cut_where_they_end() -> None:
    assert [frame.kind for frame in WHOLE] == [frames.HEARTBEAT, frames.METHOD, frames.HEADER, *[frames.BODY] * 3, 1]
    assert WHOLE[0] == Frame(frames.HEARTBEAT, 0, b"")
    assert b"".join(frame.payload for frame in WHOLE if frame.kind == frames.BODY) == b"\xce" * 300


def test_one_byte_at_a_time_gives_the_same_frames_each_with_its_last_byte() -> None:
    splitter = Splitter()
    ends = []
    found: list[Frame] = []
    for number, byte in enumerate(WIRE, start=1):
        for frame in splitter.feed(bytes([byte])):
            found.append(frame)
            ends.append(number)
    assert found == WHOLE
    assert ends == [sum(len(frame.payload) + 8 for frame in WHOLE[: n + 1]) for n in range(len(WHOLE))]


@given(st.lists(st.integers(0, len(WIRE)), max_size=20))
def test_any_cuts_give_the_same_frames(cuts: list[int]) -> None:
    splitter = Splitter()
    pieces = [WIRE[start:end] for start, end in pairwise([0, *sorted(cuts), len(WIRE)])]
    assert [frame for piece in pieces for frame in splitter.feed(piece)] == WHOLE


def test_what_does_not_end_as_a_frame_is_malformed() -> None:
    broken = frames.ack(1, 1)[:-1] + b"\x00"
    arriving = Splitter().feed(frames.heartbeat() + broken)
    assert next(arriving) == WHOLE[0]
    with pytest.raises(Malformed):
        next(arriving)


def test_a_frame_that_announces_too_much_is_not_waited_for() -> None:
    with pytest.raises(Malformed):
        list(Splitter().feed(b"\x03\x00\x01\x7f\xff\xff\xff" + b"x"))

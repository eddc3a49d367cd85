"""What a channel makes of the frames that arrive, and what an inbox makes of deliveries, without a broker."""

import asyncio
from collections.abc import Sequence

import pamqp.base
import pamqp.frame
import pytest
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from services.amqp import BrokerAway, Channel, Delivery, Inbox, Outgoing, Unroutable
from services.amqp.connection import Connection

ANSWERS: dict[str, pamqp.base.Frame] = {
    "Channel.Open": commands.Channel.OpenOk(),
    "Confirm.Select": commands.Confirm.SelectOk(),
    "Channel.Close": commands.Channel.CloseOk(),
}


class Wire(asyncio.Transport):
    """The broker's end: keeps what was written, and answers each request that needs it."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection(0)
        self.connection.connection_made(self)
        self.written: list[pamqp.frame.FrameTypes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        data = bytes(data)
        while data:
            size, channel, frame = pamqp.frame.unmarshal(data)
            data = data[size:]
            self.written.append(frame)
            answer = ANSWERS.get(frame.name)
            if answer is not None:
                self.say(channel, answer)

    def abort(self) -> None:
        self.aborted = True

    def say(self, channel: int, *said: pamqp.base.Frame | ContentHeader | ContentBody) -> None:
        """These frames arrive, all at once."""
        self.connection.data_received(b"".join(pamqp.frame.marshal(frame, channel) for frame in said))

    async def channel(self, confirms: bool = True) -> Channel:
        """An open channel."""
        channel = await self.connection.channel(confirms=confirms)
        self.written.clear()
        return channel


@pytest.fixture
async def wire() -> Wire:
    return Wire()


def ack(tag: int, multiple: bool = False) -> commands.Basic.Ack:
    return commands.Basic.Ack(tag, multiple)


def content(body: bytes, *sizes: int) -> list[ContentHeader | ContentBody]:
    """A header and a body, cut into parts of these sizes."""
    parts = []
    for size in sizes or ([len(body)] if body else []):
        parts.append(ContentBody(body[:size]))
        body = body[size:]
    assert not body
    return [ContentHeader(body_size=sum(map(len, parts)), properties=commands.Basic.Properties()), *parts]


async def publishing(channel: Channel, *counts: int) -> list[asyncio.Task[None]]:
    """Batches of so many messages, under way."""
    message = Outgoing("e", "k", b"x", mandatory=True)
    tasks = [asyncio.create_task(channel.publish([message] * count)) for count in counts]
    await asyncio.sleep(0)
    return tasks


async def finished(tasks: Sequence[asyncio.Task[None]]) -> list[bool]:
    """Which of them are over."""
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


# -------------------------------------------------------------------------------------------------- confirms


async def test_a_batch_is_confirmed_with_its_last_message(wire: Wire) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 2, 1)
    wire.say(1, ack(1))
    assert await finished(tasks) == [False, False]
    wire.say(1, ack(2))
    assert await finished(tasks) == [True, False]
    wire.say(1, ack(3))
    assert await finished(tasks) == [True, True]
    await asyncio.gather(*tasks)


async def test_one_confirm_may_stand_for_all_before_it(wire: Wire) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 2, 2, 2)
    wire.say(1, ack(4, multiple=True))
    assert await finished(tasks) == [True, True, False]
    wire.say(1, ack(6, multiple=True))
    await asyncio.gather(*tasks)


async def test_confirms_out_of_order_wait_for_those_before_them(wire: Wire) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 2, 1)
    wire.say(1, ack(3), ack(2))
    assert await finished(tasks) == [False, False]
    wire.say(1, ack(1))
    await asyncio.gather(*tasks)
    # Single and multiple ones mixed, the multiple one below what is confirmed already.
    tasks = await publishing(channel, 3)
    wire.say(1, ack(6), ack(4, multiple=True), ack(2, multiple=True))
    assert await finished(tasks) == [False]
    wire.say(1, ack(5))
    await asyncio.gather(*tasks)


async def test_a_message_that_the_broker_refuses_fails_what_is_under_way_and_nothing_later(wire: Wire) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 2)
    wire.say(1, commands.Basic.Nack(2, True))
    with pytest.raises(BrokerAway):
        await tasks[0]
    (later,) = await publishing(channel, 1)
    wire.say(1, ack(3))
    await later


async def test_a_returned_message_fails_what_is_under_way_and_ends_the_channel(wire: Wire) -> None:
    channel = await wire.channel()
    lost: list[str] = []
    delivered: list[bytes] = []
    channel.on_lost = lost.append
    channel.on_delivery = lambda tag, again, key, body: delivered.append(body)
    tasks = await publishing(channel, 1, 1)
    # The broker confirms it all the same, after it was returned.
    wire.say(1, commands.Basic.Return(312, "NO_ROUTE", "e", "k"), *content(b"x"), ack(1), ack(2))
    for task in tasks:
        with pytest.raises(Unroutable):
            await task
    assert (len(lost), delivered, channel.is_open) == (1, [], False)
    with pytest.raises(BrokerAway):
        await channel.publish([Outgoing("e", "k", b"")])
    assert wire.connection.is_open


@pytest.mark.parametrize("goodbye", ["channel closed", "connection closed", "socket lost", "aborted"])
async def test_whatever_is_lost_everyone_who_waits_is_told(wire: Wire, goodbye: str) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 1, 2)
    asking = asyncio.create_task(channel.call(commands.Basic.Qos(prefetch_count=1)))
    await asyncio.sleep(0)
    match goodbye:
        case "channel closed":
            wire.say(1, commands.Channel.Close(404, goodbye, 0, 0))
        case "connection closed":
            wire.say(0, commands.Connection.Close(320, goodbye, 0, 0))
        case "socket lost":
            wire.connection.connection_lost(OSError(goodbye))
        case "aborted":
            wire.connection.abort(goodbye)
    for waiting in (*tasks, asking):
        with pytest.raises(BrokerAway, match=goodbye):
            await waiting
    with pytest.raises(BrokerAway, match=goodbye):
        await channel.publish([Outgoing("e", "k", b"")])
    with pytest.raises(BrokerAway, match=goodbye):
        await channel.call(commands.Basic.Qos(prefetch_count=1))


async def test_a_publish_that_waits_for_room_learns_that_the_connection_is_lost(wire: Wire) -> None:
    channel = await wire.channel()
    wire.connection.pause_writing()
    tasks = await publishing(channel, 1)
    assert await finished(tasks) == [False]
    assert wire.written == []
    wire.connection.connection_lost(None)
    with pytest.raises(BrokerAway):
        await tasks[0]


async def test_a_publish_that_was_given_up_does_not_disturb_the_next(wire: Wire) -> None:
    channel = await wire.channel()
    given_up, other = await publishing(channel, 1, 1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    wire.say(1, ack(1), ack(2))
    await other


async def test_a_message_that_cannot_be_written_does_not_count(wire: Wire) -> None:
    channel = await wire.channel()
    with pytest.raises(ValueError, match="255"):
        await channel.publish([Outgoing("e", "k", b""), Outgoing("e", "k" * 256, b"")])
    assert wire.written == []
    tasks = await publishing(channel, 1)
    wire.say(1, ack(1))
    await asyncio.gather(*tasks)


# --------------------------------------------------------------------------------------- channels, deliveries


async def test_a_channel_that_the_broker_closed_is_told_to_its_owner_and_its_number_used_again(wire: Wire) -> None:
    channel = await wire.channel()
    lost: list[str] = []
    channel.on_lost = lost.append
    wire.say(1, commands.Channel.Close(406, "PRECONDITION_FAILED", 0, 0))
    assert lost == ["406 PRECONDITION_FAILED"]
    assert [frame.name for frame in wire.written] == ["Channel.CloseOk"]
    assert (await wire.channel()).number == channel.number


async def test_a_consumer_that_the_broker_cancelled_is_lost(wire: Wire) -> None:
    channel = await wire.channel(confirms=False)
    lost: list[str] = []
    channel.on_lost = lost.append
    wire.say(1, commands.Basic.Cancel("c"))
    assert (len(lost), channel.is_open) == (1, False)


async def test_a_channel_that_we_close_is_not_lost(wire: Wire) -> None:
    channel = await wire.channel()
    lost: list[str] = []
    channel.on_lost = lost.append
    await channel.close()
    assert (lost, channel.is_open) == ([], False)


async def test_channels_do_not_hear_of_each_other(wire: Wire) -> None:
    one, other = await wire.channel(), await wire.channel()
    (first,), (second,) = await publishing(one, 1), await publishing(other, 1)
    wire.say(other.number, ack(1))
    assert await finished([first, second]) == [False, True]
    wire.say(one.number, commands.Channel.Close(404, "gone", 0, 0))
    with pytest.raises(BrokerAway):
        await first
    assert other.is_open


async def test_there_are_no_channels_on_a_connection_that_has_ended(wire: Wire) -> None:
    wire.connection.abort("gone")
    with pytest.raises(BrokerAway, match="gone"):
        async with asyncio.timeout(1):
            await wire.connection.channel()


@pytest.mark.parametrize("sizes", [(5,), (1, 1, 3), (4, 1)])
async def test_a_delivery_is_told_when_its_last_part_is_there(wire: Wire, sizes: Sequence[int]) -> None:
    channel = await wire.channel(confirms=False)
    told: list[tuple[int, bool, str, bytes]] = []
    channel.on_delivery = lambda *delivered: told.append(delivered)
    for frame in (commands.Basic.Deliver("c", 8, True, "e", "key"), *content(b"hello", *sizes)):
        assert told == []
        wire.say(1, frame)
    assert told == [(8, True, "key", b"hello")]


async def test_an_empty_delivery_is_told_too(wire: Wire) -> None:
    channel = await wire.channel(confirms=False)
    told: list[bytes] = []
    channel.on_delivery = lambda tag, again, key, body: told.append(body)
    wire.say(1, commands.Basic.Deliver("c", 1, False, "e", ""), *content(b""))
    assert told == [b""]


async def test_what_is_no_amqp_ends_the_connection(wire: Wire) -> None:
    channel = await wire.channel()
    tasks = await publishing(channel, 1)
    wire.connection.data_received(b"\x01\x00\x01\x00\x00\x00\x01not the end of a frame")
    assert wire.aborted
    with pytest.raises(BrokerAway, match="not understood"):
        await tasks[0]


# ------------------------------------------------------------------------------------------------------ inbox


def delivery(channel: Channel, tag: int) -> Delivery:
    return Delivery(channel, tag, b"%d" % tag, "key")


def acknowledged(wire: Wire) -> list[tuple[int, bool]]:
    return [(frame.delivery_tag, frame.multiple) for frame in wire.written if isinstance(frame, commands.Basic.Ack)]


async def test_deliveries_are_taken_in_their_order_and_never_more_than_asked_for(wire: Wire) -> None:
    inbox, one, other = Inbox(), await wire.channel(), await wire.channel()
    arrived = [delivery(one, 1), delivery(other, 1), delivery(one, 2), delivery(other, 2)]
    for item in arrived:
        inbox.put(item)
    assert await inbox.take(3) == arrived[:3]
    assert await inbox.take(3) == arrived[3:]


async def test_taking_waits_for_the_first_and_not_for_more(wire: Wire) -> None:
    inbox, channel = Inbox(), await wire.channel()
    taking = asyncio.create_task(inbox.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put(delivery(channel, 1))
    assert await taking == [delivery(channel, 1)]


async def test_what_came_over_a_channel_that_ends_is_forgotten(wire: Wire) -> None:
    inbox, one, other = Inbox(), await wire.channel(), await wire.channel()
    for item in (delivery(one, 1), delivery(other, 1), delivery(one, 2)):
        inbox.put(item)
    inbox.forget(one)
    assert await inbox.take(10) == [delivery(other, 1)]
    inbox.put(delivery(other, 2))
    inbox.forget(other)
    taking = asyncio.create_task(inbox.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put(delivery(one, 3))
    assert await taking == [delivery(one, 3)]


async def test_a_batch_is_acknowledged_once_for_each_channel(wire: Wire) -> None:
    one, other = await wire.channel(), await wire.channel()
    Inbox.ack([delivery(one, 1), delivery(other, 7), delivery(one, 2)])
    assert sorted(acknowledged(wire)) == [(2, True), (7, True)]


async def test_one_is_acknowledged_and_those_before_it_are_not(wire: Wire) -> None:
    channel = await wire.channel()
    Inbox.ack_one(delivery(channel, 2))
    assert acknowledged(wire) == [(2, False)]


async def test_nothing_is_acknowledged_on_a_channel_that_has_ended(wire: Wire) -> None:
    one, other = await wire.channel(), await wire.channel()
    batch = [delivery(one, 1), delivery(other, 1)]
    await one.close()
    assert [item.live for item in batch] == [False, True]
    wire.written.clear()
    Inbox.ack(batch)
    assert acknowledged(wire) == [(1, True)]

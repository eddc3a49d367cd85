"""What is carried out is acknowledged when what is done behind it is done, whatever else of its channel waits."""

import asyncio
from collections.abc import Iterable

import pytest

from services.amqp import Channel, Delivery, Inbox
from services.persister.unacknowledged import Behind, Unacknowledged


class Acknowledging(Inbox):
    """Notes what it is to acknowledge: all up to a delivery, or one alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[int] = []
        self.alone: list[int] = []

    def ack(self, batch: Iterable[Delivery]) -> None:  # type: ignore[override]
        """In place of its parent's."""
        self.tags += [delivery.tag for delivery in batch]

    def ack_one(self, delivery: Delivery) -> None:  # type: ignore[override]
        """In place of its parent's."""
        self.alone.append(delivery.tag)


def deliveries(channel: Channel, *tags: int) -> list[Delivery]:
    return [Delivery(channel, tag, b"", "") for tag in tags]


def behind() -> Behind:
    return asyncio.get_running_loop().create_future()


def channel() -> Channel:
    return Channel(None, 1)  # type: ignore[arg-type]  # which is never asked


async def test_what_is_done_does_not_wait_for_what_is_not() -> None:
    inbox, here, note, chore = Acknowledging(), channel(), behind(), behind()
    unacknowledged = Unacknowledged(inbox)
    unacknowledged.add(deliveries(here, 1), None)
    assert inbox.tags == [1]
    unacknowledged.add(deliveries(here, 2), chore)
    unacknowledged.add(deliveries(here, 3, 4), note)
    unacknowledged.add(deliveries(here, 5), None)
    assert (inbox.tags, inbox.alone) == ([1], [5]), "up to it would be the chore too"
    note.set_result(None)
    await asyncio.sleep(0)
    assert (inbox.tags, inbox.alone) == ([1], [5, 3, 4])
    chore.set_result(None)
    await unacknowledged.none_left()
    assert (inbox.tags, inbox.alone) == ([1, 2], [5, 3, 4])


async def test_each_channel_waits_by_itself() -> None:
    inbox, here, there, note, chore = Acknowledging(), channel(), channel(), behind(), behind()
    unacknowledged = Unacknowledged(inbox)
    unacknowledged.add(deliveries(here, 1), chore)
    unacknowledged.add([*deliveries(here, 2), *deliveries(there, 11, 12)], note)
    note.set_result(None)
    await asyncio.sleep(0)
    assert (inbox.tags, inbox.alone) == ([11, 12], [2])
    unacknowledged.add(deliveries(there, 13), None)
    assert (inbox.tags, inbox.alone) == ([11, 12, 13], [2])


async def test_many_for_which_one_thing_is_done() -> None:
    inbox, here, note = Acknowledging(), channel(), behind()
    unacknowledged = Unacknowledged(inbox)
    for tag in range(1, 4):
        unacknowledged.add(deliveries(here, tag), note)
    note.set_result(None)
    await asyncio.sleep(0)
    assert (inbox.tags, inbox.alone) == ([1, 2, 3], [])


async def test_whoever_gives_up_waiting_acknowledges_nothing() -> None:
    inbox, chore = Acknowledging(), behind()
    unacknowledged = Unacknowledged(inbox)
    unacknowledged.add(deliveries(channel(), 1), chore)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await unacknowledged.none_left()
    await asyncio.sleep(0)
    assert (inbox.tags, chore.done()) == ([], False)
    chore.set_result(None)  # by whoever does it
    await unacknowledged.none_left()
    assert inbox.tags == [1]


async def test_what_was_given_up_is_not_done() -> None:
    inbox, chore = Acknowledging(), behind()
    unacknowledged = Unacknowledged(inbox)
    unacknowledged.add(deliveries(channel(), 1), chore)
    chore.cancel()
    await asyncio.sleep(0)
    assert (inbox.tags, unacknowledged.most) == ([], 1)


async def test_the_most_of_one_channel() -> None:
    here, there, first, second = channel(), channel(), behind(), behind()
    unacknowledged = Unacknowledged(Acknowledging())
    assert unacknowledged.most == 0
    unacknowledged.add(deliveries(here, 1, 2), first)
    unacknowledged.add([*deliveries(here, 3), *deliveries(there, 1)], second)
    assert unacknowledged.most == 3
    first.set_result(None)
    await asyncio.sleep(0)
    assert unacknowledged.most == 1
    second.set_result(None)
    await asyncio.sleep(0)
    assert unacknowledged.most == 0

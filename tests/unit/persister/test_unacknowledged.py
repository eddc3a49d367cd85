"""What is carried out is acknowledged in order, as soon as all before it is done."""

import asyncio
from collections.abc import Iterable

from services.amqp import Channel, Delivery, Inbox
from services.persister.unacknowledged import Behind, Unacknowledged


class Acknowledging(Inbox):
    """Notes what it is to acknowledge."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[int] = []

    def ack(self, batch: Iterable[Delivery]) -> None:  # type: ignore[override]
        """In place of its parent's."""
        self.tags += [delivery.tag for delivery in batch]


def deliveries(channel: Channel, *tags: int) -> list[Delivery]:
    return [Delivery(channel, tag, b"", "") for tag in tags]


def behind() -> Behind:
    return asyncio.get_running_loop().create_future()


def channel() -> Channel:
    return Channel(None, 1)  # type: ignore[arg-type]  # which is never asked


async def test_in_order_whatever_is_done_first() -> None:
    inbox, here, note, chore = Acknowledging(), channel(), behind(), behind()
    unacknowledged = Unacknowledged(inbox)
    unacknowledged.add(deliveries(here, 1), None)
    assert inbox.tags == [1]
    unacknowledged.add(deliveries(here, 2), chore)
    unacknowledged.add(deliveries(here, 3, 4), note)
    unacknowledged.add(deliveries(here, 5), None)
    note.set_result(None)
    await asyncio.sleep(0)
    assert inbox.tags == [1]
    chore.set_result(None)
    await unacknowledged.none_left()
    assert inbox.tags == [1, 2, 3, 4, 5]


async def test_many_for_which_one_thing_is_done() -> None:
    inbox, here, note = Acknowledging(), channel(), behind()
    unacknowledged = Unacknowledged(inbox)
    for tag in range(1, 4):
        unacknowledged.add(deliveries(here, tag), note)
    note.set_result(None)
    await asyncio.sleep(0)
    assert inbox.tags == [1, 2, 3]


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

"""What messages change beside themselves is noted behind them, and no command is acknowledged before."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection

from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_message, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Instead
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration


async def lasts(database: Database, conversation: str) -> tuple[int, int]:
    """The conversation's newest message as it is noted, and what Alice has read."""
    noted = await database.conversations.find_one({"_id": conversation})
    mine = await database.memberships.find_one({"conversationId": conversation, "userId": "alice"})
    assert noted is not None
    assert mine is not None
    return noted["lastSeq"], mine["lastReadSeq"]


async def test_a_command_is_acknowledged_when_its_activity_is_noted(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    released = asyncio.Event()

    async def slow(collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        await released.wait()
        return await collection.bulk_write(*args, **kwargs)

    async with Persister(settings, database, instead={"memberships.bulk_write": slow}) as persister:
        for number in range(3):
            await tap.publish(make_message(conversation, f"m{number}"))
            await eventually(lambda expected=number: len(tap.messages_of(conversation)) > expected)  # type: ignore[misc]
        assert persister.inbox.acked == 0, "all are stored and told; the first note is not written"
        released.set()
        await persister.acknowledged(3)
        assert await lasts(database, conversation) == (3, 3)


async def test_a_busy_conversation_is_noted_once_for_many_batches(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    written: Counter[str] = Counter()
    released = asyncio.Event()

    async def counted(collection: AsyncIOMotorCollection[Any], writes: list[Any], **kwargs: Any) -> Any:
        written[collection.name] += len(writes)
        await released.wait()
        return await collection.bulk_write(writes, **kwargs)

    instead: dict[str, Instead] = {"memberships.bulk_write": counted, "conversations.bulk_write": counted}
    async with Persister(settings, database, instead=instead) as persister:
        for number in range(20):
            await tap.publish(make_message(conversation, f"m{number}"))
            await eventually(lambda expected=number: len(tap.messages_of(conversation)) > expected)  # type: ignore[misc]
        released.set()
        await persister.acknowledged(20)
        assert written == {"conversations": 2, "memberships": 2}, "the first message's, and all others'"
        assert await lasts(database, conversation) == (20, 20)


async def test_whoever_steps_back_has_acknowledged_everything(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database)
    async with Persister(settings, database) as first, Persister(settings, database) as second:
        await tap.publish(make_message(conversation, "m0"))
        await eventually(lambda: len(tap.messages_of(conversation)) == 1)
        await first.step_back()
        await tap.publish(make_message(conversation, "m1"))
        await second.acknowledged(1)
        await tap.caught_up()
    assert tap.messages_of(conversation) == [(1, "m0"), (2, "m1")], "nothing is told twice"

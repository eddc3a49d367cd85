"""What nobody waits for holds up no message, and is acknowledged only once it is done."""

import asyncio
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection

from contracts.commands import PurgeConversation
from contracts.shape import now
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, store_conversation
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
HELD = 0.2  # seconds in which whoever does not wait would be done


class Held:
    """A call that has begun, and goes on when it may."""

    def __init__(self) -> None:
        self.begun, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        """In place of `delete_many`."""
        self.begun.set()
        await self.released.wait()
        return await collection.delete_many(*args, **kwargs)


@pytest.fixture
async def deleted(database: Database) -> str:
    """A deleted conversation with messages that are still there."""
    conversation = await store_conversation(database, deletedAt=now())
    await database.messages.insert_many([{"conversationId": conversation, "seq": seq} for seq in (1, 2, 3)])
    return conversation


async def test_messages_do_not_wait_for_it(settings: Settings, database: Database, tap: Tap, deleted: str) -> None:
    conversation, erasing = await store_conversation(database), Held()
    async with Persister(settings, database, instead={"messages.delete_many": erasing}) as persister:
        await tap.publish(make_command(PurgeConversation, conversation_id=deleted))
        await erasing.begun.wait()
        for number in range(3):
            await tap.publish(make_message(conversation, f"m{number}"))
        await persister.acknowledged(3)
        await tap.caught_up()
        assert len(tap.messages_of(conversation)) == 3
        erasing.released.set()
        await persister.acknowledged(4 + 1)  # it comes back once, and finds nothing more
    assert await database.messages.count_documents({"conversationId": deleted}) == 0


async def test_nor_for_the_room_that_it_takes(settings: Settings, database: Database, tap: Tap, deleted: str) -> None:
    """The broker sends no more than may be unacknowledged."""
    conversation, erasing = await store_conversation(database), Held()
    few = settings.model_copy(update={"prefetch": 2})
    async with Persister(few, database, instead={"messages.delete_many": erasing}) as persister:
        await tap.publish(make_command(PurgeConversation, conversation_id=deleted))
        await erasing.begun.wait()
        for number in range(5):
            await tap.publish(make_message(conversation, f"m{number}"))
        await persister.acknowledged(5)
        erasing.released.set()
        await persister.acknowledged(7)


async def test_who_has_no_time_to_finish_it_leaves_it_to_the_next(
    settings: Settings, database: Database, tap: Tap, deleted: str
) -> None:
    erasing = Held()
    async with Persister(settings, database, instead={"messages.delete_many": erasing}) as persister:
        await tap.publish(make_command(PurgeConversation, conversation_id=deleted))
        await erasing.begun.wait()
        finishing = asyncio.create_task(persister.consumer.finish())
        await asyncio.wait({finishing}, timeout=HELD)
        finishing.cancel()
        await asyncio.wait({finishing})
        assert persister.inbox.acked == 0
    async with Persister(settings, database) as following:
        await following.acknowledged(2)
    assert await database.messages.count_documents({"conversationId": deleted}) == 0


async def test_whoever_steps_back_has_done_what_was_begun(
    settings: Settings, database: Database, tap: Tap, deleted: str
) -> None:
    erasing = Held()
    async with Persister(settings, database, instead={"messages.delete_many": erasing}) as persister:
        await tap.publish(make_command(PurgeConversation, conversation_id=deleted))
        await erasing.begun.wait()
        stepping = asyncio.create_task(persister.step_back())
        await asyncio.wait({stepping}, timeout=HELD)
        assert not stepping.done()
        erasing.released.set()
        await stepping
        assert persister.inbox.acked == 1


async def test_a_death_in_it_leaves_it_to_the_next(
    settings: Settings, database: Database, tap: Tap, deleted: str
) -> None:
    conversation, erasing = await store_conversation(database), Held()
    async with Persister(settings, database, instead={"messages.delete_many": erasing}) as dying:
        await tap.publish(make_command(PurgeConversation, conversation_id=deleted))
        await erasing.begun.wait()
        await tap.publish(make_message(conversation, "meanwhile"))
        await dying.acknowledged(1)
        await dying.heard()
    async with Persister(settings, database) as following:
        await following.acknowledged(2)
    assert await database.messages.count_documents({"conversationId": deleted}) == 0
    await tap.caught_up()
    assert tap.messages_of(conversation) == [(1, "meanwhile")], "which was done, and did not come again"

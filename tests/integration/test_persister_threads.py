"""A reply quotes what it replies to, which counts its replies, each once, whatever dies or comes twice."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest

from contracts import fanout
from contracts.commands import SendMessage
from contracts.limits import PREVIEW_LENGTH
from services.mongo import Database, encode_message, to_message
from services.persister.messages import send_all
from services.persister.outcome import Outcome
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from services.persister.threads import count_replies, empty_previews
from tests.support.builders import make_message, new_id, store_conversation
from tests.support.faults import Fault, Kind, watched
from tests.support.persister import Persister, note
from tests.support.tap import Tap

pytestmark = pytest.mark.integration


async def send(database: Database, *commands: SendMessage) -> dict[str, Outcome]:
    """Store these, and note their activity."""
    outcomes = await send_all(database, Rooms(), commands)
    await note(database, outcomes.values())
    return outcomes


async def document_of(database: Database, message_id: str) -> dict[str, Any]:
    document = await database.messages.find_one({"_id": message_id})
    assert document is not None
    return document


async def replies_of(database: Database, message_id: str) -> Any:
    """`(count, lastSeq)` as a message tells, or None."""
    replies = to_message(await document_of(database, message_id)).replies
    return None if replies is None else (replies.count, replies.last_seq)


async def parent(database: Database, content: str = "hello", **fields: Any) -> tuple[str, str]:
    """A conversation whose first message this is; ids of both."""
    conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
    command = make_message(conversation, content, **fields)
    await send(database, command)
    return conversation, command.id


# ------------------------------------------------------------------------------------------------------- quotes


@pytest.mark.parametrize(
    ("content", "preview"),
    [("hello", "hello"), ("é" * 200, "é" * PREVIEW_LENGTH), ("", "")],
)
async def test_a_reply_quotes_the_beginning_of_what_it_replies_to(
    settings: Settings, database: Database, tap: Tap, content: str, preview: str
) -> None:
    conversation, first = await parent(database, content, actor="bob")
    async with Persister(settings, database) as persister:
        reply = make_message(conversation, "yes", reply_to=first, temp_id="t")
        await tap.publish(reply)
        await persister.acknowledged(1)
    await tap.caught_up()
    quote = {"messageId": first, "seq": 1, "senderId": "bob", "senderName": "Bob", "preview": preview}
    document = await document_of(database, reply.id)
    assert document["reply"] == quote
    ((item, data),) = tap.items
    assert isinstance(item, fanout.MessageCreated)
    assert item.reply_to == first
    assert data == to_message(document).encode() == encode_message(document)
    (event,) = tap.events
    assert (event["data"]["replyTo"], event["data"]["reply"]) == (first, quote)


async def test_nothing_is_shown_of_a_deleted_message(database: Database) -> None:
    conversation, first = await parent(database, "secret")
    replies = [make_message(conversation, f"r{n}", reply_to=first) for n in range(3)]
    other = make_message(conversation, "secret too")
    await send(database, *replies[:2], other)
    await send(database, make_message(conversation, "no", reply_to=other.id))
    await database.messages.update_one({"_id": replies[1].id}, {"$unset": {"reply": 1}})  # as replies were before
    await database.messages.update_one({"_id": first}, {"$set": {"content": "secret", "isDeleted": True}})
    for _ in range(2):  # a redelivery does it again
        await empty_previews(database, conversation, first)
    await send(database, replies[2])
    quotes = [to_message(await document_of(database, reply.id)).reply for reply in replies]
    assert [(q.preview, q.is_deleted) if q else None for q in quotes] == [("", True), None, ("", True)]
    (last,) = [d async for d in database.messages.find({"replyTo": other.id})]
    assert last["reply"]["preview"] == "secret too", "only its own replies"
    assert "isDeleted" not in last["reply"]


async def test_only_the_replies_of_its_own_conversation_are_emptied(database: Database) -> None:
    conversation, first = await parent(database)
    reply = make_message(conversation, "r", reply_to=first)
    await send(database, reply)
    await empty_previews(database, new_id(), first)
    assert (await document_of(database, reply.id))["reply"]["preview"] == "hello"


# ------------------------------------------------------------------------------------------------------- counts


async def test_replies_are_counted_up_to_the_last(database: Database) -> None:
    conversation, first = await parent(database)
    assert await replies_of(database, first) is None
    await send(database, make_message(conversation, "1", reply_to=first), make_message(conversation, "aside"))
    assert await replies_of(database, first) == (1, 2)
    nested = [make_message(conversation, str(n), reply_to=first) for n in range(3)]
    await send(database, *nested)
    assert await replies_of(database, first) == (4, 6)
    await send(database, make_message(conversation, "to a reply", reply_to=nested[0].id))
    assert await replies_of(database, first) == (4, 6)
    assert await replies_of(database, nested[0].id) == (1, 7)


async def test_counting_again_or_late_counts_nothing_twice(database: Database) -> None:
    conversation, first = await parent(database)
    batches = [[make_message(conversation, f"{n}.{m}", reply_to=first) for m in range(3)] for n in range(3)]
    outcomes = [await send_all(database, Rooms(), batch) for batch in batches]
    for told in (outcomes[2], outcomes[0], outcomes[1], outcomes[2]):  # those of a slow persister come last
        await note(database, told.values())
        assert await replies_of(database, first) == (9, 10)
    for batch in batches:
        await send(database, *batch)
    assert await replies_of(database, first) == (9, 10)


async def test_two_that_count_at_once_agree(database: Database) -> None:
    conversation, first = await parent(database)
    await send_all(database, Rooms(), [make_message(conversation, "r1", reply_to=first)])

    async def overtaken(collection: Any, writes: Sequence[Any], **kwargs: Any) -> Any:
        """Before this one writes, another has stored a reply and counted both."""
        await send(database, make_message(conversation, "r2", reply_to=first))
        return await collection.bulk_write(writes, **kwargs)

    slow = watched(database, Fault(), {"messages.bulk_write": overtaken})
    await count_replies(slow, [(conversation, first)])
    assert await replies_of(database, first) == (2, 3)


async def test_a_message_that_was_purged_counts_nothing(database: Database) -> None:
    conversation, first = await parent(database)
    reply = make_message(conversation, "r", reply_to=first)
    outcomes = await send_all(database, Rooms(), [reply])
    await database.messages.delete_one({"_id": first})
    await note(database, outcomes.values())
    assert await database.messages.find_one({"_id": first}) is None
    assert (await document_of(database, reply.id))["replyTo"] == first


# ---------------------------------------------------------------------------------------------- faults at each step


class Thread:
    """A stored message and two AMQP messages with three replies to it."""

    def __init__(self, conversation: str, first: str) -> None:
        self.conversation, self.first = conversation, first
        self.replies = [make_message(conversation, f"r{n}", reply_to=first, actor="bob") for n in range(3)]

    async def publish(self, tap: Tap) -> None:
        await tap.publish(*self.replies[:2], make_message(self.conversation, "aside"))
        await tap.publish(self.replies[2])

    async def check(self, database: Database, tap: Tap) -> None:
        found = [d async for d in database.messages.find({"conversationId": self.conversation}).sort("seq", 1)]
        assert [d["content"] for d in found] == ["hello", "r0", "r1", "aside", "r2"]
        assert [d.get("replyTo") for d in found] == [None, self.first, self.first, None, self.first]
        assert await replies_of(database, self.first) == (3, 5)
        told = {(e["data"]["seq"], e["data"]["reply"]["preview"]) for e in tap.events if "reply" in e.get("data", {})}
        assert told >= {(2, "hello"), (3, "hello"), (5, "hello")}


async def test_a_death_at_any_step_counts_every_reply_once(settings: Settings, database: Database, tap: Tap) -> None:
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            thread = Thread(*await parent(database))
            persister.fault.arm(at)
            before = persister.inbox.acked
            await thread.publish(tap)
            died = await persister.acknowledged_or_faulty(before + 2)
            await persister.kill()
            await tap.all_handled()
            async with following.consumer.at_rest():
                await thread.check(database, tap)
            if not died:
                assert at > 11, "counting takes steps, too"
                return


@pytest.mark.parametrize("kind", ["fails", "unheard"])
async def test_a_failure_of_any_step_counts_every_reply_once(
    settings: Settings, database: Database, tap: Tap, kind: Kind, no_pause: None
) -> None:
    async with Persister(settings, database, Fault(kind)) as persister:
        for at in count(1):
            thread = Thread(*await parent(database))
            persister.fault.arm(at)
            await thread.publish(tap)
            await persister.acknowledged(2 * at)
            await tap.caught_up()
            await thread.check(database, tap)
            if not persister.fault.happened:
                assert at > 11, "counting takes steps, too"
                return

"""Messages are stored once, numbered without holes and told, whatever dies, comes twice, or does not belong there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import orjson
import pamqp.frame
import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pamqp.commands import Basic
from pymongo.errors import WTimeoutError

from contracts import commands, fanout
from contracts.commands import AddMembers, RemoveMember, SendMessage, StoreProfile
from contracts.ids import partition_of
from contracts.message import Attachment
from contracts.shape import now
from services.amqp import Delivery
from services.mongo import Database, to_message
from services.persister import messages
from services.persister.away import is_away
from services.persister.messages import send_all
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import expired, make_command, make_message, new_id, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault, Kind
from tests.support.persister import Persister
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


async def stored(database: Database, conversation_id: str) -> list[dict[str, Any]]:
    """The messages of a conversation, in order; it is checked that there is no hole."""
    found = [d async for d in database.messages.find({"conversationId": conversation_id}).sort("seq", 1)]
    assert [document["seq"] for document in found] == list(range(1, len(found) + 1))
    return found


async def contents(database: Database, conversation_id: str) -> list[str]:
    return [document["content"] for document in await stored(database, conversation_id)]


async def refusal(tap: Tap, command: SendMessage) -> str | None:
    """The code of the one answer to a command."""
    await eventually(lambda: len(tap.replies_to(command)) == 1, poll=0.01)
    return tap.replies_to(command)[0].code


async def all_told(database: Database, tap: Tap, conversation_id: str) -> None:
    """Every stored message has its event and its item, and nothing else has."""
    await tap.caught_up()
    documents = await stored(database, conversation_id)
    numbers = [document["seq"] for document in documents]
    events = [event for event in tap.events if event["subject"] == conversation_id]
    assert sorted({event["id"] for event in events}) == sorted(f"{conversation_id}:{seq}" for seq in numbers)
    assert {(event["data"]["seq"], event["data"]["id"]) for event in events} == {
        (d["seq"], d["_id"]) for d in documents
    }
    items = {item.seq for item, _ in tap.items_of(conversation_id) if isinstance(item, fanout.MessageCreated)}
    assert sorted(items) == numbers


def hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every command is too late."""
    monkeypatch.setattr(messages, "now", lambda: now() + timedelta(hours=1))


# --------------------------------------------------------------------------------------------------- the good case


async def test_a_message_is_stored_told_and_answered_by_its_item(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    command = make_message(conversation, temp_id="t1")
    async with Persister(settings, database) as persister:
        await tap.publish(command)
        await persister.acknowledged(1)
    await tap.caught_up()
    (document,) = await stored(database, conversation)
    assert (document["_id"], document["senderId"], document["content"]) == (command.id, "alice", "hello")
    ((item, data),) = tap.items
    assert isinstance(item, fanout.MessageCreated)
    assert (item.message_id, item.gateway_id, item.temp_id, item.seq) == (command.id, "gateway-1", "t1", 1)
    assert data == to_message(document).encode()
    (event,) = tap.events
    assert event["id"] == f"{conversation}:1"
    assert "tempId" not in event["data"], "it is the sender's own business"
    assert tap.replies_to(command) == []
    noted = await database.conversations.find_one({"_id": conversation})
    mine = await database.memberships.find_one({"conversationId": conversation, "userId": "alice"})
    assert noted is not None
    assert mine is not None
    assert (noted["lastSeq"], noted["lastActivityAt"], mine["lastReadSeq"]) == (1, document["createdAt"], 1)


async def test_numbers_have_no_holes_over_batches_and_conversations(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversations = [await store_conversation(database) for _ in range(3)]
    sent = [make_message(conversations[number % 3], f"m{number}") for number in range(60)]
    async with Persister(settings.model_copy(update={"batch_size": 7}), database) as persister:
        for start in range(0, 60, 5):
            await tap.publish(*sent[start : start + 5])
        await persister.acknowledged(12)
    for number, conversation in enumerate(conversations):
        assert await contents(database, conversation) == [f"m{n}" for n in range(number, 60, 3)]
        await all_told(database, tap, conversation)
        assert [content for _, content in tap.messages_of(conversation)] == await contents(database, conversation)


async def test_an_attachment_is_told_and_read_as_it_was_sent(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database)
    sound = Attachment(
        name="a.ogg", url="https://files.test/a", type="audio/ogg", size=3 * 2**31, duration_ms=1, waveform=[0.0, 1]
    )
    async with Persister(settings, database) as persister:
        command = make_message(conversation, "", attachments=[sound])
        await tap.publish(command, command)  # the second is told from what was stored
        await persister.acknowledged(1)
    (document,) = await stored(database, conversation)
    assert to_message(document).attachments == [sound]
    await eventually(lambda: len(tap.items) == 2)
    assert tap.items[0][1] == tap.items[1][1]


# ------------------------------------------------------------------------------------------------ once, for ever


async def test_a_retry_is_answered_as_a_duplicate_whenever_it_comes(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    first = make_message(conversation, temp_id="t1")
    retries = [make_message(conversation, temp_id="t1") for _ in range(3)]
    async with Persister(settings, database) as persister:
        await tap.publish(first, retries[0])  # in the same batch
        await tap.publish(retries[1])  # in a later one
        await persister.acknowledged(2)
    async with Persister(settings, database) as another:
        await tap.publish(retries[2])
        await another.acknowledged(1)
    await all_told(database, tap, conversation)
    (document,) = await stored(database, conversation)
    for retry in retries:
        (reply,) = tap.replies_to(retry)
        assert (reply.code, reply.duplicate, reply.message_id, reply.seq) == (None, True, first.id, 1)
        assert reply.created_at == document["createdAt"]
    assert tap.messages_of(conversation) == [(1, "hello")]


@pytest.mark.parametrize(
    "other",
    [
        {"content": "other"},
        {"attachments": [Attachment(name="n", url="/u", type="t", size=1)]},
        {"content": "other", "reply_to": "another message"},
    ],
)
async def test_a_temp_id_used_for_something_else_is_a_conflict(
    settings: Settings, database: Database, tap: Tap, other: dict[str, Any]
) -> None:
    conversation = await store_conversation(database)
    again = [make_message(conversation, temp_id="t1", **other) for _ in range(2)]
    async with Persister(settings, database) as persister:
        await tap.publish(make_message(conversation, temp_id="t1"), again[0])
        await tap.publish(again[1])
        await persister.acknowledged(2)
    assert [await refusal(tap, command) for command in again] == ["TEMP_ID_CONFLICT"] * 2
    assert await contents(database, conversation) == ["hello"]


async def test_a_temp_id_belongs_to_one_sender_and_one_conversation(
    settings: Settings, database: Database, tap: Tap
) -> None:
    one, other = [await store_conversation(database, {"alice": "admin", "bob": "member"}) for _ in range(2)]
    async with Persister(settings, database) as persister:
        await tap.publish(
            make_message(one, "a", temp_id="t"),
            make_message(one, "b", temp_id="t", actor="bob"),
            make_message(other, "c", temp_id="t"),
            make_message(one, "d"),
            make_message(one, "d"),
        )
        await persister.acknowledged(1)
    assert await contents(database, one) == ["a", "b", "d", "d"]
    assert await contents(database, other) == ["c"]


# --------------------------------------------------------------------------------------------------- refusals


async def test_a_command_that_waited_too_long_is_refused_and_leaves_no_hole(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    late = expired(make_message(conversation, "late", temp_id="t"))
    async with Persister(settings, database) as persister:
        await tap.publish(make_message(conversation, "a"), late, make_message(conversation, "b"))
        await persister.acknowledged(1)
    assert await refusal(tap, late) == "TIMEOUT"
    assert await contents(database, conversation) == ["a", "b"]


async def test_a_command_that_was_stored_in_time_is_told_however_late_it_comes_again(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await store_conversation(database)
    command = make_message(conversation, temp_id="t")
    async with Persister(settings, database, Fault("dies", "messages.insert_many")) as dying:
        await tap.publish(command)
        assert await dying.acknowledged_or_faulty()
    await tap.caught_up()
    assert (len(await stored(database, conversation)), tap.events) == (1, [])
    hour_later(monkeypatch)
    async with Persister(settings, database) as persister:
        retry = make_message(conversation, temp_id="t")
        await tap.publish(retry)
        await persister.acknowledged(2)
    await all_told(database, tap, conversation)
    assert tap.replies_to(command) == []
    assert [reply.duplicate for reply in tap.replies_to(retry)] == [True]


class Lagging:
    """The database, in which a majority does not have these messages yet."""

    def __init__(self, database: Database, *lacking: str) -> None:
        self.lacking = lacking
        self._database = database

    def __getitem__(self, name: str) -> Any:
        return LaggingMessages(self._database[name], self) if name == "messages" else self._database[name]


class LaggingMessages:
    """Reads by a majority, unless other options are asked for."""

    def __init__(self, collection: AsyncIOMotorCollection[Any], database: Lagging) -> None:
        self._collection = collection
        self._database = database

    def find(self, query: dict[str, Any], *args: Any) -> Any:
        return self._collection.find({"$and": [query, {"_id": {"$nin": self._database.lacking}}]}, *args)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._collection, method)


async def test_what_a_majority_may_yet_store_is_not_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await store_conversation(database)
    command, retry = make_message(conversation, temp_id="t"), make_message(conversation, temp_id="t")
    await send_all(database, Rooms(), [command])
    lagging: Any = Lagging(database, command.id)
    for _ in range(2):
        for late in (command, retry):
            with pytest.raises(WTimeoutError) as raised:
                await send_all(lagging, Rooms(), [late])
            assert is_away(raised.value), "so it is tried again"
        hour_later(monkeypatch)
    lagging.lacking = ()
    outcomes = await send_all(lagging, Rooms(), [command, retry])
    assert [item.seq for item, _ in outcomes[command.id].items if isinstance(item, fanout.MessageCreated)] == [1]
    answer = outcomes[retry.id].reply
    assert answer is not None
    assert (answer.code, answer.duplicate) == (None, True)


async def test_only_members_write(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database)
    strangers = [make_message(conversation, actor="bob"), make_message(new_id())]
    async with Persister(settings, database) as persister:
        await tap.publish(*strangers, make_message(conversation))
        await persister.acknowledged(1)
    assert [await refusal(tap, command) for command in strangers] == ["NOT_A_MEMBER"] * 2
    assert await contents(database, conversation) == ["hello"]


async def test_what_was_remembered_for_longest_is_not_forgotten_while_it_is_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.persister.rooms.REMEMBERED", 4)
    old = [await store_conversation(database) for _ in range(4)]
    new = await store_conversation(database)
    rooms = Rooms()
    for conversation in old:
        await send_all(database, rooms, [make_message(conversation, "first")])
    await send_all(database, rooms, [make_message(conversation, "second") for conversation in (old[0], new)])
    assert await contents(database, old[0]) == ["first", "second"]
    assert await contents(database, new) == ["second"]
    await send_all(database, rooms, [make_message(old[1], "third")])
    assert await contents(database, old[1]) == ["first", "third"], "what was forgotten is read again"


async def test_membership_is_known_as_it_was_when_the_message_came(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    said = [make_message(conversation, f"m{number}", actor="bob") for number in range(3)]
    async with Persister(settings, database) as persister:
        await tap.publish(said[0])
        await tap.publish(make_command(AddMembers, conversation_id=conversation, member_ids=["bob"]))
        await tap.publish(said[1])
        await tap.publish(make_command(RemoveMember, conversation_id=conversation, member_id="bob"))
        await tap.publish(said[2])
        await persister.acknowledged(5)
    assert await contents(database, conversation) == ["m1"]
    assert [await refusal(tap, said[0]), await refusal(tap, said[2])] == ["NOT_A_MEMBER"] * 2


async def test_a_reply_names_a_message_of_its_conversation(settings: Settings, database: Database, tap: Tap) -> None:
    one, other = await store_conversation(database), await store_conversation(database)
    first = make_message(one, "first")
    wrong = [make_message(one, reply_to=new_id()), make_message(other, reply_to=first.id)]
    async with Persister(settings, database) as persister:
        await tap.publish(first)
        await persister.acknowledged(1)
        await tap.publish(make_message(one, "reply", reply_to=first.id), *wrong)
        await persister.acknowledged(2)
    assert [await refusal(tap, command) for command in wrong] == ["NOT_FOUND"] * 2
    assert [d.get("replyTo") for d in await stored(database, one)] == [None, first.id]
    assert await stored(database, other) == []


# ------------------------------------------------------------------------------------------- several persisters


async def test_whoever_takes_a_partition_over_goes_on_where_the_other_was(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    async with Persister(settings, database) as one, Persister(settings, database) as other:
        for turn in range(4):  # each has it twice, and must not trust what it remembers from the first time
            await tap.publish(make_message(conversation, f"m{turn}"))
            here, there = (one, other) if turn % 2 == 0 else (other, one)
            await here.acknowledged(turn // 2 + 1)
            await here.step_back()
            assert there.inbox.acked == (turn + 1) // 2
    assert await contents(database, conversation) == [f"m{turn}" for turn in range(4)]
    await all_told(database, tap, conversation)


async def test_who_has_a_partition_again_does_not_trust_what_it_knew_of_members(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
    said = [make_message(conversation, f"m{number}", actor="bob") for number in range(2)]
    async with Persister(settings, database) as one, Persister(settings, database) as other:
        await tap.publish(said[0])
        await one.acknowledged(1)
        await one.step_back()
        await tap.publish(make_command(RemoveMember, conversation_id=conversation, member_id="bob"))
        await other.acknowledged(1)
        await other.step_back()
        await tap.publish(said[1])
        await one.acknowledged(2)
    assert await refusal(tap, said[1]) == "NOT_A_MEMBER"
    assert await contents(database, conversation) == ["m0"]


async def test_who_is_given_something_again_does_not_trust_what_it_knew_of_members(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the broker gave its partition to somebody else for a while, over a channel that lasted."""
    conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
    said = [make_message(conversation, f"m{number}", actor="bob") for number in range(2)]
    async with Persister(settings, database) as persister:
        await tap.publish(said[0])
        await persister.acknowledged(1)
        await database.memberships.delete_one({"conversationId": conversation, "userId": "bob"})
        put = persister.inbox.put

        def give_back(delivery: Delivery) -> None:
            monkeypatch.setattr(persister.inbox, "put", put)
            nack = Basic.Nack(delivery.tag, multiple=False, requeue=True)
            delivery.channel._connection.write(pamqp.frame.marshal(nack, delivery.channel.number))

        monkeypatch.setattr(persister.inbox, "put", give_back)
        await tap.publish(said[1])
        assert await refusal(tap, said[1]) == "NOT_A_MEMBER"
    assert await contents(database, conversation) == ["m0"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda database, cid: database.memberships.delete_one({"conversationId": cid}), "NOT_A_MEMBER"),
        (
            lambda database, cid: database.conversations.update_one({"_id": cid}, {"$set": {"closedAt": now()}}),
            "FORBIDDEN",
        ),
    ],
    ids=["removed", "closed"],
)
async def test_what_is_remembered_is_read_again_after_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch, change: Callable[[Database, str], Awaitable[Any]], code: str
) -> None:
    conversation, rooms = await store_conversation(database), Rooms()

    async def send(content: str) -> str | None:
        command = make_message(conversation, content)
        reply = (await send_all(database, rooms, [command]))[command.id].reply
        return reply.code if reply else None

    assert await send("m0") is None
    await change(database, conversation)  # by somebody else, which cannot be known here
    assert await send("m1") is None
    monkeypatch.setattr("services.persister.rooms.TRUSTED", 1e-9)
    assert await send("m2") == code
    assert await contents(database, conversation) == ["m0", "m1"]


async def test_what_another_has_stored_is_told_though_what_is_known_is_doubted(database: Database) -> None:
    conversation = await store_conversation(database)
    gone, rooms = Rooms(), Rooms()
    for remembered in (gone, rooms):
        await send_all(database, remembered, [make_message(conversation)])
    rooms.mark_told([conversation])
    await send_all(database, gone, [make_message(conversation)])
    rooms.doubt(lambda _: True)
    command = make_message(conversation)
    outcome = (await send_all(database, rooms, [command]))[command.id]
    assert [event_id for _, event_id, _ in outcome.events] == [f"{conversation}:{seq}" for seq in (3, 4)]


async def test_two_that_write_the_same_conversation_at_once_leave_no_hole(database: Database) -> None:
    conversation = await store_conversation(database)
    rooms = [Rooms(), Rooms()]
    mine: tuple[list[SendMessage], list[SendMessage]] = ([], [])
    for turn in range(10):
        batches = [[make_message(conversation, f"{who}.{turn}.{n}") for n in range(5)] for who in range(2)]
        outcomes = await asyncio.gather(
            *(send_all(database, remembered, batch) for remembered, batch in zip(rooms, batches, strict=True))
        )
        for sent, batch, outcome in zip(mine, batches, outcomes, strict=True):
            sent += batch
            assert all(outcome[command.id].items for command in batch)
    found = await contents(database, conversation)
    for sent in mine:
        assert [content for content in found if content[0] == sent[0].content[0]] == [c.content for c in sent]
    assert len(found) == 100


async def test_two_that_have_the_same_commands_store_each_once(database: Database) -> None:
    conversation = await store_conversation(database)
    batch = [make_message(conversation, f"m{n}", temp_id=str(n) if n % 2 else None) for n in range(20)]
    one, other = await asyncio.gather(send_all(database, Rooms(), batch), send_all(database, Rooms(), batch))
    assert await contents(database, conversation) == [f"m{n}" for n in range(20)]
    for command in batch:
        assert one[command.id].items == other[command.id].items, "both tell the same"


@pytest.mark.parametrize("own_first", [False, True])
async def test_what_another_has_stored_and_did_not_live_to_tell_is_told_in_order(
    database: Database, own_first: bool
) -> None:
    conversation = await store_conversation(database)
    gone, rooms = Rooms(), Rooms()
    known = make_message(conversation, "m1")
    for remembered in (gone, rooms):
        await send_all(database, remembered, [known])
    if own_first:  # it comes in between two messages of one batch
        gone.advance({conversation: 2})
    await send_all(database, gone, [make_message(conversation, f"other{n}") for n in range(2)])
    batch = [make_message(conversation, f"mine{n}") for n in range(2)]
    batch.append(make_message(conversation, "no", actor="a stranger"))
    outcomes = await send_all(database, rooms, batch)
    told = [event for command in batch for event in outcomes[command.id].events]
    assert [event_id for _, event_id, _ in told] == [f"{conversation}:{seq}" for seq in (2, 3, 4, 5)]
    contents_told = [orjson.loads(body)["data"]["content"] for _, _, body in told]
    assert contents_told == (await contents(database, conversation))[1:]
    again = await send_all(database, rooms, batch)  # as when it could not be published
    assert [event for command in batch for event in again[command.id].events] == told
    rooms.mark_told([conversation])
    assert [len(outcome.events) for outcome in (await send_all(database, rooms, batch)).values()] == [1, 1, 0]


async def test_who_lost_its_partition_while_it_writes_is_fenced(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    reached, released = asyncio.Event(), asyncio.Event()

    async def slow(collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        reached.set()
        await released.wait()
        return await collection.insert_many(*args, **kwargs)

    stalled = Persister(settings, database, instead={"messages.insert_many": slow})
    async with stalled, Persister(settings, database) as other:  # in this order they stand in line
        await tap.publish(*(make_message(conversation, f"m{n}") for n in range(3)))
        await reached.wait()
        stalled.drop()
        await other.acknowledged(1)
        await tap.publish(make_message(conversation, "m3"))
        await other.acknowledged(2)
        released.set()
        async with stalled.consumer.at_rest():  # until it has found out
            assert stalled.inbox.acked == 0
        await tap.publish(make_message(conversation, "m4"))
        await other.acknowledged(3)
    assert await contents(database, conversation) == [f"m{n}" for n in range(5)]
    await all_told(database, tap, conversation)


async def in_another_partition(database: Database, conversation: str, partitions: int) -> str:
    """A conversation that is not in the partition of this one."""
    while True:
        other = new_id()
        if partition_of(other, partitions) != partition_of(conversation, partitions):
            return await store_conversation(database, conversation_id=other)


@pytest.mark.parametrize(
    ("meanwhile", "partitions"), [("nothing", 1), ("its members change", 1), ("another partition comes too", 2)]
)
async def test_what_one_stores_after_another_refused_it_is_told_though_it_dies(
    settings: Settings, database: Database, tap: Tap, meanwhile: str, partitions: int
) -> None:
    conversation = await store_conversation(database, {"alice": "admin", "bob": "member"})
    reached, released = asyncio.Event(), asyncio.Event()

    async def slow(collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        reached.set()
        await released.wait()
        return await collection.insert_many(*args, **kwargs)

    late = make_message(conversation, "late", actor="bob")
    fault = Fault("dies", at="messages.insert_many")
    stalled = Persister(settings, database, fault, instead={"messages.insert_many": slow})
    async with stalled, Persister(settings, database) as other:  # in this order they stand in line
        await tap.publish(late)
        await reached.wait()
        await database.memberships.delete_one({"conversationId": conversation, "userId": "bob"})
        stalled.drop()
        await other.acknowledged(1)
        assert await refusal(tap, late) == "NOT_A_MEMBER"
        released.set()
        await eventually(lambda: fault.happened, poll=0.01)
        # After either of them something that it knew is no longer trusted.
        if meanwhile == "its members change":
            await tap.publish(make_command(AddMembers, conversation_id=conversation, member_ids=["bob"]))
        elif meanwhile == "another partition comes too":
            await tap.publish(make_message(await in_another_partition(database, conversation, partitions)))
        await other.acknowledged(1 + (meanwhile != "nothing"))
        await tap.publish(make_message(conversation, "m0"))
        await other.acknowledged(2 + (meanwhile != "nothing"))
    await tap.caught_up()
    assert await contents(database, conversation) == ["late", "m0"]
    told = [event["id"] for event in tap.events if event["subject"] == conversation and "seq" in event["data"]]
    assert told == [f"{conversation}:{seq}" for seq in (1, 2)]


# ---------------------------------------------------------------------------------------------- faults at each step


@dataclass
class Talk:
    """Two AMQP messages with four good messages and one of a stranger."""

    conversation: str

    def __post_init__(self) -> None:
        self.good = [make_message(self.conversation, f"m{n}", temp_id=str(n) if n % 2 else None) for n in range(4)]
        self.stranger = make_message(self.conversation, "no", actor="bob")

    async def publish(self, tap: Tap) -> None:
        await tap.publish(*self.good[:2], self.stranger)
        await tap.publish(*self.good[2:])

    async def check(self, database: Database, tap: Tap) -> None:
        assert await contents(database, self.conversation) == ["m0", "m1", "m2", "m3"]
        await all_told(database, tap, self.conversation)
        assert {reply.code for reply in tap.replies_to(self.stranger)} == {"NOT_A_MEMBER"}
        assert not any(tap.replies_to(command) for command in self.good), "a redelivery is no retry"


async def test_a_death_at_any_step_loses_and_repeats_nothing(settings: Settings, database: Database, tap: Tap) -> None:
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            talk = Talk(await store_conversation(database))
            persister.fault.arm(at)
            before = persister.inbox.acked
            await talk.publish(tap)
            died = await persister.acknowledged_or_faulty(before + 2)
            await persister.kill()
            await tap.all_handled()
            await talk.check(database, tap)
            if not died:
                assert at > 8, "storing and telling take several steps"
                return


@pytest.mark.parametrize("kind", ["fails", "unheard"])
async def test_a_failure_of_any_step_loses_and_repeats_nothing(
    settings: Settings, database: Database, tap: Tap, kind: Kind, no_pause: None
) -> None:
    async with Persister(settings, database, Fault(kind)) as persister:
        for at in count(1):
            talk = Talk(await store_conversation(database))
            persister.fault.arm(at)
            await talk.publish(tap)
            await persister.acknowledged(2 * at)
            await talk.check(database, tap)
            if not persister.fault.happened:
                assert at > 8, "storing and telling take several steps"
                return


# ------------------------------------------------------------------------------------------------------- poison


async def test_a_line_that_is_no_command_is_set_aside_and_spoils_nothing(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database)
    good = [make_message(conversation, f"m{n}") for n in range(2)]
    bad = [b"{", b'{"type":"message.send"}', b'{"type":"never.heard.of.it"}', b"\xff\xfe"]
    lines = [good[0].encode(), *bad, good[1].encode()]
    async with Persister(settings, database) as persister:
        await tap.put(settings.topology.commands.name, "message.send.00", b"\n".join(lines))
        await persister.acknowledged(1)
    await tap.caught_up()
    assert await contents(database, conversation) == ["m0", "m1"]
    assert [letter.body for letter in tap.dead] == bad
    for letter in tap.dead:
        assert letter.routing_key == "message.send.00"
        assert letter.headers["x-reason"].startswith("undecodable: ")
        assert letter.headers["x-service"] == "persister"
        assert letter.headers["x-exchange"] == settings.topology.commands.name
        assert letter.headers["x-routing-key"] == "message.send.00"
        assert letter.headers["x-first-failed-at"] > "2000-"
    assert "conversationId" in tap.dead[1].headers["x-reason"], "the reason names what is missing"


async def test_a_message_that_always_fails_is_set_aside_and_its_sender_told(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.persister.consumer.ATTEMPTS", 2)
    conversation = await store_conversation(database)
    await database.command("collMod", "messages", validator={"content": {"$ne": "poison"}})
    poison = make_message(conversation, "poison")
    batch = [make_message(conversation, f"m{n}") for n in range(4)]
    async with Persister(settings, database) as persister:
        await tap.publish(*batch[:2], poison, *batch[2:])
        await tap.publish(make_message(conversation, "next"))
        await persister.acknowledged(2)
    assert await refusal(tap, poison) == "INTERNAL"
    assert await contents(database, conversation) == ["m0", "m1", "m2", "m3", "next"]
    await all_told(database, tap, conversation)
    (letter,) = tap.dead
    assert commands.decode(letter.body) == poison
    assert (letter.routing_key, letter.headers["x-reason"]) == ("message.send.00", "failed")


async def test_a_message_gets_five_chances(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database)
    tried: list[str] = []

    async def refuse_four_times(collection: AsyncIOMotorCollection[Any], documents: Any, **kwargs: Any) -> Any:
        tried.append(documents[0]["_id"])
        if len(tried) < 5:
            raise ValueError("made up")
        return await collection.insert_many(documents, **kwargs)

    async with Persister(settings, database, instead={"messages.insert_many": refuse_four_times}) as persister:
        command = make_message(conversation)
        await tap.publish(command)
        await persister.acknowledged(1)
    await all_told(database, tap, conversation)
    assert await contents(database, conversation) == ["hello"]
    assert (tried, tap.dead) == ([command.id] * 5, [])
    assert not persister.consumer._failures


async def test_a_profile_that_always_fails_does_not_spoil_those_it_came_with(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.persister.consumer.ATTEMPTS", 2)
    await database.command("collMod", "users", validator={"userName": {"$ne": "Poison"}})
    profiles = [make_command(StoreProfile, actor=user) for user in ("alice", "poison", "bob")]
    async with Persister(settings, database) as persister:
        await tap.publish(*profiles)
        await persister.acknowledged(1)
    await tap.caught_up()
    assert [[reply.code for reply in tap.replies_to(command)] for command in profiles] == [[None], ["INTERNAL"], [None]]
    assert sorted([d["_id"] async for d in database.users.find()]) == ["alice", "bob"]
    assert [commands.decode(letter.body) for letter in tap.dead] == [profiles[1]]


# --------------------------------------------------------------------------------------------------- away and back


async def flow(
    tap: Tap, conversation: str, persister: Persister, disturb: Callable[[], Awaitable[None]]
) -> Sequence[SendMessage]:
    """Messages, a disturbance in the middle, more messages, until all are acknowledged."""
    sent = [make_message(conversation, f"m{n}") for n in range(30)]
    for command in sent[:10]:
        await tap.publish(command)
    await persister.acknowledged(5)
    await disturb()
    for command in sent[10:]:
        await tap.publish(command)
    return sent


async def test_mongodb_goes_away_and_comes_back(
    settings: Settings, database: Database, distant_database: Database, tap: Tap, mongo_proxy: TcpProxy
) -> None:
    conversation = await store_conversation(database)
    async with Persister(settings, distant_database) as persister:
        sent = await flow(tap, conversation, persister, mongo_proxy.refuse)
        assert persister.inbox.acked < 30
        await mongo_proxy.heal()
        await eventually(lambda: persister.inbox.acked == 30, timeout=20)
    assert await contents(database, conversation) == [command.content for command in sent]
    await all_told(database, tap, conversation)
    assert tap.dead == []


async def test_rabbitmq_goes_away_and_comes_back(
    settings: Settings, database: Database, tap: Tap, amqp_proxy: TcpProxy
) -> None:
    conversation = await store_conversation(database)
    async with Persister(settings.model_copy(update={"amqp_url": amqp_proxy.url}), database) as persister:
        sent = await flow(tap, conversation, persister, amqp_proxy.refuse)
        await amqp_proxy.heal()
        await eventually(lambda: len(tap.messages_of(conversation)) >= 30, timeout=20)
        async with persister.consumer.at_rest():
            pass
    assert await contents(database, conversation) == [command.content for command in sent]
    await all_told(database, tap, conversation)

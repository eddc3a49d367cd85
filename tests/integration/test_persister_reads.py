"""Marks of what was read only rise, are told when they moved, and are told again when nobody may have heard."""

from itertools import count

import pytest

from contracts import fanout, limits
from contracts.commands import MarkRead, RemoveMember
from contracts.errors import ErrorCode
from contracts.ids import read_event_id
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import expired, make_command, make_message, store_conversation
from tests.support.faults import Fault, Kind
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
TWO = {"alice": "admin", "bob": "member"}


def mark(conversation: str, seq: int, actor: str = "bob") -> MarkRead:
    return make_command(MarkRead, conversation_id=conversation, seq=seq, actor=actor)


async def read(database: Database, conversation: str, user: str = "bob") -> int:
    membership = await database.memberships.find_one({"conversationId": conversation, "userId": user})
    assert membership is not None
    return int(membership["lastReadSeq"])


def told(tap: Tap, conversation: str) -> list[tuple[str, int]]:
    """Who was told of, in the order of the events; the items say the same."""
    items = [(item.user_id, item.seq) for item, _ in tap.items_of(conversation) if isinstance(item, fanout.ReadUpdated)]
    events = [event for event in tap.events if event["type"] == "chat.read.updated.v1"]
    facts = [(event["data"]["userId"], event["data"]["seq"]) for event in events]
    assert [event["id"] for event in events] == [f"{conversation}:{user}:{seq}" for user, seq in facts]
    assert set(facts) == set(items), "one may be told again without the other"
    return facts


async def test_a_mark_rises_and_stops_at_the_head(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, TWO)
    async with Persister(settings, database) as persister:
        await tap.publish(*(make_message(conversation, f"m{number}") for number in range(5)))
        await persister.acknowledged(1)
        for seq in (2, 1, 2, 999):
            await tap.publish(mark(conversation, seq))
            await tap.all_handled()
    assert await read(database, conversation) == 5
    assert await read(database, conversation, "alice") == 5, "who sends has read"
    assert told(tap, conversation) == [("bob", 2), ("bob", 5)], "what moves nothing is told to nobody"
    answers = [reply.seq for reply in tap.replies["gateway-1"] if reply.seq is not None]
    assert answers == [2, 2], "but whoever asked hears how far it is"


async def test_many_marks_are_one_write_and_one_item_each(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, TWO)
    fault = Fault()  # that never happens, and counts
    async with Persister(settings, database, fault) as persister:
        await tap.publish(*(make_message(conversation, f"m{number}") for number in range(9)))
        await persister.acknowledged(1)
        fault.steps.clear()
        await tap.publish(
            *(mark(conversation, seq) for seq in (3, 7, 5)), *(mark(conversation, seq, "alice") for seq in (1, 2))
        )
        await tap.all_handled()
    assert fault.steps.count("memberships.bulk_write") == 1
    assert told(tap, conversation) == [("bob", 7)]


async def test_only_members_and_only_in_time(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, TWO)
    late, stranger, nowhere = expired(mark(conversation, 1)), mark(conversation, 1, "eve"), mark("nowhere", 1)
    leave = make_command(RemoveMember, actor="bob", conversation_id=conversation, member_id="bob")
    gone = mark(conversation, 1)
    async with Persister(settings, database):
        await tap.publish(make_message(conversation))
        for command in (late, stranger, nowhere, leave, gone):
            await tap.publish(command)
        await tap.all_handled()
    codes = [tap.replies_to(command)[0].code for command in (late, stranger, nowhere, leave, gone)]
    refused = ErrorCode.NOT_A_MEMBER
    assert codes == [ErrorCode.TIMEOUT, refused, refused, None, refused]
    assert told(tap, conversation) == []


async def test_a_name_too_long_for_an_id_stops_nobody(settings: Settings, database: Database, tap: Tap) -> None:
    user = "𐀀" * limits.ID_LENGTH  # of four bytes each
    conversation = await store_conversation(database, {**TWO, user: "member"})
    async with Persister(settings, database) as persister:
        await tap.publish(make_message(conversation))
        await tap.publish(mark(conversation, 1, user))
        await tap.publish(mark(conversation, 1))
        await persister.acknowledged(3)
        await tap.all_handled()
    marks = [event for event in tap.events if event["type"] == "chat.read.updated.v1"]
    assert [event["data"]["userId"] for event in marks] == [user, "bob"]
    assert marks[0]["id"] == read_event_id(conversation, user, 1)


async def test_in_a_crowd_only_the_reader_is_told(settings: Settings, database: Database, tap: Tap) -> None:
    people = {f"p{number}": "member" for number in range(limits.READERS_SHOWN_TO)}
    small, large = [await store_conversation(database, members) for members in (people, {**people, "bob": "member"})]
    async with Persister(settings, database):
        for conversation in (small, large):
            await tap.publish(make_message(conversation, actor="p0"))
            await tap.publish(mark(conversation, 1, "p1"))
        await tap.all_handled()
    private = {item.conversation_id: item.private for item, _ in tap.items if isinstance(item, fanout.ReadUpdated)}
    assert private == {small: None, large: True}
    # What a gateway reads after it was away is what others may know.
    found = {d["conversationId"] async for d in database.memberships.find({"readAt": {"$exists": True}})}
    assert found == {small}


@pytest.mark.parametrize("kind", ["dies", "fails", "unheard"])
async def test_whatever_step_goes_wrong_the_mark_is_stored_and_told(
    settings: Settings, database: Database, tap: Tap, kind: Kind, no_pause: None
) -> None:
    for step in count(1):
        conversation = await store_conversation(database, TWO)
        fault = Fault(kind)
        command = mark(conversation, 2)
        async with Persister(settings, database, fault) as persister:
            await tap.publish(*(make_message(conversation, f"m{number}") for number in range(3)))
            await persister.acknowledged(1)
            tap.events.clear()
            fault.arm(step)
            await tap.publish(command)
            happened = await persister.acknowledged_or_faulty(2)
            if kind != "dies":
                await persister.acknowledged(2)
        async with Persister(settings, database):
            await tap.all_handled()
        assert await read(database, conversation) == 2
        assert set(told(tap, conversation)) == {("bob", 2)}
        if not happened:
            assert step > 3
            return


async def test_a_mark_that_was_stored_is_told_however_late(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, TWO)
    command = mark(conversation, 1)
    async with Persister(settings, database):
        await tap.publish(make_message(conversation))
        await tap.publish(command)
        await tap.all_handled()
        tap.events.clear()
        tap.items.clear()
        await tap.publish(expired(command))
        await tap.all_handled()
    assert told(tap, conversation) == [("bob", 1)]

"""A message mentions members only, and everybody only where its sender may, whatever dies or comes twice."""

import hashlib
import json
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest

from contracts.commands import AddMembers, ChangeRole, RemoveMember, SendMessage
from services.mongo import Database, encode_message, to_message
from services.persister.messages import fingerprint, send_all
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, new_id, store_conversation
from tests.support.faults import Fault
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
THREE = {"alice": "admin", "bob": "member", "eve": "member"}


async def document_of(database: Database, command: SendMessage) -> dict[str, Any]:
    document = await database.messages.find_one({"_id": command.id})
    assert document is not None
    return document


async def test_members_are_mentioned_each_once_and_strangers_not(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, THREE)
    some = make_message(conversation, mentions=["eve", "mallory", "bob", "eve", new_id(), "alice"])
    none = make_message(conversation, mentions=["mallory", new_id()])
    empty = make_message(conversation, mentions=[], mention_all=False)
    everybody = make_message(conversation, mention_all=True, mentions=["bob"])
    async with Persister(settings, database) as persister:
        await tap.publish(some, none, empty, everybody)
        await persister.acknowledged(1)
    await tap.caught_up()
    documents = [await document_of(database, command) for command in (some, none, empty, everybody)]
    assert [(d.get("mentions"), d.get("mentionAll")) for d in documents] == [
        (["eve", "bob", "alice"], None),
        (None, None),
        (None, None),
        (["bob"], True),
    ]
    for document, (_, data), event in zip(documents, tap.items, tap.events, strict=True):
        assert data == encode_message(document) == to_message(document).encode()
        assert event["data"] == json.loads(data)


async def test_who_came_or_left_before_the_message_is_in_or_out(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, THREE)
    sent = [make_message(conversation, mentions=["bob", "third"]) for _ in range(3)]
    async with Persister(settings, database) as persister:
        await tap.publish(sent[0])
        await tap.publish(make_command(AddMembers, conversation_id=conversation, member_ids=["third"]))
        await tap.publish(sent[1])
        await tap.publish(make_command(RemoveMember, conversation_id=conversation, member_id="bob"))
        await tap.publish(sent[2])
        await persister.acknowledged(5)
    found = [(await document_of(database, command)).get("mentions") for command in sent]
    assert found == [["bob"], ["bob", "third"], ["third"]]


async def test_only_members_that_are_mentioned_are_remembered(database: Database) -> None:
    conversation = await store_conversation(database, THREE)
    rooms = Rooms()
    strangers = [new_id() for _ in range(40)]
    await send_all(database, rooms, [make_message(conversation, mentions=["bob", *strangers])])
    assert rooms._members == {conversation: {"alice": True, "bob": True}}, "anybody may name any number of strangers"


async def test_only_who_may_mentions_everybody_as_roles_are_at_that_moment(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, THREE)
    sent = [make_message(conversation, f"m{n}", actor="bob", mention_all=True) for n in range(3)]
    stranger = make_message(conversation, actor="mallory", mention_all=True)
    async with Persister(settings, database) as persister:
        await tap.publish(make_message(conversation, "before"), sent[0], stranger)
        await tap.publish(make_command(ChangeRole, conversation_id=conversation, member_id="bob", role="admin"))
        await tap.publish(sent[1])
        await tap.publish(make_command(ChangeRole, conversation_id=conversation, member_id="bob", role="member"))
        await tap.publish(sent[2], sent[1])  # what was stored is not refused when it comes again
        await persister.acknowledged(5)
    await tap.caught_up()
    codes = [[reply.code for reply in tap.replies_to(command)] for command in (*sent, stranger)]
    assert codes == [["FORBIDDEN"], [], ["FORBIDDEN"], ["NOT_A_MEMBER"]]
    assert tap.messages_of(conversation) == [(1, "before"), (2, "m1"), (2, "m1")]


# ---------------------------------------------------------------------------------------------------- the same tempId


@pytest.mark.parametrize(
    ("first", "again", "conflicts"),
    [
        ({"mentions": ["bob"]}, {"mentions": ["bob"]}, False),
        ({"mentions": ["mallory"]}, {"mentions": ["mallory"]}, False),
        ({}, {"mentions": [], "mention_all": False}, False),
        ({}, {"mentions": ["bob"]}, True),
        ({"mentions": ["bob"]}, {"mentions": ["eve"]}, True),
        ({"mention_all": True}, {}, True),
        ({"mention_all": True}, {"mention_all": True, "mentions": ["bob"]}, True),
    ],
)
async def test_mentions_belong_to_what_a_temp_id_stands_for(
    database: Database, first: dict[str, Any], again: dict[str, Any], conflicts: bool
) -> None:
    conversation = await store_conversation(database, THREE)
    await send_all(database, Rooms(), [make_message(conversation, temp_id="t", **first)])
    retry = make_message(conversation, temp_id="t", **again)
    reply = (await send_all(database, Rooms(), [retry]))[retry.id].reply
    assert reply is not None
    assert (reply.code, reply.duplicate) == (("TEMP_ID_CONFLICT", None) if conflicts else (None, True))


def test_without_mentions_the_fingerprint_is_what_it_was_before_there_were_any() -> None:
    stored = hashlib.blake2b(b'["hello",[],"m0"]', digest_size=12).hexdigest()
    assert fingerprint(make_message("c", "hello", reply_to="m0")) == stored


# ---------------------------------------------------------------------------------------------- faults at each step


async def test_a_death_at_any_step_loses_and_repeats_no_mention(
    settings: Settings, database: Database, tap: Tap
) -> None:
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            conversation = await store_conversation(database, THREE)
            named = make_message(conversation, "named", mentions=["bob", "mallory"])
            everybody = make_message(conversation, "everybody", mention_all=True)
            forbidden = make_message(conversation, "no", actor="bob", mention_all=True)
            persister.fault.arm(at)
            before = persister.inbox.acked
            await tap.publish(named, forbidden, everybody)
            died = await persister.acknowledged_or_faulty(before + 1)
            await persister.kill()
            await tap.all_handled()
            documents = [d async for d in database.messages.find({"conversationId": conversation}).sort("seq", 1)]
            assert [(d["content"], d.get("mentions"), d.get("mentionAll")) for d in documents] == [
                ("named", ["bob"], None),
                ("everybody", None, True),
            ]
            told = {
                (e["data"]["seq"], *e["data"].get("mentions", ()), e["data"].get("mentionAll", False))
                for e in tap.events
                if e["subject"] == conversation
            }
            assert told == {(1, "bob", False), (2, True)}
            assert {reply.code for reply in tap.replies_to(forbidden)} == {"FORBIDDEN"}
            if not died:
                assert at > 10, "looking up, storing and telling take several steps"
                return

"""A change of a message is stored once, numbered, told, and told again when nobody may have heard, wherever it dies."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from contracts import fanout, limits
from contracts.commands import (
    AnyCommand,
    DeleteConversation,
    DeleteMessage,
    EditMessage,
    React,
    SendMessage,
)
from contracts.errors import ErrorCode
from contracts.shape import now
from services.mongo import Database, to_message
from services.persister.messages import REMAINS
from services.persister.settings import Settings
from tests.support.builders import expired, make_command, make_message, new_id, store_conversation
from tests.support.faults import Fault, Kind
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
Change = EditMessage | DeleteMessage | React
PEOPLE = {"alice": "admin", "bob": "member", "carol": "member"}


def edit(message: SendMessage, content: str, actor: str = "alice") -> EditMessage:
    return make_command(
        EditMessage, conversation_id=message.conversation_id, message_id=message.id, content=content, actor=actor
    )


def delete(message: SendMessage, actor: str = "alice") -> DeleteMessage:
    return make_command(DeleteMessage, conversation_id=message.conversation_id, message_id=message.id, actor=actor)


def react(message: SendMessage, emoji: str, actor: str = "alice", present: bool = True) -> React:
    return make_command(
        React,
        conversation_id=message.conversation_id,
        message_id=message.id,
        emoji=emoji,
        actor=actor,
        present=present,
    )


async def carry_out(settings: Settings, database: Database, tap: Tap, *batch: AnyCommand) -> None:
    """Each in an AMQP message of its own, and what they bring about."""
    async with Persister(settings, database) as persister:
        for command in batch:
            await tap.publish(command)
        await persister.all_done(tap)


async def stored(database: Database, command: SendMessage) -> dict[str, Any]:
    document = await database.messages.find_one({"_id": command.id})
    assert document is not None
    return document


async def edits_of(database: Database, message: SendMessage) -> list[str]:
    """What a message said before, oldest first."""
    rows = database.edits.find({"messageId": message.id}).sort([("at", 1), ("_id", 1)])
    return [row["content"] async for row in rows]


def told(tap: Tap, conversation: str) -> list[tuple[int, str]]:
    """Number and kind of the changes that events told of, as often as they did; the items say the same."""
    events = [e for e in tap.events if (e["type"], e["subject"]) == ("chat.message.updated.v1", conversation)]
    facts = [(e["data"]["message"]["changeSeq"], e["data"]["change"]) for e in events]
    assert [e["id"] for e in events] == [f"{conversation}:c{number}" for number, _ in facts]
    same: dict[str, Any] = {}
    for event in events:
        assert same.setdefault(event["id"], event) == event, "whoever drops the second loses nothing"
    items = [i for i, _ in tap.items_of(conversation) if isinstance(i, fanout.MessageUpdated) and i.change_seq]
    assert {(i.change_seq, i.change) for i in items} == set(facts), "one may be told again without the other"
    return facts


def answered(tap: Tap, *batch: Change) -> list[ErrorCode | None]:
    """How each command was answered last; None for success, which comes with the change."""
    codes: list[ErrorCode | None] = []
    for command in batch:
        items = [i for i, _ in tap.items if isinstance(i, fanout.MessageUpdated) and command.id in i.command_ids]
        replies = tap.replies_to(command)
        assert items or replies, f"{command} was not answered"
        codes.append(None if items else replies[-1].code)
    return codes


# ------------------------------------------------------------------------------------------------ the changes


async def test_an_edit_replaces_the_content_and_keeps_the_former(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation, "one")
    batch: list[Change] = [
        edit(message, "two"),
        edit(message, "three"),
        edit(message, "three"),
        edit(message, "other", actor="bob"),
    ]
    await carry_out(settings, database, tap, message, *batch)
    document = await stored(database, message)
    assert (document["content"], document["seq"], document["changeSeq"]) == ("three", 1, 2)
    assert document["editedAt"] >= document["createdAt"]
    assert await edits_of(database, message) == ["one", "two"]
    assert answered(tap, *batch) == [None, None, None, ErrorCode.FORBIDDEN]
    assert told(tap, conversation) == [(1, "edited"), (2, "edited"), (2, "edited")]


async def test_an_edit_may_change_who_is_mentioned(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation, "one", actor="bob", mentions=["alice"])

    async def mentioned(**fields: Any) -> tuple[Any, ...]:
        await carry_out(settings, database, tap, edit(message, "two", "bob").model_copy(update=fields))
        document = await stored(database, message)
        return document.get("mentions"), document.get("mentionAll"), document.get("changeSeq")

    await carry_out(settings, database, tap, message)
    assert await mentioned() == (["alice"], None, 1)
    assert await mentioned(mentions=["carol", "eve", "carol"]) == (["carol"], None, 2)
    assert await mentioned(mentions=["carol"]) == (["carol"], None, 2), "as it is already"
    assert await mentioned(mention_all=True) == (["carol"], None, 2), "not by a member"
    await database.memberships.update_one(
        {"conversationId": conversation, "userId": "bob"}, {"$set": {"role": "admin"}}
    )
    assert await mentioned(mention_all=True) == (["carol"], True, 3)
    assert await mentioned(mentions=[], mention_all=False) == (None, None, 4)


async def test_a_deleted_message_keeps_its_number_and_nothing_else(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, PEOPLE)
    picture = {"name": "a.png", "url": "/a.png", "type": "image/png", "size": 3}
    message = make_message(conversation, "secret one", temp_id="t", attachments=[picture])
    deletion = delete(message)
    await carry_out(
        settings, database, tap, message, edit(message, "secret two"), react(message, "👍", "bob"), deletion
    )
    document = await stored(database, message)
    shown = to_message(document, "alice").model_dump(exclude_none=True)
    assert shown | {"createdAt": None} == {
        "id": message.id,
        "conversationId": conversation,
        "seq": 1,
        "senderId": "alice",
        "senderName": "Alice",
        "content": "",
        "createdAt": None,
        "tempId": "t",
        "isDeleted": True,
        "changeSeq": 3,
    }
    assert "secret" not in str([document, *[d async for d in database.edits.find()]])
    assert told(tap, conversation)[-1] == (3, "deleted")

    again = make_message(conversation, "secret one", temp_id="t", attachments=[picture])
    other = make_message(conversation, "another one", temp_id="t")
    late: list[Change] = [edit(message, "back"), react(message, "👍", "bob"), delete(message)]
    await carry_out(settings, database, tap, again, other, *late)
    (reply,) = tap.replies_to(again)
    assert (reply.duplicate, reply.message_id) == (True, message.id)
    (reply,) = tap.replies_to(other)
    assert reply.code is ErrorCode.TEMP_ID_CONFLICT, "what is stored nowhere is not called sent"
    assert len(document["tempHash"]) == REMAINS, "which fits too many texts to be one of them"
    assert answered(tap, *late) == [ErrorCode.NOT_FOUND, ErrorCode.NOT_FOUND, None]
    assert await stored(database, message) == document


async def test_reactions_of_a_run_are_one_change_of_each_message(
    settings: Settings, database: Database, tap: Tap
) -> None:
    people = {f"p{number}": "member" for number in range(200)}
    conversation = await store_conversation(database, people)
    one, two = [make_message(conversation, text, actor="p0") for text in ("one", "two")]
    fault = Fault()  # that never happens, and counts
    async with Persister(settings, database, fault) as persister:
        await tap.publish(one, two)
        await tap.all_handled()
        acked = persister.inbox.acked
        fault.steps.clear()
        clicks = [react(one, "👍", person) for person in people]
        await tap.publish(*clicks[:100], react(two, "🎉", "p7"), *clicks[100:], react(one, "👍", "p3", present=False))
        await persister.acknowledged(acked + 1)
    await tap.caught_up()
    assert fault.steps.count("messages.bulk_write") == 1
    assert fault.steps.count("publish chat.fanout") == 1
    expected = [person for person in people if person != "p3"]
    assert (await stored(database, one))["reactions"] == {"👍": expected}
    assert (await stored(database, two))["reactions"] == {"🎉": ["p7"]}
    assert told(tap, conversation) == [(1, "reactions"), (2, "reactions")]
    assert set(answered(tap, *clicks)) == {None}


async def test_a_reaction_is_there_once_and_an_emoji_of_nobody_is_gone(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation)
    toggles = [("👍", "alice", True), ("👍", "bob", True), ("👍", "alice", True), ("🎉", "bob", True)]
    toggles += [("👍", "alice", False), ("👍", "carol", False), ("🎉", "bob", False)]
    await carry_out(settings, database, tap, message, *(react(message, e, who, on) for e, who, on in toggles))
    assert (await stored(database, message))["reactions"] == {"👍": ["bob"]}
    await carry_out(settings, database, tap, react(message, "👍", "bob", present=False))
    assert "reactions" not in await stored(database, message)


async def test_a_message_has_so_many_kinds_of_reactions(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation)
    kinds = [react(message, chr(0x1F600 + number)) for number in range(limits.REACTION_KINDS)]
    more, again = react(message, "🎉"), react(message, kinds[0].emoji, "bob")
    async with Persister(settings, database):
        await tap.publish(message)
        await tap.publish(*kinds, more, again)
        await tap.all_handled()
    assert answered(tap, *kinds, more, again) == [None] * limits.REACTION_KINDS + [ErrorCode.FORBIDDEN, None]
    assert len((await stored(database, message))["reactions"]) == limits.REACTION_KINDS


async def test_what_is_so_already_is_answered_and_told_to_nobody_if_nothing_ever_changed(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation, "as it is")
    batch: list[Change] = [edit(message, "as it is"), react(message, "👍", present=False)]
    await carry_out(settings, database, tap, message, *batch)
    assert answered(tap, *batch) == [None, None]
    assert told(tap, conversation) == []


async def test_time_limits(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, PEOPLE)
    messages = [make_message(conversation, actor=who) for who in ("bob", "bob", "alice")]
    await carry_out(settings, database, tap, *messages)
    await database.messages.update_many({}, {"$set": {"createdAt": now() - timedelta(seconds=100)}})
    batch: list[Change] = [
        edit(messages[0], "late", "bob"),
        delete(messages[0], "bob"),
        delete(messages[1]),
        delete(messages[2]),
    ]
    limited = settings.model_copy(update={"edit_limit": 99.0, "delete_limit": 99.0})
    await carry_out(limited, database, tap, *batch)
    forbidden = ErrorCode.FORBIDDEN
    assert answered(tap, *batch) == [forbidden, forbidden, None, None], "an admin may always"
    wider = settings.model_copy(update={"edit_limit": 500.0, "delete_limit": 500.0})
    again: list[Change] = [edit(messages[0], "in time", "bob"), delete(messages[0], "bob")]
    await carry_out(wider, database, tap, *again)
    assert answered(tap, *again) == [None, None]


async def test_refusals(settings: Settings, database: Database, tap: Tap) -> None:
    conversation, other = [await store_conversation(database, PEOPLE) for _ in range(2)]
    message = make_message(conversation)
    elsewhere = message.model_copy(update={"conversation_id": other})
    nowhere = message.model_copy(update={"conversation_id": "nowhere"})
    unknown = make_message(conversation)  # never sent
    kinds: Sequence[Any] = (lambda m, who: edit(m, "x", who), delete, lambda m, who: react(m, "👍", who))
    await carry_out(settings, database, tap, message)
    for kind in kinds:
        batch: list[Change] = [kind(elsewhere, "alice"), kind(unknown, "alice"), expired(kind(message, "alice"))]
        batch += [kind(message, "eve"), kind(unknown, "eve"), kind(nowhere, "alice")]
        await carry_out(settings, database, tap, *batch)
        stranger = ErrorCode.NOT_A_MEMBER
        found = [ErrorCode.NOT_FOUND, ErrorCode.NOT_FOUND, ErrorCode.TIMEOUT, stranger, stranger, stranger]
        assert answered(tap, *batch) == found
    empty = edit(message, "")
    await carry_out(settings, database, tap, empty)
    assert answered(tap, empty) == [ErrorCode.CONTENT_EMPTY]
    assert "changeSeq" not in await stored(database, message)
    assert await database.edits.count_documents({}) == 0


# -------------------------------------------------------------------------------------- redelivery, death, fencing


async def test_a_redelivered_edit_brings_nothing_back(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation, "one")
    first, second = edit(message, "two"), edit(message, "three")
    await carry_out(settings, database, tap, message, first, second, expired(first), expired(second))
    assert (await stored(database, message))["content"] == "three"
    assert await edits_of(database, message) == ["one", "two"]
    assert answered(tap, first, second) == [None, None]
    assert told(tap, conversation) == [(1, "edited"), (2, "edited"), (2, "edited"), (2, "edited")]


def _edit(message: SendMessage) -> Change:
    return edit(message, "after")


def _delete(message: SendMessage) -> Change:
    return delete(message)


def _react(message: SendMessage) -> Change:
    return react(message, "👍")


@pytest.mark.parametrize("kind", ["dies", "fails", "unheard"])
@pytest.mark.parametrize("change", [_edit, _delete, _react])
async def test_whatever_step_goes_wrong_the_change_is_stored_once_and_told(
    settings: Settings, database: Database, tap: Tap, change: Any, kind: Kind, no_pause: None
) -> None:
    for step in count(1):
        conversation = await store_conversation(database, PEOPLE)
        message = make_message(conversation, "before", temp_id="t")
        command, before = change(message), edit(message, "earlier")
        await carry_out(settings, database, tap, message, before)
        async with Persister(settings, database, Fault(kind, step)) as persister:
            await tap.publish(command)
            happened = await persister.acknowledged_or_faulty()
            if kind != "dies":
                await persister.acknowledged(1)
        async with Persister(settings, database):
            await tap.all_handled()
        document = await stored(database, message)
        state = document["content"], document.get("isDeleted"), document.get("reactions")
        formers = await edits_of(database, message)
        expected = {
            _edit: (("after", None, None), ["before", "earlier"]),
            _delete: (("", True, None), []),
            _react: (("earlier", None, {"👍": ["alice"]}), ["before"]),
        }
        assert (state, formers) == expected[change]
        assert document["changeSeq"] == 2
        assert [number for number, _ in told(tap, conversation)][:1] == [1]
        assert {number for number, _ in told(tap, conversation)} == {1, 2}
        assert answered(tap, command) == [None]
        if not happened:
            assert step > 6, "reading, storing and telling take several steps"
            return


async def test_two_persisters_that_believe_they_have_a_partition_are_fenced(
    settings: Settings, database: Database, tap: Tap
) -> None:
    conversation = await store_conversation(database, PEOPLE)
    messages = [make_message(conversation, f"m{number}") for number in range(4)]
    async with AsyncExitStack() as stack:
        # The same commands reach both, each by its own queue, as if both had the partition.
        other = settings.model_copy(update={"prefix": f"{new_id()[:8]}."})
        second = await stack.enter_async_context(Tap(other.amqp_url, other.topology))
        await stack.enter_async_context(Persister(settings, database))
        await stack.enter_async_context(Persister(other, database))
        await tap.publish(*messages)
        await tap.all_handled()
        for tapped, clicker, texts in ((tap, "alice", "ab"), (second, "bob", "cd")):
            for message in messages:
                await tapped.publish(react(message, "👍", clicker))
            for text in texts:
                await tapped.publish(edit(messages[0], text))
        for tapped in (tap, second):
            await tapped.all_handled()
    documents = [await stored(database, message) for message in messages]
    assert [sorted(document["reactions"]["👍"]) for document in documents] == [["alice", "bob"]] * 4
    numbers = [document["changeSeq"] for document in documents]
    assert len(set(numbers)) == 4
    assert len(await edits_of(database, messages[0])) == 4, "each edit left what was before it"
    assert {e["data"]["message"]["changeSeq"] for e in [*tap.events, *second.events] if "message" in e["data"]} >= set(
        numbers
    )


async def test_the_edits_of_a_deleted_conversation_are_erased(settings: Settings, database: Database, tap: Tap) -> None:
    conversation = await store_conversation(database, PEOPLE)
    message = make_message(conversation, "one")
    deletion = make_command(DeleteConversation, conversation_id=conversation)
    await carry_out(settings, database, tap, message, edit(message, "two"), deletion)
    await carry_out(settings, database, tap)  # with the last purge
    assert await database.messages.count_documents({}) == 0
    assert await database.edits.count_documents({}) == 0

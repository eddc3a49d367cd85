"""Conversations, members and people, as a gateway reads them: pages that meet, and nothing that is not the reader's."""

from datetime import datetime, timedelta

import pytest

from contracts.commands import StoreProfile
from contracts.errors import ErrorCode, Refusal
from contracts.shape import now
from services.gateway.directory import Directory
from services.mongo import Database, Front
from services.persister.messages import send_all
from services.persister.profiles import store_all
from services.persister.rooms import Rooms
from tests.support.builders import make_command, make_message, make_profile, new_id, store_conversation
from tests.support.persister import note, talk

pytestmark = pytest.mark.integration
Cursor = tuple[datetime, str] | None


@pytest.fixture
def directory(database: Database) -> Directory:
    return Directory(database)


async def store_profiles(database: Database, **names: str) -> None:
    """People with their names."""
    commands = [
        make_command(StoreProfile).model_copy(
            update={"actor": make_profile(user).model_copy(update={"user_name": name})}
        )
        for user, name in names.items()
    ]
    await store_all(database, commands)


async def test_heads_are_of_the_last_messages(database: Database, directory: Directory) -> None:
    cid, empty, unknown = await talk(database, 4), await store_conversation(database), new_id()
    assert [await directory.front_for(c, "alice") for c in (cid, empty, unknown)] == [Front(4), Front(), None]
    assert await directory.fronts([cid, empty, unknown]) == {cid: Front(4), empty: Front()}


async def test_who_is_still_in_is_told_by_conversation(database: Database, directory: Directory) -> None:
    cid, empty = await talk(database, 1), await store_conversation(database)
    people = {cid: ["alice", "bob", "mallory"], empty: ["mallory"]}
    assert await directory.members_of(people) == {cid: {"alice", "bob"}, empty: set()}


async def test_unread_mentions_are_counted_for_each_conversation(database: Database, directory: Directory) -> None:
    people = {"alice": "admin", "bob": "member", "third": "member"}
    one, other, quiet = [await store_conversation(database, people) for _ in range(3)]
    said = [
        make_message(one, "before", mentions=["bob"]),
        make_message(one, "his own", actor="bob", mentions=["bob"]),
        make_message(one, "not him", mentions=["third"]),
        make_message(one, "him", mentions=["third", "bob"]),
        make_message(one, "everybody and him", mentions=["bob"], mention_all=True),
        make_message(other, "everybody", mention_all=True),
        make_message(quiet, "nobody"),
        make_message(one, "him, deleted", mentions=["bob"]),
    ]
    await database.memberships.update_one({"conversationId": one, "userId": "third"}, {"$set": {"lastReadSeq": 4}})
    outcomes = await send_all(database, Rooms(), said)
    await note(database, outcomes.values())
    await database.messages.update_one({"_id": said[-1].id}, {"$set": {"isDeleted": True, "content": ""}})

    async def unread(viewer: str) -> dict[str, int]:
        found, _ = await directory.conversations(viewer, 50, None)
        listed = {view.id: view.unread_mentions for view in found}
        assert listed == {c: (await directory.conversation(c, viewer)).unread_mentions for c in listed}
        return listed

    assert await unread("bob") == {one: 2, other: 1, quiet: 0}
    assert await unread("third") == {one: 1, other: 1, quiet: 0}, "what was read is not counted"
    assert await unread("alice") == {one: 0, other: 0, quiet: 0}, "nor what one says oneself"


async def test_a_conversation_is_shown_as_its_member_sees_it(database: Database, directory: Directory) -> None:
    cid = await talk(database, 5)  # the last one is Alice's
    await store_profiles(database, alice="Alice A.")
    seen = await directory.conversation(cid, "bob")
    assert (seen.type, seen.name, seen.created_by, seen.last_seq, seen.member_count) == ("group", "Team", "alice", 5, 2)
    assert seen.unread_count == 1, "Bob has read up to his own last message"
    assert seen.last_message is not None
    assert (seen.last_message.seq, seen.last_message.temp_id) == (5, None)
    assert [(m.user_id, m.user_name, m.role, m.last_read_seq) for m in seen.members] == [
        ("alice", "Alice A.", "admin", 5),
        ("bob", "bob", "member", 4),  # whose token was never seen
    ]
    assert (await directory.conversation(cid, "alice")).unread_count == 0


async def test_a_conversation_without_messages_is_shown_too(database: Database, directory: Directory) -> None:
    seen = await directory.conversation(await store_conversation(database), "alice")
    assert (seen.last_seq, seen.last_message, seen.unread_count) == (0, None, 0)


async def test_nobody_can_tell_an_unknown_conversation_from_one_of_others(
    database: Database, directory: Directory
) -> None:
    others, ended = await store_conversation(database), await store_conversation(database, deletedAt=now())
    answers = set()
    for cid, viewer in ((others, "bob"), (new_id(), "bob"), (ended, "alice")):
        with pytest.raises(Refusal) as refusal:
            await directory.conversation(cid, viewer)
        answers.add((refusal.value.code, refusal.value.detail))
    assert answers == {(ErrorCode.NOT_A_MEMBER, ErrorCode.NOT_A_MEMBER.sentence)}


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_of_conversations_have_each_once_newest_activity_first(
    database: Database, directory: Directory, limit: int
) -> None:
    moment = now()
    minutes = [3, 1, 1, 1, 2, 0]  # several of the same moment
    active = [(moment - timedelta(minutes=m), await store_conversation(database)) for m in minutes]
    for at, cid in active:
        await database.conversations.update_one({"_id": cid}, {"$set": {"lastActivityAt": at}})
    await store_conversation(database, {"bob": "admin"})
    await store_conversation(database, deletedAt=now())
    found: list[str] = []
    cursor: Cursor = None
    while True:
        page, cursor = await directory.conversations("alice", limit, cursor)
        assert len(page) == limit or cursor is None
        found += [conversation.id for conversation in page]
        if cursor is None:
            break
    assert found == [cid for _, cid in sorted(active, reverse=True)]


@pytest.mark.parametrize("limit", [1, 2, 5, 10])
async def test_pages_of_members_have_each_once_longest_standing_first(
    database: Database, directory: Directory, limit: int
) -> None:
    people = [f"user-{n}" for n in range(5)]
    cid = await store_conversation(database, {user: "member" for user in reversed(people)})
    # All but the first came at the same moment.
    query = {"conversationId": cid, "userId": {"$ne": "user-4"}}
    await database.memberships.update_many(query, {"$set": {"joinedAt": now() + timedelta(minutes=1)}})
    found: list[str] = []
    cursor: Cursor = None
    while True:
        page, cursor = await directory.members(cid, limit, cursor)
        assert len(page) == limit or cursor is None
        found += [member.user_id for member in page]
        if cursor is None:
            break
    assert found == ["user-4", *people[:4]]


async def test_who_is_in_which_conversation(database: Database, directory: Directory) -> None:
    mine, others = await store_conversation(database), await store_conversation(database, {"bob": "admin"})
    assert [await directory.is_member(cid, "alice") for cid in (mine, others, new_id())] == [True, False, False]
    assert await directory.memberships("alice", [mine, others, new_id()]) == {mine}


async def test_people_are_found_by_the_beginning_of_any_of_their_words(
    database: Database, directory: Directory
) -> None:
    await store_profiles(database, alice="Alice Ångström-Maß", bob="bob (alias .*)")

    async def found(query: str) -> list[str]:
        return [profile.user_id for profile in (await directory.people(query, 10, None))[0]]

    for query in ("al", "ALI", "ång", "MASS", "alice ångström-m"):
        assert "alice" in await found(query), query
    assert await found("ali") == ["alice", "bob"]
    assert await found("lice") == []
    assert await found(".*") == [], "what was typed is no pattern"
    assert await found("bob (") == ["bob"]
    assert await found("") == ["alice", "bob"]


async def test_pages_of_people_meet_and_end(database: Database, directory: Directory) -> None:
    await store_profiles(database, **{f"u{n}": "Same Name" for n in range(5)})
    found: list[str] = []
    after: str | None = None
    for _ in range(3):
        page, after = await directory.people("same", 2, after)
        found += [profile.user_id for profile in page]
    assert (found, after) == ([f"u{n}" for n in range(5)], None)


async def test_members_are_found_by_their_words_and_nobody_else_is(database: Database, directory: Directory) -> None:
    names = {f"u{n}": f"Same Name {n}" for n in range(5)}
    await store_profiles(database, **names, stranger="Same Stranger", other="Another")
    cid = await store_conversation(database, {**dict.fromkeys(names, "member"), "other": "admin"})
    await store_conversation(database, {"stranger": "member"})
    found: list[str] = []
    after: str | None = None
    for _ in range(3):
        page, after = await directory.find_members(cid, "same", 2, after)
        found += [member.user_id for member in page]
    assert (found, after) == (list(names), None)
    page, _ = await directory.find_members(cid, "ano", 2, None)
    assert [(member.user_name, member.role) for member in page] == [("Another", "admin")]


async def test_a_profile_is_as_the_last_token_had_it(database: Database, directory: Directory) -> None:
    await store_profiles(database, alice="Before")
    await store_profiles(database, alice="After")
    profile = await directory.profile("alice")
    assert profile is not None
    assert profile.user_name == "After"
    assert await directory.profile("nobody") is None
    assert [p.user_id for p in (await directory.people("before", 10, None))[0]] == []

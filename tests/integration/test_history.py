"""What is stored, as a gateway reads it: pages that meet, bounds that are kept, and nothing that is not the reader's."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from contracts.commands import StoreProfile
from contracts.errors import ErrorCode, Refusal
from contracts.message import Message
from contracts.shape import now
from services import mongo
from services.gateway.history import History, reading
from services.mongo import Database, Front
from services.persister.messages import send_all
from services.persister.profiles import store_all
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, make_profile, new_id, store_conversation
from tests.support.persister import note
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
Cursor = tuple[datetime, str] | None


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


async def store_profiles(database: Database, **names: str) -> None:
    """People with their names."""
    commands = [
        make_command(StoreProfile).model_copy(
            update={"actor": make_profile(user).model_copy(update={"user_name": name})}
        )
        for user, name in names.items()
    ]
    await store_all(database, commands)


async def talk(database: Database, count: int) -> str:
    """A conversation in which Alice and Bob took turns, each message with a tempId."""
    conversation_id = await store_conversation(database, {"alice": "admin", "bob": "member"})
    commands = [
        make_message(conversation_id, f"m{n}", actor="alice" if n % 2 else "bob", temp_id=f"t{n}")
        for n in range(1, count + 1)
    ]
    outcomes = await send_all(database, Rooms(), commands)
    await note(database, outcomes.values())
    return conversation_id


def seqs(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages]


# ---------------------------------------------------------------------------------------------------- messages


async def test_pages_backwards_meet_and_end(database: Database, history: History) -> None:
    cid = await talk(database, 7)
    assert seqs(await history.newest(cid, 3)) == [5, 6, 7]
    assert seqs(await history.newest(cid, 3, below=5)) == [2, 3, 4]
    assert seqs(await history.newest(cid, 3, below=2)) == [1]
    assert await history.newest(cid, 3, below=1) == []


async def test_pages_forwards_meet_and_end(database: Database, history: History) -> None:
    cid = await talk(database, 7)
    assert seqs(await history.after(cid, 0, 3)) == [1, 2, 3]
    assert seqs(await history.after(cid, 3, 3)) == [4, 5, 6]
    assert seqs(await history.after(cid, 6, 3)) == [7]
    assert await history.after(cid, 7, 3) == []


async def test_what_was_missed_lies_between_its_bounds_and_a_replay_has_its_last(
    database: Database, history: History
) -> None:
    cid = await talk(database, 5)
    assert seqs(await history.missed(cid, 1, 5)) == [2, 3, 4]
    assert seqs(await history.missed(cid, 0, 1)) == []
    assert [message.seq for message in await history.replay(cid, 3)] == [4, 5]
    assert [message.seq for message in await history.replay(cid, 1, 3)] == [2, 3]
    assert await history.replay(cid, 9) == []


async def test_only_this_conversation_is_read(database: Database, history: History) -> None:
    cid, other = await talk(database, 2), await talk(database, 3)
    for read in (history.newest(cid, 10), history.after(cid, 0, 10), history.missed(cid, 0, 9)):
        assert {message.conversation_id for message in await read} == {cid}
    replayed = [Message.decode(message.body) for message in await history.replay(cid, 0)]
    assert [message.conversation_id for message in replayed] == [cid, cid]
    assert await history.fronts([other]) == {other: Front(3)}


async def test_heads_are_of_the_last_messages(database: Database, history: History) -> None:
    cid, empty, unknown = await talk(database, 4), await store_conversation(database), new_id()
    assert [await history.front_for(c, "alice") for c in (cid, empty, unknown)] == [Front(4), Front(), None]
    assert await history.fronts([cid, empty, unknown]) == {cid: Front(4), empty: Front()}


async def test_a_temp_id_is_shown_to_its_sender_only(database: Database, history: History) -> None:
    cid = await talk(database, 4)
    reads: list[Callable[[str | None], Awaitable[list[Message]]]] = [
        lambda viewer: history.newest(cid, 10, viewer=viewer),
        lambda viewer: history.after(cid, 0, 10, viewer=viewer),
    ]
    for read in reads:
        assert [message.temp_id for message in await read("alice")] == ["t1", None, "t3", None]
        assert [message.temp_id for message in await read("bob")] == [None, "t2", None, "t4"]

    first, second, *_ = await history.newest(cid, 10)
    assert (await history.message(cid, first.id, "alice")).temp_id == "t1"
    assert (await history.message(cid, second.id, "alice")).temp_id is None
    assert all(b"tempHash" not in message.encode() for message in await history.newest(cid, 10, viewer="alice"))


async def test_what_was_missed_keeps_the_temp_id_for_its_sender(database: Database, history: History) -> None:
    cid = await talk(database, 4)
    assert [message.temp_id for message in await history.missed(cid, 0, 5)] == ["t1", "t2", "t3", "t4"]


async def test_who_is_still_in_is_told_by_conversation(database: Database, history: History) -> None:
    cid, empty = await talk(database, 1), await store_conversation(database)
    people = {cid: ["alice", "bob", "mallory"], empty: ["mallory"]}
    assert await history.members_of(people) == {cid: {"alice", "bob"}, empty: set()}


async def test_a_message_that_is_not_there_is_not_found(database: Database, history: History) -> None:
    cid, other = await talk(database, 1), await talk(database, 1)
    (elsewhere,) = await history.newest(other, 1)
    for message_id in (new_id(), elsewhere.id):
        with pytest.raises(Refusal) as refusal:
            await history.message(cid, message_id, "alice")
        assert refusal.value.code == ErrorCode.NOT_FOUND


async def test_a_thread_is_read_in_order_and_in_pages(database: Database, history: History) -> None:
    cid = await talk(database, 2)
    first, second = await history.newest(cid, 2)
    for target in (first, second, first, first):
        outcomes = await send_all(database, Rooms(), [make_message(cid, "r", reply_to=target.id, temp_id=new_id())])
        await note(database, outcomes.values())
    assert seqs(await history.replies(cid, first.id, 0, 2, "alice")) == [3, 5]
    page = await history.replies(cid, first.id, 5, 2, "alice")
    assert seqs(page) == [6]
    assert page[0].temp_id is not None
    assert [message.temp_id for message in await history.replies(cid, first.id, 0, 9, "bob")] == [None] * 3
    assert seqs(await history.replies(cid, new_id(), 0, 9, "alice")) == []
    shown = {message.seq: message.replies for message in await history.newest(cid, 9)}
    assert [(r.count, r.last_seq) for r in shown.values() if r is not None] == [(3, 6), (1, 4)]


# ----------------------------------------------------------------------------------------- conversations, members


async def test_unread_mentions_are_counted_for_each_conversation(database: Database, history: History) -> None:
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
        found, _ = await history.conversations(viewer, 50, None)
        listed = {view.id: view.unread_mentions for view in found}
        assert listed == {c: (await history.conversation(c, viewer)).unread_mentions for c in listed}
        return listed

    assert await unread("bob") == {one: 2, other: 1, quiet: 0}
    assert await unread("third") == {one: 1, other: 1, quiet: 0}, "what was read is not counted"
    assert await unread("alice") == {one: 0, other: 0, quiet: 0}, "nor what one says oneself"


async def test_a_conversation_is_shown_as_its_member_sees_it(database: Database, history: History) -> None:
    cid = await talk(database, 5)  # the last one is Alice's
    await store_profiles(database, alice="Alice A.")
    seen = await history.conversation(cid, "bob")
    assert (seen.type, seen.name, seen.created_by, seen.last_seq, seen.member_count) == ("group", "Team", "alice", 5, 2)
    assert seen.unread_count == 1, "Bob has read up to his own last message"
    assert seen.last_message is not None
    assert (seen.last_message.seq, seen.last_message.temp_id) == (5, None)
    assert [(m.user_id, m.user_name, m.role, m.last_read_seq) for m in seen.members] == [
        ("alice", "Alice A.", "admin", 5),
        ("bob", "bob", "member", 4),  # whose token was never seen
    ]
    assert (await history.conversation(cid, "alice")).unread_count == 0


async def test_a_conversation_without_messages_is_shown_too(database: Database, history: History) -> None:
    seen = await history.conversation(await store_conversation(database), "alice")
    assert (seen.last_seq, seen.last_message, seen.unread_count) == (0, None, 0)


async def test_nobody_can_tell_an_unknown_conversation_from_one_of_others(database: Database, history: History) -> None:
    others, ended = await store_conversation(database), await store_conversation(database, deletedAt=now())
    answers = set()
    for cid, viewer in ((others, "bob"), (new_id(), "bob"), (ended, "alice")):
        with pytest.raises(Refusal) as refusal:
            await history.conversation(cid, viewer)
        answers.add((refusal.value.code, refusal.value.detail))
    assert answers == {(ErrorCode.NOT_A_MEMBER, ErrorCode.NOT_A_MEMBER.sentence)}


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_of_conversations_have_each_once_newest_activity_first(
    database: Database, history: History, limit: int
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
        page, cursor = await history.conversations("alice", limit, cursor)
        assert len(page) == limit or cursor is None
        found += [conversation.id for conversation in page]
        if cursor is None:
            break
    assert found == [cid for _, cid in sorted(active, reverse=True)]


@pytest.mark.parametrize("limit", [1, 2, 5, 10])
async def test_pages_of_members_have_each_once_longest_standing_first(
    database: Database, history: History, limit: int
) -> None:
    people = [f"user-{n}" for n in range(5)]
    cid = await store_conversation(database, {user: "member" for user in reversed(people)})
    # All but the first came at the same moment.
    query = {"conversationId": cid, "userId": {"$ne": "user-4"}}
    await database.memberships.update_many(query, {"$set": {"joinedAt": now() + timedelta(minutes=1)}})
    found: list[str] = []
    cursor: Cursor = None
    while True:
        page, cursor = await history.members(cid, limit, cursor)
        assert len(page) == limit or cursor is None
        found += [member.user_id for member in page]
        if cursor is None:
            break
    assert found == ["user-4", *people[:4]]


async def test_who_is_in_which_conversation(database: Database, history: History) -> None:
    mine, others = await store_conversation(database), await store_conversation(database, {"bob": "admin"})
    assert [await history.is_member(cid, "alice") for cid in (mine, others, new_id())] == [True, False, False]
    assert await history.memberships("alice", [mine, others, new_id()]) == {mine}


# ----------------------------------------------------------------------------------------------------- people


async def test_people_are_found_by_the_beginning_of_any_of_their_words(database: Database, history: History) -> None:
    await store_profiles(database, alice="Alice Ångström-Maß", bob="bob (alias .*)")

    async def found(query: str) -> list[str]:
        return [profile.user_id for profile in (await history.people(query, 10, None))[0]]

    for query in ("al", "ALI", "ång", "MASS", "alice ångström-m"):
        assert "alice" in await found(query), query
    assert await found("ali") == ["alice", "bob"]
    assert await found("lice") == []
    assert await found(".*") == [], "what was typed is no pattern"
    assert await found("bob (") == ["bob"]
    assert await found("") == ["alice", "bob"]


async def test_pages_of_people_meet_and_end(database: Database, history: History) -> None:
    await store_profiles(database, **{f"u{n}": "Same Name" for n in range(5)})
    found: list[str] = []
    after: str | None = None
    for _ in range(3):
        page, after = await history.people("same", 2, after)
        found += [profile.user_id for profile in page]
    assert (found, after) == ([f"u{n}" for n in range(5)], None)


async def test_a_profile_is_as_the_last_token_had_it(database: Database, history: History) -> None:
    await store_profiles(database, alice="Before")
    await store_profiles(database, alice="After")
    profile = await history.profile("alice")
    assert profile is not None
    assert profile.user_name == "After"
    assert await history.profile("nobody") is None
    assert [p.user_id for p in (await history.people("before", 10, None))[0]] == []


# -------------------------------------------------------------------------------------------------------- away


async def test_a_database_that_is_away_is_unavailable(
    settings: Settings, mongo_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "TIMEOUT_MS", 100)
    client, distant = mongo.connect(settings.model_copy(update={"mongodb_url": mongo_proxy.url}), "test")
    await mongo_proxy.refuse()
    with pytest.raises(Refusal) as refusal:
        async with reading():
            await History(distant).front_for("c", "alice")
    assert refusal.value.code == ErrorCode.UNAVAILABLE
    await asyncio.to_thread(client.close)

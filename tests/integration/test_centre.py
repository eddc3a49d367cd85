"""The notification centre as the notifier keeps it and a gateway reads it: shared, moved when it is read, and once each."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import ConnectionFailure

from contracts.notifying import Notification, ReadNotifications
from services.gateway.notifications import Notifications
from services.mongo import Database, create_collections
from services.notifier import centre
from tests.support.builders import make_command, store_conversation
from tests.support.faults import Fault, Kind, watched

pytestmark = pytest.mark.integration
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEEP = 10 * 365 * 86400.0


def news(cid: str, seq: int, people: dict[str, int]) -> centre.News:
    return centre.News(f"{cid}:{seq}", seq, f"m{seq}", START + timedelta(seconds=seq), people)


async def tell(database: Database, cid: str, seq: int, people: dict[str, int]) -> None:
    await centre.note(database, {centre.Place(cid, "message"): [news(cid, seq, people)]}, KEEP)


async def read_up_to(database: Database, cid: str, user: str, seq: int) -> None:
    await database.memberships.update_one({"conversationId": cid, "userId": user}, {"$set": {"lastReadSeq": seq}})


async def of(database: Database, user: str) -> list[Notification]:
    """Somebody's centre, page by page."""
    found: list[Notification] = []
    cursor = None
    while True:
        page, cursor = await Notifications(database).entries(user, 2, cursor)
        found += page
        if cursor is None:
            return found


def shown(entries: list[Notification]) -> list[tuple[int | None, int, bool]]:
    return [(entry.seq, entry.count, entry.read_at is not None) for entry in entries]


async def test_a_document_for_all_who_have_not_read_it(database: Database) -> None:
    people = {f"user {n}": "member" for n in range(30)}
    cid = await store_conversation(database, {"alice": "admin", **people})
    for seq in (1, 2, 3):
        await tell(database, cid, seq, dict.fromkeys(people, 0))
    (document,) = await database.unread.find().to_list(None)
    assert [len(group["people"]) for group in document["groups"]] == [30]
    for user in ("user 0", "user 29"):
        assert shown(await of(database, user)) == [(3, 3, False)]
        assert await Notifications(database).unread(user) == 1
    assert await of(database, "alice") == []


async def test_what_was_read_is_kept_and_pages_hold_both(database: Database) -> None:
    """Newest first, whatever goes on and whatever has ended; each once, under an id that stays."""
    cids = [await store_conversation(database, {"alice": "admin", "bob": "member", "$carol": "member"}) for _ in "abc"]
    seq = 0
    for number in range(4):
        for cid in cids:
            seq += 1
            await tell(database, cid, seq, {"bob": seq - 1, "$carol": 0})
            if number == 0 and cid == cids[0]:
                (before,) = await of(database, "$carol")
    bob, carol = await of(database, "bob"), await of(database, "$carol")
    for cid in cids:
        await read_up_to(database, cid, "bob", 9)
    assert shown(await of(database, "bob")) == [(n, 1, n <= 9) for n in range(12, 0, -1)]
    assert shown(carol) == [(n, 4, False) for n in (12, 11, 10)]
    assert before.id == carol[-1].id
    assert len({entry.id for entry in bob}) == 12
    # For each conversation, what goes on and what was over last; and what was over before.
    assert await database.unread.count_documents({}) == len(cids)
    assert await database.notifications.count_documents({"people": "bob"}) == 6
    moments = [await Notifications(database).moment_of("bob", entry.id) for entry in bob]
    assert moments == [entry.created_at for entry in bob]
    assert await Notifications(database).moment_of("$carol", bob[0].id) is None


async def test_it_is_marked_for_one_person_up_to_a_moment(database: Database) -> None:
    one, other = [await store_conversation(database, {"bob": "member", "carol": "member"}) for _ in "ab"]
    await tell(database, one, 1, {"bob": 0, "carol": 0})
    await tell(database, other, 2, {"bob": 0, "carol": 0})
    until = START + timedelta(seconds=1)
    command = make_command(ReadNotifications, actor="bob", until=until)
    for _ in "ab":  # as after a crash
        await centre.mark_read(database, command)
    assert shown(await of(database, "bob")) == [(2, 1, False), (1, 1, True)]
    assert shown(await of(database, "carol")) == [(2, 1, False), (1, 1, False)]
    assert (await of(database, "bob"))[1].read_at == until
    # What follows begins another for Bob, and goes on for Carol.
    await tell(database, one, 3, {"bob": 0, "carol": 0})
    assert shown(await of(database, "bob")) == [(3, 1, False), (2, 1, False), (1, 1, True)]
    assert shown(await of(database, "carol")) == [(3, 2, False), (2, 1, False)]
    assert (await of(database, "bob"))[2].read_at == until
    await centre.mark_read(database, make_command(ReadNotifications, actor="carol", until=START, conversation_id=one))
    assert await Notifications(database).unread("carol") == 2, "nothing is as old"
    later = START + timedelta(seconds=9)
    await centre.mark_read(database, make_command(ReadNotifications, actor="carol", until=later, conversation_id=one))
    assert await Notifications(database).unread("carol") == 1


@pytest.mark.parametrize("step", ["unread.find", "notifications.bulk_write", "unread.bulk_write"])
@pytest.mark.parametrize("kind", ["dies", "fails"])
async def test_who_dies_between_has_moved_it_once(database: Database, kind: Kind, step: str) -> None:
    cid = await store_conversation(database, {"bob": "member", "carol": "member"})
    await tell(database, cid, 1, {"bob": 0, "carol": 0})
    await tell(database, cid, 2, {"bob": 1, "carol": 0})
    faulty = watched(database, Fault(kind, step))
    with pytest.raises((asyncio.CancelledError, ConnectionFailure)):
        await tell(faulty, cid, 3, {"bob": 2, "carol": 0})
    assert len(await of(database, "bob")) == (3 if (kind, step) == ("dies", "unread.bulk_write") else 2), "each once"
    # Meanwhile somebody else who read the membership earlier is faster.
    await tell(database, cid, 4, {"bob": 1, "carol": 0})
    await tell(database, cid, 3, {"bob": 2, "carol": 0})
    mine = shown(await of(database, "bob"))
    assert (sum(count for _, count, _ in mine), mine[-1]) == (4, (1, 1, True))
    assert len({entry.id for entry in await of(database, "bob")}) == len(mine)
    assert shown(await of(database, "carol")) == [(4, 4, False)]
    moved = [(user, entry["entry"]) async for entry in database.notifications.find() for user in entry["people"]]
    assert len(set(moved)) == len(moved) > 0


async def test_notifiers_that_meet_count_everything_once(database: Database) -> None:
    await create_collections(database, "notifier")
    cid = await store_conversation(database, {f"user {n}": "member" for n in range(5)})
    people = {f"user {n}": 0 for n in range(5)}
    place = centre.Place(cid, "message")

    async def notifier(number: int) -> None:
        for seq in range(1 + number, 31, 2):
            for _ in range(20):  # as its events come again
                try:
                    await centre.note(database, {place: [news(cid, seq, people)]}, KEEP)
                    break
                except centre.Contended:
                    pass

    await asyncio.gather(notifier(0), notifier(1), notifier(0))
    assert shown(await of(database, "user 3")) == [(30, 30, False)]

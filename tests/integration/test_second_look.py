"""What is not read in a moment is kept, and told to those who are not here: once, folded, and wherever a notifier dies."""

from asyncio import timeout
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest

from contracts import fanout, lines
from contracts.events import ConversationChange, ConversationUpdated, MessageCreated
from contracts.message import Message
from contracts.notifying import Delivery, DoNotDisturb, Level, NotificationSettings
from contracts.presence import Here as Status
from contracts.shape import now
from services.mongo import Database
from services.notifier import centre, consumer, due, here
from services.notifier.settings import Settings
from tests.support.builders import new_id, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault, Kind
from tests.support.notifier import Notifier
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
TWO = {"alice": "admin", "bob": "member"}


async def reach(_: Database, users: Collection[str]) -> set[str]:
    """Bob has a device, and so has Carol."""
    return {"bob", "carol"} & set(users)


PUSH = {"push": reach}


@pytest.fixture
def look(notifier_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A notifier that looks a second time at once, and knows at once who is here."""
    monkeypatch.setattr(here, "ANSWERED", 0.0)
    return notifier_settings.model_copy(update={"notify_delay": 0})


async def write(database: Database, cid: str, seq: int, sender: str = "alice", **fields: Any) -> MessageCreated:
    """A stored message, and the event that tells of it."""
    message = Message(
        **{
            "id": new_id(),
            "conversation_id": cid,
            "seq": seq,
            "sender_id": sender,
            "sender_name": sender.title(),
            "sender_avatar": None,
            "content": f"message {seq}",
            "created_at": now(),
            **fields,
        }
    )
    document = message.model_dump(by_alias=True)
    await database.messages.insert_one({"_id": document.pop("id"), **document})
    return MessageCreated(id=f"{cid}:{seq}", subject=cid, time=now(), data=message)


def added(cid: str, *users: str) -> ConversationUpdated:
    change = ConversationChange(conversation_id=cid, update_type="member_added", actor_id="alice", user_ids=list(users))
    return ConversationUpdated(id=f"{cid}:{new_id()}", subject=cid, time=now(), data=change)


async def happen(tap: Tap, *events: MessageCreated | ConversationUpdated) -> None:
    """All of it comes in one AMQP message."""
    await tap.put(tap.topology.batches.name, "", lines.pack([event.encode() for event in events]))


async def looked_at(notifier: Notifier, tap: Tap, count: int = 1) -> None:
    await eventually(lambda: notifier.due.acked >= count, poll=0.005)
    await tap.caught_up()


async def told(settings: Settings, database: Database, tap: Tap, *events: Any) -> list[Delivery]:
    """What the channel is given when these have happened together."""
    async with Notifier(settings, database, channels=PUSH) as notifier:
        await happen(tap, *events)
        await looked_at(notifier, tap)
    return tap.deliveries


async def entries(database: Database, cid: str) -> list[tuple[str, str, int, int]]:
    """Person, kind, newest seq and count of each: of those that have ended, and of those that go on."""
    return sorted(await ended(database, cid) + await going_on(database, cid))


async def ended(database: Database, cid: str) -> list[tuple[str, str, int, int]]:
    found = database.notifications.find({"conversationId": cid})
    moved = [(user, e["kind"], e["seq"], e["count"]) async for e in found for user in e["people"]]
    return sorted({*moved, *await in_groups(database, cid, over=True)})


async def going_on(database: Database, cid: str) -> list[tuple[str, str, int, int]]:
    return sorted(await in_groups(database, cid, over=False))


async def in_groups(database: Database, cid: str, *, over: bool) -> list[tuple[str, str, int, int]]:
    found = database.unread.find({"conversationId": cid})
    return [
        (user, document["kind"], group["seq"], group["count"])
        async for document in found
        for group in document["groups"]
        for user in group["people"]
        if group["over"] == over
    ]


async def waiting(tap: Tap, seconds: int = 60) -> int:
    """How many AMQP messages wait to be looked at again."""
    queue = await tap.queue(tap.topology.waiting_queue(seconds).name)
    return queue.declaration_result.message_count or 0


async def sizes(tap: Tap, count: int) -> list[int]:
    """The bytes of so many AMQP messages that are to be looked at again in a minute."""

    async def are_there() -> bool:
        return await waiting(tap) == count

    await eventually(are_there)
    queue = await tap.queue(tap.topology.waiting_queue(60).name)
    return [len((await queue.get(no_ack=True, timeout=5)).body) for _ in range(count)]


# ------------------------------------------------------------------------------------------------------- who


async def test_who_is_not_here_is_told_by_the_channels_that_they_have(
    look: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, {**TWO, "third": "member"})
    event = await write(database, cid, 1)
    (delivery,) = await told(look, database, tap, event)
    assert (delivery.id, delivery.user_id, delivery.kind, delivery.count) == (f"{cid}:1:bob", "bob", "message", None)
    assert (delivery.conversation_name, delivery.sender_name, delivery.preview) == ("Team", "Alice", "message 1")
    assert (delivery.message_id, delivery.seq) == (event.data.id, 1)
    assert (delivery.expires_at - delivery.created_at).total_seconds() == look.notify_until
    assert await entries(database, cid) == [("bob", "message", 1, 1), ("third", "message", 1, 1)]


async def test_what_was_read_meanwhile_is_no_news(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, TWO)
    await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"lastReadSeq": 1}})
    assert await told(look, database, tap, await write(database, cid, 1)) == []
    assert await entries(database, cid) == []


@pytest.mark.parametrize(
    ("level", "mention", "tells"),
    [("all", False, True), ("mentions", False, False), ("mentions", True, True), ("nothing", True, False)],
)
async def test_levels_hold_for_frames_entries_and_channels(
    look: Settings, database: Database, tap: Tap, level: Level, mention: bool, tells: bool
) -> None:
    cid = await store_conversation(database, TWO)
    await database.notification_settings.insert_one(
        {"userId": "bob", "conversationId": None, "settings": NotificationSettings(level=level).model_dump()}
    )
    event = await write(database, cid, 1, mentions=["bob"] if mention else None)
    async with Notifier(look, database, channels=PUSH) as notifier:
        await happen(tap, event)
        await notifier.acknowledged(1)
        if tells:
            await looked_at(notifier, tap)
    await tap.caught_up()
    frames = [item.unread for item, _ in tap.items if isinstance(item, fanout.Notification)]
    kind = "mention" if mention else "message"
    assert frames == ([{"bob": 1}] if tells else [])
    assert [delivery.kind for delivery in tap.deliveries] == ([kind] if tells else [])
    assert await entries(database, cid) == ([("bob", kind, 1, 1)] if tells else [])


async def test_the_level_of_a_conversation_counts_before_the_general_one(
    look: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, TWO)
    general = NotificationSettings(level="nothing").model_dump()
    await database.notification_settings.insert_many(
        [
            {"userId": "bob", "conversationId": None, "settings": general},
            {"userId": "bob", "conversationId": cid, "level": "all"},
        ]
    )
    assert len(await told(look, database, tap, await write(database, cid, 1))) == 1


async def test_who_is_not_to_be_disturbed_finds_it_in_the_centre(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, TWO)
    always = DoNotDisturb(start="00:00", end="00:00", time_zone="UTC")
    settings = NotificationSettings(do_not_disturb=always).model_dump()
    await database.notification_settings.insert_one({"userId": "bob", "conversationId": None, "settings": settings})
    assert await told(look, database, tap, await write(database, cid, 1)) == []
    assert await entries(database, cid) == [("bob", "message", 1, 1)]


async def say(tap: Tap, notifier: Notifier, status: Status) -> None:
    """A gateway tells that Bob is there; the notifier has heard of it."""
    item = fanout.Presence(gateway_id="g1", here={"bob": status})
    heard = notifier.heard.acked
    await tap.put(tap.topology.presence.name, "", fanout.pack([(item, fanout.NULL)]))
    await eventually(lambda: notifier.heard.acked > heard, poll=0.005)


@pytest.mark.parametrize(("status", "again"), [("online", 1), ("busy", 1), ("away", 0)])
async def test_who_is_here_is_looked_at_once_more(
    look: Settings, database: Database, tap: Tap, status: Status, again: int
) -> None:
    cid = await store_conversation(database, TWO)
    event = await write(database, cid, 1)
    async with Notifier(look, database, channels=PUSH) as notifier:
        await say(tap, notifier, status)
        await happen(tap, event)
        await looked_at(notifier, tap)
        assert (len(tap.deliveries), await waiting(tap)) == (1 - again, again)
        # A minute later nobody waits any longer for who is still here.
        await tap.put(tap.topology.work.name, due.LAST_LOOK, event.encode())
        await looked_at(notifier, tap, 2)
        assert (len(tap.deliveries), await waiting(tap)) == (1 - again, again)


async def test_the_people_of_a_gateway_that_dies_are_here_no_longer(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "TICK", 0.02)
    cid = await store_conversation(database, TWO)
    event = await write(database, cid, 1)
    brief = look.model_copy(update={"presence_believed": 0.3})
    async with Notifier(brief, database, channels=PUSH) as notifier:
        await say(tap, notifier, "online")

        async def look_again() -> bool:
            seen = notifier.due.acked
            await tap.put(tap.topology.work.name, due.LAST_LOOK, event.encode())
            await looked_at(notifier, tap, seen + 1)
            return bool(tap.deliveries)

        while not await look_again():  # the test's own time limit ends it
            pass
    assert [delivery.user_id for delivery in tap.deliveries] == ["bob"]


async def test_who_was_added_is_told_once_and_has_an_entry(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, TWO)
    event = added(cid, "bob")
    async with Notifier(look, database, channels=PUSH) as notifier:
        await happen(tap, event)
        await looked_at(notifier, tap)
        await happen(tap, event)  # as after a crash
        await looked_at(notifier, tap, 2)
    assert {(d.id, d.kind, d.seq) for d in tap.deliveries} == {(f"{event.id}:bob", "added", None)}
    assert await entries(database, cid) == [("bob", "added", 1, 1)]


async def test_what_is_looked_at_again_comes_in_as_large_amqp_messages_as_may_be(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BATCH_BYTES", 4000)
    cid = await store_conversation(database, TWO)
    events = [await write(database, cid, seq, content="x" * 1000) for seq in range(1, 6)]
    later = look.model_copy(update={"notify_delay": 60})
    async with Notifier(later, database, channels=PUSH) as notifier:
        await happen(tap, *events)
        await notifier.acknowledged(1)
    assert all(size <= 4000 for size in await sizes(tap, 3)), "two in each"


async def test_what_is_looked_at_once_more_does_so_too(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "BATCH_BYTES", 4000)
    cid = await store_conversation(database, TWO)
    events = [await write(database, cid, seq, content="x" * 1000) for seq in range(1, 6)]
    async with Notifier(look, database, channels=PUSH) as notifier:
        await say(tap, notifier, "online")
        await happen(tap, *events)
        await looked_at(notifier, tap)
    assert all(size <= 4000 for size in await sizes(tap, 3)), "two in each"


# --------------------------------------------------------------------------------------------------- folding


async def test_a_burst_is_told_once_up_to_the_newest(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, TWO)
    burst = [await write(database, cid, seq) for seq in range(1, 6)]
    async with Notifier(look, database, channels=PUSH) as notifier:
        for count, event in enumerate(burst, 1):
            await happen(tap, event)
            await looked_at(notifier, tap, count)
    (delivery,) = tap.deliveries
    assert (delivery.id, delivery.count, delivery.preview) == (f"{cid}:5:bob", 5, "message 5")
    assert await entries(database, cid) == [("bob", "message", 5, 5)]
    assert await waiting(tap) == 0


async def test_much_at_once_is_looked_at_in_portions_and_each_is_told_once(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PORTION", 4)
    cids = [await store_conversation(database, TWO) for _ in range(5)]
    events = [await write(database, cid, seq) for seq in range(1, 4) for cid in cids]
    deliveries = await told(look, database, tap, *events)
    expected = {(f"{cid}:3:bob", 3) for cid in cids}
    assert {(delivery.id, delivery.count) for delivery in deliveries} == expected
    assert len(deliveries) == len(cids), "what is of one conversation stays together"
    for cid in cids:
        assert await entries(database, cid) == [("bob", "message", 3, 3)]


async def test_what_follows_waits_a_while_unless_it_mentions_somebody(
    look: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, TWO)
    async with Notifier(look, database, channels=PUSH) as notifier:
        for count, mentions in enumerate((None, None, ["bob"]), 1):
            await happen(tap, await write(database, cid, count, mentions=mentions))
            await looked_at(notifier, tap, count)
        assert await waiting(tap) == 1
    first, second = tap.deliveries
    assert (first.seq, first.kind, first.count) == (1, "message", None)
    assert (second.seq, second.kind) == (3, "mention")


async def test_it_shows_what_mentions_one_and_nothing_that_was_deleted(
    look: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, TWO)
    burst = [
        await write(database, cid, 1),
        await write(database, cid, 2, mentions=["bob"]),
        await write(database, cid, 3, sender="bob"),
        await write(database, cid, 4, is_deleted=True),
    ]
    (delivery,) = await told(look, database, tap, *burst)
    assert (delivery.seq, delivery.kind, delivery.count) == (2, "mention", 2)


async def test_each_is_told_up_to_the_newest_however_far_apart_they_have_read(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "FOLDED", 3)
    cid = await store_conversation(database, {**TWO, "carol": "member"})
    await database.memberships.update_one({"conversationId": cid, "userId": "carol"}, {"$set": {"lastReadSeq": 6}})
    burst = [await write(database, cid, seq) for seq in range(1, 9)]
    deliveries = await told(look, database, tap, *burst)
    assert {(d.id, d.count) for d in deliveries} == {(f"{cid}:8:bob", 3), (f"{cid}:8:carol", 2)}


@pytest.mark.parametrize("level", ["all", "mentions"])
async def test_a_mention_is_told_however_much_was_said_after_it(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    monkeypatch.setattr(due, "FOLDED", 3)
    cid = await store_conversation(database, TWO)
    await database.notification_settings.insert_one({"userId": "bob", "conversationId": cid, "level": level})
    burst = [await write(database, cid, seq, mentions=["bob"] if seq == 4 else None) for seq in range(1, 9)]
    (delivery,) = await told(look, database, tap, *burst)
    counted = 1 if level == "mentions" else 3 + 1
    assert (delivery.id, delivery.kind, delivery.count or 1) == (f"{cid}:4:bob", "mention", counted)


async def test_a_crowd_has_entries_for_mentions_only(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, {**TWO, "third": "member"})
    small = look.model_copy(update={"entries_up_to": 2})
    burst = [await write(database, cid, 1), await write(database, cid, 2, mentions=["bob"])]
    await told(small, database, tap, *burst)
    assert await entries(database, cid) == [("bob", "mention", 2, 1)]


async def test_an_entry_goes_on_until_it_is_read(look: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, TWO)
    async with Notifier(look, database) as notifier:
        await happen(tap, await write(database, cid, 1), await write(database, cid, 2))
        await looked_at(notifier, tap, 1)
        await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"lastReadSeq": 2}})
        await happen(tap, await write(database, cid, 3))
        await looked_at(notifier, tap, 2)
        await happen(tap, await write(database, cid, 4))
        await looked_at(notifier, tap, 3)
    assert await ended(database, cid) == [("bob", "message", 2, 2)]
    assert await going_on(database, cid) == [("bob", "message", 4, 2)]


# ---------------------------------------------------------------------------------------------------- crashes


async def story(database: Database) -> tuple[str, list[MessageCreated]]:
    cid = await store_conversation(database, TWO)
    return cid, [
        await write(database, cid, 1),
        await write(database, cid, 2),
        await write(database, cid, 3, mentions=["bob"]),
    ]


async def survives(settings: Settings, database: Database, tap: Tap, kind: Kind, number: int) -> bool:
    """Whether it went wrong at this step; if so, that everybody was told once all the same."""
    cid, events = await story(database)
    async with Notifier(settings, database, Fault(kind), channels=PUSH) as faulty:
        await eventually(lambda: all(s.live for s in faulty.broker.subscriptions))
        faulty.fault.arm(number)
        await happen(tap, *events)
        async with timeout(20):
            while not faulty.fault.happened:
                if await database.deliveries.find_one({"conversationId": cid, "told": True}):
                    return False  # that was the last step
    async with Notifier(settings, database, channels=PUSH):
        # What comes after all that was left is told: so all that was left is done.
        last = await store_conversation(database, TWO)
        await happen(tap, await write(database, last, 1))
        await eventually(lambda: any(d.conversation_id == last for d in tap.deliveries), timeout=20)
    await tap.caught_up()
    steps = f"{kind} at {number}: {faulty.fault.steps}"
    mine = {d.id: (d.kind, d.count) for d in tap.deliveries if d.conversation_id == cid}
    assert mine == {f"{cid}:3:bob": ("mention", 3)}, steps
    assert await entries(database, cid) == [("bob", "mention", 3, 1), ("bob", "message", 2, 2)], steps
    return True


@pytest.mark.parametrize("kind", ["dies", "fails", "unheard"])
async def test_wherever_a_notifier_stops_everybody_is_told_once(
    look: Settings, database: Database, tap: Tap, kind: Kind
) -> None:
    """At every step, one after the other, each with a conversation of its own."""
    number = 1
    while await survives(look, database, tap, kind, number):
        number += 1
    assert number > 10


async def test_what_a_notifier_died_over_is_told_however_much_was_said_after_it(
    look: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "FOLDED", 3)
    cid = await store_conversation(database, TWO)
    burst = [await write(database, cid, seq) for seq in range(1, 9)]
    left = {"seq": 2, "shown": 1, "kind": "message", "count": 2, "at": now(), "told": False}
    await database.deliveries.insert_one({"userId": "bob", "conversationId": cid, **left})
    (delivery,) = await told(look, database, tap, burst[-1])
    assert (delivery.id, delivery.count) == (f"{cid}:1:bob", 2)


@pytest.mark.parametrize(
    ("order", "count"),
    [((1, 3, 2, 4), 4), ((3, 2, 1), 3), ((1, 4, 2, 2, 3, 1), 4), ((70, 69, 68, 70, 68, 72), 4), ((70, 1), 1)],
)
async def test_each_counts_once_in_whatever_order_they_come(
    look: Settings, database: Database, order: tuple[int, ...], count: int
) -> None:
    """What is too far below the newest is taken for counted."""
    place, moment = centre.Place("c1", "message"), now()
    for seq in order:
        news = centre.News(f"c1:{seq}", seq, f"m{seq}", moment + timedelta(seconds=seq), {"bob": 0})
        await centre.note(database, {place: [news, news]}, 60)
    newest = max(order)
    assert await entries(database, "c1") == [("bob", "message", newest, count)]
    entry = await database.unread.find_one({})
    assert entry is not None
    (group,) = entry["groups"]
    assert (group["messageId"], group["at"]) == (f"m{newest}", moment + timedelta(seconds=newest))


async def test_two_who_begin_the_same_entry_keep_one(look: Settings, database: Database) -> None:
    place = centre.Place("c1", "message")
    news = [centre.News(f"c1:{seq}", seq, f"m{seq}", now(), {"bob": 0}) for seq in (1, 2, 3)]
    await centre.note(database, {place: news[:1]}, 60)
    await centre.note(database, {place: news[:2]}, 60)
    await centre.note(database, {place: news}, 60)
    await centre.note(database, {place: news[1:]}, 60)
    assert await entries(database, "c1") == [("bob", "message", 3, 3)]

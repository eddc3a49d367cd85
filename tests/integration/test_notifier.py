"""Members who are not looking are told of what concerns them, each with their own count, and nobody of anything else."""

import json
from typing import Any

import pytest

from contracts import events, fanout
from contracts.events import ConversationChange, ConversationUpdated, MessageCreated
from contracts.frames import UpdateType
from contracts.message import Message
from contracts.shape import now
from services.mongo import Database
from services.notifier import recipients
from services.notifier.settings import Settings
from tests.support.builders import new_id, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault
from tests.support.notifier import Notifier
from tests.support.tap import Tap
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
THREE = {"alice": "admin", "bob": "member", "third": "member"}


def message_created(conversation_id: str, seq: int, content: str = "hello", sender: str = "alice") -> MessageCreated:
    message = Message(
        id=new_id(),
        conversation_id=conversation_id,
        seq=seq,
        sender_id=sender,
        sender_name=sender.title(),
        sender_avatar=None,
        content=content,
        created_at=now(),
    )
    return MessageCreated(id=f"{conversation_id}:{seq}", subject=conversation_id, time=now(), data=message)


def changed(conversation_id: str, update_type: UpdateType, **fields: Any) -> ConversationUpdated:
    change = ConversationChange(conversation_id=conversation_id, update_type=update_type, actor_id="alice", **fields)
    return ConversationUpdated(id=f"{conversation_id}:{new_id()}", subject=conversation_id, time=now(), data=change)


async def publish(tap: Tap, *happened: events.Event) -> None:
    for event in happened:
        await tap.put(tap.topology.batches.name, "", event.encode())


def notifications(tap: Tap) -> list[tuple[fanout.Notification, dict[str, Any]]]:
    """What was told, with the frame that gateways complete."""
    return [(item, json.loads(data)) for item, data in tap.items if isinstance(item, fanout.Notification)]


async def handled(settings: Settings, database: Database, tap: Tap, *happened: events.Event) -> list[dict[str, int]]:
    """A notifier has handled these; whom it told, with their counts."""
    async with Notifier(settings, database) as notifier:
        await publish(tap, *happened)
        await notifier.acknowledged(len(happened))
    await tap.caught_up()
    return [item.unread for item, _ in notifications(tap)]


async def test_a_message_is_told_to_every_other_member_with_their_own_count(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, THREE)
    await database.memberships.update_one({"conversationId": cid, "userId": "third"}, {"$set": {"lastReadSeq": 5}})
    event = message_created(cid, 7)
    assert await handled(notifier_settings, database, tap, event) == [{"bob": 7, "third": 2}]
    ((item, frame),) = notifications(tap)
    assert (item.id, item.conversation_id) == (f"{cid}:7/0", cid)
    # Gateways add the type, the time and the recipient's count.
    assert frame == {
        "kind": "message",
        "conversationId": cid,
        "conversationName": "Team",
        "messageId": event.data.id,
        "seq": 7,
        "senderName": "Alice",
        "preview": "hello",
    }


async def test_who_has_read_further_has_nothing_unread(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, {"alice": "admin", "bob": "member"})
    await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"lastReadSeq": 9}})
    assert await handled(notifier_settings, database, tap, message_created(cid, 7)) == [{"bob": 0}]


@pytest.mark.parametrize(("length", "preview"), [(5, "hello"), (140, "hello world"), (0, None)])
async def test_a_preview_is_as_long_as_is_set(
    notifier_settings: Settings, database: Database, tap: Tap, length: int, preview: str | None
) -> None:
    cid = await store_conversation(database, THREE)
    settings = notifier_settings.model_copy(update={"preview_length": length})
    await handled(settings, database, tap, message_created(cid, 1, "hello world"))
    ((_, frame),) = notifications(tap)
    assert frame.get("preview") == preview


async def test_nobody_is_told_of_a_message_to_themselves_or_in_a_conversation_that_is_gone(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    alone = await store_conversation(database)
    happened = [message_created(alone, 1), message_created(new_id(), 1)]
    assert await handled(notifier_settings, database, tap, *happened) == []


async def test_who_muted_it_is_told_of_mentions_only(notifier_settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, THREE)
    await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"muted": True}})
    plain, mention = message_created(cid, 1), message_created(cid, 2)
    mention = mention.model_copy(update={"data": mention.data.model_copy(update={"mentions": ["bob"]})})
    assert await handled(notifier_settings, database, tap, plain, mention) == [{"third": 1}, {"bob": 2}, {"third": 2}]


def mentioning(event: MessageCreated, **fields: Any) -> MessageCreated:
    """The same event, of a message with these mentions."""
    return event.model_copy(update={"data": event.data.model_copy(update=fields)})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mentions": ["bob"]}, [("mention", {"bob": 7}), ("message", {"third": 7})]),
        ({"mentions": ["bob", "third"]}, [("mention", {"bob": 7, "third": 7})]),
        ({"mentions": ["alice"]}, [("message", {"bob": 7, "third": 7})]),
        ({"mentions": ["left meanwhile"]}, [("message", {"bob": 7, "third": 7})]),
        ({"mention_all": True}, [("mention", {"bob": 7, "third": 7, "muted": 7})]),
        ({"mention_all": True, "mentions": ["bob"]}, [("mention", {"bob": 7, "third": 7, "muted": 7})]),
        ({"mentions": ["muted"]}, [("mention", {"muted": 7}), ("message", {"bob": 7, "third": 7})]),
    ],
)
async def test_who_is_mentioned_is_told_so_once(
    notifier_settings: Settings, database: Database, tap: Tap, fields: dict[str, Any], told: list[Any]
) -> None:
    cid = await store_conversation(database, {**THREE, "muted": "member"})
    await database.memberships.update_one({"conversationId": cid, "userId": "muted"}, {"$set": {"muted": True}})
    event = mentioning(message_created(cid, 7), **fields)
    await handled(notifier_settings, database, tap, event)
    assert [(frame["kind"], item.unread) for item, frame in notifications(tap)] == told
    assert len({item.id for item, _ in notifications(tap)}) == len(told), "gateways drop an id that comes again"
    for _, frame in notifications(tap):
        assert (frame["messageId"], frame["senderName"], frame["preview"]) == (event.data.id, "Alice", "hello")


@pytest.mark.parametrize("update_type", ["created", "member_added"])
async def test_who_is_brought_in_is_told_and_who_brought_them_is_not(
    notifier_settings: Settings, database: Database, tap: Tap, update_type: UpdateType
) -> None:
    cid = await store_conversation(database, THREE)
    event = changed(cid, update_type, user_ids=["alice", "bob", "left at once"])
    assert await handled(notifier_settings, database, tap, event) == [{"bob": 0}]
    ((_, frame),) = notifications(tap)
    assert (frame["kind"], frame["conversationId"], frame["conversationName"]) == ("added", cid, "Team")


async def test_nobody_is_told_of_anything_else(notifier_settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, THREE)
    edit = events.MessageChange(message=message_created(cid, 1).data, change="edited")
    read = events.Read(conversation_id=cid, user_id="bob", seq=1)
    others: list[events.Event] = [
        changed(cid, "name_changed", name="Other"),
        changed(cid, "member_removed", user_ids=["bob"]),
        changed(cid, "deleted"),
        events.MessageUpdated(id=new_id(), subject=cid, time=now(), data=edit),
        events.ReadUpdated(id=new_id(), subject=cid, time=now(), data=read),
    ]
    assert await handled(notifier_settings, database, tap, *others, message_created(cid, 1)) == [{"bob": 1, "third": 1}]


async def test_many_recipients_are_told_in_parts_that_gateways_tell_apart(
    notifier_settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "AT_ONCE", 2)
    cid = await store_conversation(database, {f"user-{n}": "member" for n in range(5)})
    assert [len(part) for part in await handled(notifier_settings, database, tap, message_created(cid, 1))] == [2, 2, 1]
    told = notifications(tap)
    assert [item.id for item, _ in told] == [f"{cid}:1/{start}" for start in (0, 2, 4)]
    assert {user for item, _ in told for user in item.unread} == {f"user-{n}" for n in range(5)}


async def test_events_are_told_in_their_order_and_each_conversation_to_its_own(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    one = await store_conversation(database, {"alice": "admin", "bob": "member"})
    other = await store_conversation(database, {"alice": "admin", "third": "member"}, name=None)
    happened = [message_created(cid, seq) for seq in range(1, 11) for cid in (one, other)]
    await handled(notifier_settings, database, tap, *happened)
    told = [(item.conversation_id, list(item.unread)) for item, _ in notifications(tap)]
    assert told == [(one, ["bob"]), (other, ["third"])] * 10
    assert [frame["seq"] for item, frame in notifications(tap) if item.conversation_id == one] == list(range(1, 11))


# --------------------------------------------------------------------------------- again, unknown, undecodable


async def test_what_is_told_again_after_a_crash_has_the_same_id(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, THREE)
    async with Notifier(notifier_settings, database, Fault("dies", "publish chat.fanout")) as dying:
        await publish(tap, message_created(cid, 1))
        await eventually(lambda: dying.fault.happened)
    async with Notifier(notifier_settings, database) as notifier:
        await notifier.acknowledged(1)
    await tap.caught_up()
    first, second = notifications(tap)
    assert first == second


async def test_an_event_of_a_newer_version_is_passed_over(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, THREE)
    event = message_created(cid, 1)
    newer = event.encode().replace(b"chat.message.created.v1", b"chat.message.pinned.v1")
    async with Notifier(notifier_settings, database) as notifier:
        await tap.put(tap.topology.batches.name, "", newer)
        await publish(tap, event)
        await notifier.acknowledged(2)
    await tap.caught_up()
    assert (len(notifications(tap)), tap.dead) == (1, [])


async def test_an_event_that_cannot_be_read_is_set_aside_and_spoils_nothing(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, THREE)
    bad = [b"{", b"[]", b'{"id": "x"}', message_created(cid, 1).encode().replace(b'"seq":1', b'"seq":"one"')]
    async with Notifier(notifier_settings, database) as notifier:
        await publish(tap, message_created(cid, 1))
        for body in bad:
            await tap.put(tap.topology.batches.name, "", body)
        await publish(tap, message_created(cid, 2))
        await notifier.acknowledged(6)
    await tap.caught_up()
    assert [frame["seq"] for _, frame in notifications(tap)] == [1, 2]
    assert [letter.body for letter in tap.dead] == bad
    for letter in tap.dead:
        assert letter.routing_key == tap.topology.notifier_queue.name
        assert letter.headers["x-service"] == "notifier"
        # Replayed, it comes back here, not to everybody who has had the event.
        assert (letter.headers["x-exchange"], letter.headers["x-routing-key"]) == ("", tap.topology.notifier_queue.name)
        assert letter.headers["x-first-failed-at"] > "2000-"
    assert "data.seq" in tap.dead[3].headers["x-reason"]


# ------------------------------------------------------------------------------------------------ away and back


async def test_what_happens_while_mongodb_is_away_is_told_when_it_is_back(
    notifier_settings: Settings, database: Database, distant_database: Database, tap: Tap, mongo_proxy: TcpProxy
) -> None:
    cid = await store_conversation(database, THREE)
    async with Notifier(notifier_settings, distant_database) as notifier:
        await publish(tap, message_created(cid, 1))
        await notifier.acknowledged(1)
        await mongo_proxy.refuse()
        await publish(tap, message_created(cid, 2), message_created(cid, 3))
        await mongo_proxy.heal()
        await notifier.acknowledged(3, timeout=20)
    await tap.caught_up()
    assert [frame["seq"] for _, frame in notifications(tap)] == [1, 2, 3]


@pytest.mark.parametrize("step", ["memberships.find", "publish chat.fanout"])
async def test_a_batch_that_is_tried_again_sets_nothing_aside_twice(
    notifier_settings: Settings, database: Database, tap: Tap, step: str
) -> None:
    cid = await store_conversation(database, THREE)
    await tap.put(tap.topology.batches.name, "", b"{")
    await publish(tap, message_created(cid, 1))
    async with Notifier(notifier_settings, database, Fault("fails", step)) as notifier:
        await notifier.acknowledged(2)
    await tap.caught_up()
    assert notifier.fault.happened
    assert [letter.body for letter in tap.dead] == [b"{"]
    assert [frame["seq"] for _, frame in notifications(tap)] == [1]


async def test_what_happens_while_rabbitmq_is_away_is_told_when_it_is_back(
    notifier_settings: Settings, database: Database, tap: Tap, amqp_proxy: TcpProxy
) -> None:
    cid = await store_conversation(database, THREE)
    async with Notifier(notifier_settings.model_copy(update={"amqp_url": amqp_proxy.url}), database) as notifier:
        await publish(tap, message_created(cid, 1))
        await notifier.acknowledged(1)
        await amqp_proxy.refuse()
        await publish(tap, message_created(cid, 2))
        await amqp_proxy.heal()
        await eventually(lambda: {frame["seq"] for _, frame in notifications(tap)} == {1, 2}, timeout=20)

"""Programs of others hear what happens: signed, at least once, in order where they keep up; and none delays another."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from contracts.errors import ErrorCode, Refusal
from contracts.ids import webhook_delivery_id
from contracts.shape import now
from contracts.topology import Queue, Topology
from contracts.webhooks import ChangeWebhook, DeleteWebhook, PingWebhook, RedeliverWebhook, RotateWebhookSecret
from services.mongo import Database
from services.notifier.settings import Settings
from services.notifier.webhook import delivering
from services.persister.settings import Settings as Environment
from tests.integration.test_notifier import changed, message_created
from tests.support.builders import store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault, Kind
from tests.support.receiver import Receiver, raw, stall, status
from tests.support.tap import Tap
from tests.support.webhooks import SECRET, Webhooks, asked, hook, log_of, webhook_settings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits, waits for a moment."""
    waiting_queue = Topology.waiting_queue

    def short(self: Topology, seconds: int) -> Queue:
        queue = waiting_queue(self, seconds)
        return Queue(queue.name, {**queue.arguments, "x-message-ttl": 50})

    monkeypatch.setattr(Topology, "waiting_queue", short)
    monkeypatch.setattr(delivering, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(delivering, "LONGEST_RETRY", 0.2)
    monkeypatch.setattr(delivering, "SET_ASIDE", (0.1, 0.1))


@pytest.fixture
def webhooks_on(settings: Environment) -> Settings:
    return webhook_settings(settings)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def happen(tap: Tap, *lines: Any) -> None:
    """These events are told, in one batch."""
    body = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    target = await tap.channel.get_exchange(tap.topology.batches.name, ensure=False)
    await target.publish(aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT), "", mandatory=False)


def verified(receiver: Receiver, secret: str = SECRET) -> list[Any]:
    """What arrived, as a receiver with this secret knows it to be ours."""
    return [Webhook(secret).verify(call.body, call.headers) for call in receiver.calls]


async def test_an_event_arrives_as_it_is_signed_once_and_in_the_log(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    event = message_created(cid, 1, "é\n\u2028").encode()
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, event)
        await happen(tap, event)  # the persister may tell it twice
        await webhooks.done(2)
    (call,) = receiver.calls
    assert call.body == event
    assert verified(receiver) == [json.loads(event)]
    assert call.headers["content-type"] == "application/cloudevents+json"
    assert call.headers["user-agent"].startswith("Palabre-Webhooks/")
    assert call.headers["webhook-id"] == webhook_delivery_id(hook_id, f"{cid}:1")
    (entry,) = await log_of(database, hook_id)
    assert (entry["_id"], entry["status"], entry["attemptCount"]) == (call.headers["webhook-id"], "delivered", 1)
    assert (entry["attempts"][0]["outcome"], entry["attempts"][0]["status"]) == ("delivered", 200)


async def test_who_hears_what(webhooks_on: Settings, database: Database, tap: Tap) -> None:
    one, other = await store_conversation(database), await store_conversation(database)
    async with (
        Webhooks(webhooks_on, database) as webhooks,
        Receiver() as mine,
        Receiver() as changes,
        Receiver() as all_of,
    ):
        await webhooks.create(mine.url, one)
        await webhooks.create(changes.url, one, events=["chat.conversation.updated.v1"])
        await webhooks.create(all_of.url)
        read = {"id": "r", "type": "chat.read.updated.v1", "subject": one, "data": {}}
        lines = [
            message_created(one, 1),
            changed(one, "name_changed", name="Other"),
            json.dumps(read, separators=(",", ":")).encode(),
            message_created(other, 1),
        ]
        await happen(tap, *lines)
        await webhooks.done(7)

        def heard(receiver: Receiver) -> list[tuple[str, str]]:
            return sorted((event["subject"], event["type"].split(".")[1]) for event in verified(receiver))

        assert heard(mine) == sorted([(one, "conversation"), (one, "message")])
        assert heard(changes) == [(one, "conversation")]
        assert heard(all_of) == sorted([(one, "conversation"), (one, "message"), (one, "read"), (other, "message")])


async def test_without_webhooks_no_event_is_even_queued(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    name = webhooks_on.topology.webhook_events.name
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await happen(tap, message_created(cid, 1))
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, message_created(cid, 2))
        await webhooks.done(1)
        await webhooks.ask(asked(DeleteWebhook, webhook_id=hook_id))
        assert webhooks.events.acked == 1
    await happen(tap, message_created(cid, 3))
    await tap.caught_up()
    assert (await tap.queue(name)).declaration_result.message_count == 0
    assert [event["data"]["seq"] for event in verified(receiver)] == [2]


async def test_a_notifier_that_starts_hears_for_webhooks_that_are_there(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
        await webhooks.broker.rebind(unbind=[webhooks_on.topology.webhook_binding])
    async with Webhooks(webhooks_on, database):

        async def heard() -> bool:
            await happen(tap, message_created(cid, 1))
            return bool(receiver.calls)

        await eventually(heard)


async def test_a_notifier_is_ready_once_webhooks_hear_and_no_sooner(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    """With an empty RabbitMQ nothing is bound, and persisters wait for this before they tell anything."""
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
        await webhooks.broker.rebind(unbind=[webhooks_on.topology.webhook_binding])
    fault = Fault("fails", "webhooks.find_one")  # the first look
    async with Webhooks(webhooks_on, database, fault) as webhooks:
        with pytest.raises(ConnectionError):
            webhooks.work.check()
        await eventually(lambda: fault.happened, poll=0.002)
        with pytest.raises(ConnectionError):
            webhooks.work.check()

        def ready() -> bool:
            try:
                webhooks.work.check()
            except ConnectionError:
                return False
            return True

        await eventually(ready)
        await happen(tap, message_created(cid, 1))
        await webhooks.done(1)
    assert len(receiver.calls) == 1


async def test_switched_off_nothing_is_called_and_nothing_piles_up(
    settings: Environment, webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
    await happen(tap, message_created(cid, 1))
    name = webhooks_on.topology.webhook_events.name
    async with Webhooks(webhook_settings(settings, webhooks="off"), database) as webhooks:
        await eventually(lambda: webhooks.events.acked == 1)

        async def unbound() -> bool:
            before = webhooks.events.acked
            await happen(tap, message_created(cid, 2))
            await tap.caught_up()
            return webhooks.events.acked == before and not len(webhooks.events)

        await eventually(unbound)
    assert not receiver.calls
    assert (await tap.queue(name)).declaration_result.message_count == 0


async def test_it_is_tried_again_until_the_endpoint_comes_back(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    receiver.script = [status(500, b"x" * 5000), stall, status(302, location=receiver.url), raw(b"")]
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, message_created(cid, 1))
        await delivered(database, hook_id, 1)
    assert len(set(receiver.ids)) == 1
    assert len(verified(receiver)) == 5  # each signed anew
    (entry,) = await log_of(database, hook_id)
    outcomes = [(attempt["outcome"], attempt.get("status")) for attempt in entry["attempts"]]
    assert outcomes == [
        ("refused", 500),
        ("timeout", None),
        ("refused", 302),
        ("connection", None),
        ("delivered", 200),
    ]
    assert len(entry["attempts"][0]["response"]) == 1024
    assert (entry["status"], entry["attemptCount"]) == ("delivered", 5)
    assert (await hook(database, hook_id))["active"]


async def test_what_is_not_taken_in_time_is_set_aside_and_its_webhook_paused(
    settings: Environment, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    receiver.behave = status(503)
    given_up = webhook_settings(settings, webhook_give_up=0.05)
    async with Webhooks(given_up, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, message_created(cid, 1))
        await eventually(lambda: len(tap.dead) == 1)
        await webhooks.done(2)
        stored = await hook(database, hook_id)
        assert (stored["active"], stored["pauseReason"]) == (False, "failing")
        (entry,) = await log_of(database, hook_id)
        assert entry["status"] == "failed"
        calls = len(receiver.calls)
        assert tap.dead[0].headers["x-reason"] == f"not delivered to webhook {hook_id}: 503"

        # What comes now is not even a job.
        await happen(tap, message_created(cid, 2))
        await eventually(lambda: webhooks.events.acked == 2)
        assert len(receiver.calls) == calls

        # An operator replays it once the endpoint is well.
        receiver.behave = status(200)
        back = tap.dead[0].headers
        await tap.put(back["x-exchange"], back["x-routing-key"], tap.dead[0].body)
        await receiver.called(calls + 1)
        await webhooks.done(3)
    assert receiver.ids[-1] == receiver.ids[0]
    (entry,) = await log_of(database, hook_id)
    assert entry["status"] == "delivered"


async def test_who_says_gone_is_called_no_more(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    receiver.behave = status(410)
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, *(message_created(cid, seq) for seq in (1, 2, 3)))
        await webhooks.done(3)
        stored = await hook(database, hook_id)
        assert (stored["active"], stored["pauseReason"], len(receiver.calls)) == (False, "gone", 1)
        # Those that were under way are in the log, to be delivered by hand.
        log = await log_of(database, hook_id)
        assert sorted(e["attempts"][-1]["outcome"] for e in log) == ["gone", "paused", "paused"]
        assert {e["status"] for e in log} == {"failed"}

        receiver.behave = status(200)
        await webhooks.ask(asked(PingWebhook, webhook_id=hook_id))  # one looks before it goes on
        await receiver.called(2)
        await webhooks.ask(asked(ChangeWebhook, webhook_id=hook_id, active=True))
        await happen(tap, message_created(cid, 4))
        await receiver.called(3)
        paused = next(e for e in log if e["attempts"][-1]["outcome"] == "paused")
        await webhooks.ask(asked(RedeliverWebhook, webhook_id=hook_id, delivery_id=paused["_id"]))
        await webhooks.done(6)
    assert "pauseReason" not in await hook(database, hook_id)
    assert [event["type"] for event in verified(receiver)][1:] == [
        "chat.webhook.ping.v1",
        "chat.message.created.v1",
        "chat.message.created.v1",
    ]
    assert receiver.calls[-1].body == bytes(paused["event"])


async def test_one_conversation_comes_in_order_and_several_at_once(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    conversations = [await store_conversation(database) for _ in range(6)]
    answer = status(200)

    async def slowly(call: Any, writer: Any) -> None:
        await asyncio.sleep(0.01)
        await answer(call, writer)

    receiver.behave = slowly
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url)
        await happen(tap, *(message_created(cid, seq) for seq in range(1, 8) for cid in conversations))
        await webhooks.done(42, timeout=20)
    heard = [(event["subject"], event["data"]["seq"]) for event in verified(receiver)]
    for cid in conversations:
        assert [seq for subject, seq in heard if subject == cid] == list(range(1, 8))
    assert 1 < receiver.most_open <= webhooks_on.webhook_concurrency


async def test_a_conversation_alone_is_called_about_one_after_the_other(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
        await happen(tap, *(message_created(cid, seq) for seq in range(1, 31)))
        await webhooks.done(30)
    assert [event["data"]["seq"] for event in verified(receiver)] == list(range(1, 31))
    assert receiver.most_open == 1


async def test_webhooks_that_stall_delay_nobody_else(
    settings: Environment, database: Database, tap: Tap, receiver: Receiver
) -> None:
    """Twenty may be in hand here, and three webhooks have forty events each and never answer."""
    patient = webhook_settings(settings, webhook_timeout=30, webhook_prefetch=20)
    mine = await store_conversation(database)
    async with (
        Webhooks(patient, database) as webhooks,
        Receiver(stall) as one,
        Receiver(stall) as two,
        Receiver(stall) as three,
    ):
        for stalled in (one, two, three):
            cid = await store_conversation(database)
            await webhooks.create(stalled.url, cid)
            await happen(tap, *(message_created(cid, seq) for seq in range(1, 41)))
        await webhooks.create(receiver.url, mine)
        for seq in range(1, 11):
            await happen(tap, message_created(mine, seq))
            await receiver.called(seq)
        assert [event["data"]["seq"] for event in verified(receiver)] == list(range(1, 11))
        assert [stalled.open for stalled in (one, two, three)] == [1, 1, 1]


async def test_who_fails_is_probed_with_one_call_at_a_time_and_gets_everything_when_it_is_back(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    conversations = [await store_conversation(database) for _ in range(10)]
    receiver.behave = status(500)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url)
        await happen(tap, *(message_created(cid, 1) for cid in conversations))
        await webhooks.done(20, timeout=30)
        receiver.most_open = 0
        await receiver.called(len(receiver.calls) + 5, timeout=20)
        assert receiver.most_open == 1
        receiver.behave = status(200)
        before = len(receiver.calls)

        def all_came() -> bool:
            return {json.loads(call.body)["subject"] for call in receiver.calls[before:]} == set(conversations)

        await eventually(all_came, timeout=20)


async def test_secrets_change_without_a_gap(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    third = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        until = now().replace(year=now().year + 1)
        rotate = asked(RotateWebhookSecret, webhook_id=hook_id, secret=new, previous_until=until)
        await webhooks.ask(rotate)
        await webhooks.ask(rotate)  # it comes again
        await happen(tap, message_created(cid, 1))
        await receiver.called(1)
        assert len(verified(receiver, SECRET)) == len(verified(receiver, new)) == 1
        assert len(receiver.calls[0].headers["webhook-signature"].split()) == 2
        await webhooks.ask(asked(RotateWebhookSecret, webhook_id=hook_id, secret=third, previous_until=now()))
        await happen(tap, message_created(cid, 2))
        await receiver.called(2)
        last = receiver.calls[1]
        assert Webhook(third).verify(last.body, last.headers)
        for old in (SECRET, new):
            with pytest.raises(WebhookVerificationError):
                Webhook(old).verify(last.body, last.headers)


@pytest.mark.parametrize("change", [{"$set": {"role": "member"}}, None], ids=["demoted", "removed"])
async def test_who_leads_no_longer_hears_no_longer(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver, change: dict[str, Any] | None
) -> None:
    cid = await store_conversation(database, {"alice": "admin", "bob": "admin"})
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, message_created(cid, 1))
        await receiver.called(1)
        whom = {"conversationId": cid, "userId": "alice"}
        if change is None:
            await database.memberships.delete_one(whom)
        else:
            await database.memberships.update_one(whom, change)
        await happen(tap, changed(cid, "member_removed", user_ids=["alice"]), message_created(cid, 2))
        await eventually(lambda: webhooks.events.acked == 2)
        stored = await hook(database, hook_id)
        assert (stored["active"], stored["pauseReason"]) == (False, "owner_left")
        with pytest.raises(Refusal):
            await webhooks.ask(asked(ChangeWebhook, webhook_id=hook_id, active=True))
        # Another admin takes it over.
        await webhooks.ask(asked(ChangeWebhook, webhook_id=hook_id, active=True, actor="bob"))
        await happen(tap, message_created(cid, 3))
        await receiver.called(2)
    assert [event["data"]["seq"] for event in verified(receiver)] == [1, 3]
    assert (await hook(database, hook_id))["ownerId"] == "bob"


async def test_the_last_that_is_heard_of_a_conversation_is_that_it_is_gone(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    receiver.script = [status(500)]
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await database.conversations.update_one({"_id": cid}, {"$set": {"deletedAt": now()}})
        await database.memberships.delete_many({"conversationId": cid})
        await happen(tap, message_created(cid, 1), changed(cid, "deleted"))
        await receiver.called(3)  # that of the first is tried again
        await happen(tap, message_created(cid, 2))
        await eventually(lambda: webhooks.events.acked == 2)
        await webhooks.done(3)
    assert len(receiver.calls) == 3
    assert {json.loads(call.body)["type"] for call in receiver.calls} == {
        "chat.message.created.v1",
        "chat.conversation.updated.v1",
    }
    assert (await hook(database, hook_id))["expireAt"] > now()


async def test_a_webhook_that_is_deleted_is_not_called_again_and_its_log_goes(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    receiver.behave = status(500)
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(receiver.url, cid)
        await happen(tap, message_created(cid, 1))
        await webhooks.done(1)
        delete = asked(DeleteWebhook, webhook_id=hook_id)
        await webhooks.ask(delete)
        await webhooks.ask(delete)  # it comes again
        calls = len(receiver.calls)
        await webhooks.done(2)
        assert len(receiver.calls) == calls
        assert await log_of(database, hook_id) == []
        await eventually(lambda: not webhooks.work._deliverer._hands)
        with pytest.raises(Refusal) as refused:
            await webhooks.ask(asked(PingWebhook, webhook_id=hook_id))
        assert refused.value.code is ErrorCode.NOT_FOUND
    stored = await hook(database, hook_id)
    assert not {"secrets", "url"} & stored.keys()


async def test_what_is_no_event_and_what_is_no_job_is_set_aside(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
        await happen(tap, b"{", b"[1]", b'{"id":1,"type":"t","subject":"s","data":{}}', message_created(cid, 1))
        await tap.put(tap.topology.work.name, "webhook.0", b"nonsense")
        await receiver.called(1)
        await webhooks.done(2)
        await eventually(lambda: len(tap.dead) == 4)
    assert {dead.body for dead in tap.dead} == {
        b"{",
        b"[1]",
        b'{"id":1,"type":"t","subject":"s","data":{}}',
        b"nonsense",
    }


async def test_a_stop_waits_for_calls_under_way_and_leaves_the_rest_to_the_next(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver
) -> None:
    cid = await store_conversation(database)
    go_on = asyncio.Event()
    answer = status(200)

    async def wait(call: Any, writer: Any) -> None:
        await go_on.wait()
        await answer(call, writer)

    receiver.behave = wait
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.create(receiver.url, cid)
        await happen(tap, *(message_created(cid, seq) for seq in (1, 2, 3)))
        await receiver.called(1)
        stopping = asyncio.create_task(webhooks.work.finish())
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        await stopping
        assert webhooks.jobs.acked == 1
    async with Webhooks(webhooks_on, database) as webhooks:
        await webhooks.done(2)
    assert [event["data"]["seq"] for event in verified(receiver)] == [1, 2, 3]


async def rounds(
    settings: Settings, database: Database, tap: Tap, receiver: Receiver, kind: Kind, at: int | str, events: list[Any]
) -> tuple[Fault, str]:
    """These events are delivered by a notifier with this fault, and then by one without."""
    fault = Fault(kind)
    async with Webhooks(settings, database, fault) as webhooks:
        cid = events[0].subject
        hook_id = await webhooks.create(receiver.url, cid)
        fault.arm(at)
        await happen(tap, *events)
        await eventually(lambda: fault.happened or webhooks.jobs.acked >= len(events) + 1, timeout=20, poll=0.002)
        if kind != "dies":
            await eventually(lambda: len(set(receiver.ids)) == len(events), timeout=20, poll=0.002)
    async with Webhooks(settings, database):
        await delivered(database, hook_id, len(events))
    return fault, hook_id


async def delivered(database: Database, hook_id: str, count: int) -> None:
    async def all_of_them() -> bool:
        log = await log_of(database, hook_id)
        return [entry["status"] for entry in log] == ["delivered"] * count

    await eventually(all_of_them, timeout=20, poll=0.02)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["dies", "fails", "unheard"])
async def test_whatever_step_is_the_last_everything_is_delivered(
    webhooks_on: Settings, database: Database, tap: Tap, receiver: Receiver, kind: Kind
) -> None:
    """Two events, the first of which is refused once."""
    at, happened, steps = 1, True, 0
    while happened:
        cid = await store_conversation(database)
        receiver.calls.clear()
        receiver.script = [status(500)]
        events = [message_created(cid, 1), message_created(cid, 2)]
        fault, hook_id = await rounds(webhooks_on, database, tap, receiver, kind, at, events)
        happened = fault.happened
        steps = len(fault.steps)
        ids = {webhook_delivery_id(hook_id, event.id) for event in events}
        assert set(receiver.ids) == ids, (at, fault.steps)
        assert {json.loads(call.body)["data"]["seq"] for call in receiver.calls} == {1, 2}
        assert len(receiver.calls) <= 4  # the refused one twice, and one more where we died behind a call
        at += 1
    assert steps >= 10
    assert not tap.dead

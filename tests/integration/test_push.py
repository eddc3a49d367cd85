"""Pushes reach devices: encrypted for them, signed by us, once; and whatever a push service does delays nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import topology
from contracts.notifying import Delivery
from contracts.push import SubscribePush
from contracts.shape import now
from services.mongo import Database, create_collections
from services.notifier import push, subscriptions, waiting
from services.notifier.addresses import Resolver
from services.notifier.endpoints import Endpoints
from services.notifier.settings import Settings
from services.notifier.webpush import Vapid
from services.persister.settings import Settings as Environment
from tests.support.builders import make_command, new_id, store_conversation
from tests.support.channel import RunningChannel
from tests.support.device import Device, VapidKeys
from tests.support.eventually import eventually
from tests.support.faults import Fault, watched
from tests.support.receiver import Receiver, stall, status
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
KEYS = VapidKeys()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried after a second."""
    monkeypatch.setattr(topology, "WAITS", (1,))
    monkeypatch.setattr(push, "FIRST_RETRY", 0.1)
    monkeypatch.setattr(push, "BUSY", 0.1)


@pytest.fixture(autouse=True)
def declared(short_waits: None, tap: Tap) -> None:
    """Queues that are taken away in the end."""


@pytest.fixture
def notifier_settings(settings: Environment) -> Settings:
    """The same environment, for a notifier that pushes and may call this machine."""
    return Settings(
        **settings.model_dump(include=set(Settings.model_fields) - {"prefetch", "batch_size"}),
        vapid_private_key=SecretStr(KEYS.private),
        vapid_subject="mailto:admin@example.org",
        call_networks=(IPv4Network("127.0.0.0/8"),),
        push_timeout=5,
    )


@pytest.fixture
async def service() -> AsyncIterator[Receiver]:
    """A push service."""
    async with Receiver(status(201)) as receiver:
        yield receiver


class Pusher(RunningChannel):
    """Web Push of one notifier."""

    def __init__(self, settings: Settings, database: Database, fault: Fault | None = None) -> None:
        super().__init__(settings, "push", push.PREFETCH, fault)
        resolver = Resolver(settings.call_networks)
        self.endpoints = Endpoints(resolver, connect_timeout=2, timeout=settings.push_timeout, connections=500)
        assert settings.vapid_private_key is not None
        assert settings.vapid_subject is not None
        vapid = Vapid(settings.vapid_private_key.get_secret_value(), settings.vapid_subject)
        self.channel = push.Push(
            settings, self.broker, watched(database, self.fault), self.inbox, self.endpoints, vapid
        )

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.endpoints.close()


@asynccontextmanager
async def pushing(settings: Settings, database: Database, **more: Any) -> AsyncIterator[Pusher]:
    """A pusher, with the collections of a notifier."""
    await create_collections(database, "notifier")
    async with Pusher(settings, database, **more) as pusher:
        yield pusher


async def conversation(database: Database) -> str:
    return await store_conversation(database, {"alice": "admin", "bob": "member", "third": "member"})


async def device_of(database: Database, user: str, endpoint: str, *, preview: bool = True) -> Device:
    """A device that somebody registered."""
    device = Device(endpoint)
    command = make_command(SubscribePush, actor=user, subscription=device.subscription(preview=preview))
    await subscriptions.keep(database, user, command.subscription, command)
    return device


def delivery(conversation_id: str, seq: int = 1, user: str = "bob", **fields: Any) -> Delivery:
    return Delivery(
        **{
            "id": f"{conversation_id}:{seq}:{user}",
            "user_id": user,
            "conversation_id": conversation_id,
            "conversation_name": "Team",
            "kind": "message",
            "message_id": new_id(),
            "seq": seq,
            "sender_name": "Alice",
            "preview": "hello",
            "created_at": now(),
            "expires_at": now() + timedelta(minutes=5),
            **fields,
        }
    )


async def test_a_push_is_read_by_the_device_and_known_to_be_ours(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher:
        device = await device_of(database, "bob", f"{service.url}/1?secret=x")
        await pusher.deliver(delivery(cid, 7, kind="mention"))
        (call,) = await service.called(1)
        said = device.read(call)
        assert said["id"] == f"{cid}:7:bob"
        assert (said["kind"], said["conversationId"], said["seq"]) == ("mention", cid, 7)
        assert (said["conversationName"], said["senderName"], said["preview"]) == ("Team", "Alice", "hello")
        assert call.line.startswith("POST /hook/1?secret=x ")
        assert 290 <= int(call.headers["ttl"]) <= 300
        assert (call.headers["urgency"], len(call.headers["topic"])) == ("high", 32)
        claims = KEYS.claims(call, f"http://127.0.0.1:{service.port}")
        assert claims["sub"] == "mailto:admin@example.org"
        await pusher.handled(1)
    assert len(service.calls) == 1


@pytest.mark.parametrize(("deployment", "person"), [(False, True), (True, False)])
async def test_only_that_there_is_something_new_where_the_deployment_or_the_person_wants_it_so(
    notifier_settings: Settings, database: Database, service: Receiver, deployment: bool, person: bool
) -> None:
    cid = await conversation(database)
    settings = notifier_settings.model_copy(update={"push_content": deployment})
    async with pushing(settings, database) as pusher:
        device = await device_of(database, "bob", service.url, preview=person)
        await pusher.deliver(delivery(cid))
        (call,) = await service.called(1)
    assert device.read(call).keys() == {"id", "kind", "conversationId", "seq", "count", "createdAt"}


async def test_all_devices_of_a_person_and_of_nobody_else(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher:
        devices = {number: await device_of(database, "bob", f"{service.url}/{number}") for number in range(3)}
        await device_of(database, "third", f"{service.url}/third")
        await pusher.deliver(delivery(cid))
        await pusher.handled(1)
    assert sorted(call.line.split()[1] for call in service.calls) == ["/hook/0", "/hook/1", "/hook/2"]
    for call in service.calls:
        assert devices[int(call.line.split()[1][-1])].read(call)["preview"] == "hello"


async def test_what_comes_again_is_pushed_once(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        one = delivery(cid)
        await pusher.deliver(one)
        await pusher.handled(1)
        await pusher.deliver(one, delivery(cid, 2))
        await pusher.handled(3)
    assert len(service.calls) == 2


@pytest.mark.parametrize("code", [404, 410])
async def test_a_device_that_is_gone_is_forgotten_and_the_others_are_told(
    notifier_settings: Settings, database: Database, service: Receiver, code: int
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher, Receiver(status(code)) as gone:
        await device_of(database, "bob", gone.url)
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        await pusher.handled(1)
        await pusher.deliver(delivery(cid, 2))
        await pusher.handled(2)
        assert (len(gone.calls), len(service.calls)) == (1, 2)
        kept = [document["endpoint"] async for document in database.push_subscriptions.find()]
    assert kept == [service.url]


async def test_a_device_that_came_again_meanwhile_is_not_forgotten(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    answer = asyncio.Event()

    async def gone_later(call: Any, writer: asyncio.StreamWriter) -> None:
        await answer.wait()
        await status(410)(call, writer)

    service.script = [gone_later]
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        await service.called(1)
        await device_of(database, "bob", service.url)
        answer.set()
        await pusher.handled(1)
        assert await database.push_subscriptions.count_documents({}) == 1


@pytest.mark.parametrize("code", [429, 503])
async def test_what_could_not_be_delivered_is_tried_again_on_that_device_alone(
    notifier_settings: Settings, database: Database, service: Receiver, code: int
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher, Receiver(status(201)) as failing:
        failing.script = [status(code, retry_after="1"), status(code)]
        device = await device_of(database, "bob", failing.url)
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        calls = await failing.called(3)
        await pusher.handled(3)
        assert {device.read(call)["id"] for call in calls} == {f"{cid}:1:bob"}
    assert len(service.calls) == 1


async def test_a_push_service_that_wants_to_be_left_alone_is(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    service.script = [status(429, retry_after="3")]
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        begun = asyncio.get_running_loop().time()
        await pusher.deliver(delivery(cid))
        await service.called(2)
        assert asyncio.get_running_loop().time() - begun >= 3


async def test_what_is_refused_is_not_tried_again(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    service.script = [status(code, location="http://127.0.0.1:9/") for code in (400, 401, 403, 413, 307)]
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        for seq in range(1, 6):
            await pusher.deliver(delivery(cid, seq))
            await pusher.handled(seq)
        assert len(service.calls) == 5
        assert pusher.fault.steps.count("publish notifier.waiting") == 0
        assert await database.push_subscriptions.count_documents({}) == 1


async def test_nobody_is_told_of_what_they_have_read_meanwhile_or_of_what_is_too_old(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"lastReadSeq": 5}})
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        await device_of(database, "stranger", service.url + "/2")
        old = delivery(cid, 6, expires_at=now() - timedelta(seconds=1))
        await pusher.deliver(delivery(cid, 5), old, delivery(cid, 6, user="stranger"))
        await pusher.handled(3)
    assert service.calls == []


async def test_a_retry_looks_again_whether_it_was_read(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    service.behave = status(503)
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        await service.called(1)
        await database.memberships.update_one({"conversationId": cid, "userId": "bob"}, {"$set": {"lastReadSeq": 1}})
        await pusher.handled(2)
    assert len(service.calls) == 1


async def test_it_is_given_up_when_it_would_come_too_late(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    service.behave = status(503, retry_after="600")
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        await pusher.handled(1)
        assert pusher.fault.steps.count("publish notifier.waiting") == 0


async def test_a_dead_push_service_delays_nobody_else(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    settings = notifier_settings.model_copy(update={"push_at_once": 3})
    async with Receiver(stall) as dead, pushing(settings, database) as pusher:
        await device_of(database, "bob", dead.url)
        await device_of(database, "third", service.url)
        await pusher.deliver(*(delivery(cid, seq) for seq in range(1, 11)))
        await dead.called(3)
        await pusher.deliver(*(delivery(cid, seq, "third") for seq in range(1, 11)))
        await service.called(10)
        assert dead.most_open == 3
        assert dead.open == 3, "the first ones are still waiting for their answers"


async def test_a_burst_arrives_whole_and_once(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher:
        device = await device_of(database, "bob", service.url)
        await pusher.deliver(*(delivery(cid, seq) for seq in range(1, 301)))
        await service.called(300)
        await eventually(lambda: pusher.inbox.acked >= 300)
    assert sorted(device.read(call)["seq"] for call in service.calls) == list(range(1, 301))


async def test_nothing_is_lost_when_the_notifier_dies(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    """At each step: what was pushed but not written down is pushed again, with the id that the device knows."""
    cid = await conversation(database)
    await create_collections(database, "notifier")
    await device_of(database, "bob", service.url)
    steps = ["memberships.find_one", "push_subscriptions.find", "push_subscriptions.update_one"]
    for seq, step in enumerate(steps, 1):
        async with Pusher(notifier_settings, database, Fault("dies", step)) as dying:
            await dying.deliver(delivery(cid, seq))
            await eventually(partial(getattr, dying.fault, "happened"))
        async with Pusher(notifier_settings, database) as next_one:
            await next_one.handled(1)
    assert len(service.calls) == len(steps)


async def test_what_is_no_delivery_goes_to_the_dead_letters(
    notifier_settings: Settings, database: Database, tap: Tap, service: Receiver
) -> None:
    cid = await conversation(database)
    async with pushing(notifier_settings, database) as pusher:
        await device_of(database, "bob", service.url)
        names = notifier_settings.topology
        await pusher.broker.publish(waiting.at_once(names, "push", b'{"id":7}'))
        await pusher.deliver(delivery(cid))
        await service.called(1)
        await pusher.handled(2)
        await eventually(lambda: tap.dead)


async def test_no_private_address_is_called_unless_the_operator_says_so(
    notifier_settings: Settings, database: Database, service: Receiver
) -> None:
    cid = await conversation(database)
    settings = notifier_settings.model_copy(update={"call_networks": ()})
    async with pushing(settings, database) as pusher:
        await device_of(database, "bob", service.url)
        await pusher.deliver(delivery(cid))
        await pusher.handled(1)
    assert service.connections == 0

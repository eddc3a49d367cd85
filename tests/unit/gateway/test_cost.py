"""What a gateway does for one event and for a burst of commands, counted: it does not grow with the members."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson
import pytest

from contracts import fanout, frames, limits, lines
from contracts.shape import now
from contracts.topology import Topology
from services.amqp import Broker, Outgoing
from services.gateway.changes import Changed
from services.gateway.directory import Directory
from services.gateway.egress import Egress
from services.gateway.history import History
from services.gateway.hub import Hub, Join
from services.gateway.ingress import Ingress
from services.gateway.outbox import Outbox, Turn
from services.gateway.presence import Presence
from services.gateway.recent import Numbered
from services.gateway.settings import Settings
from services.gateway.wire import prepare
from tests.support.builders import make_message
from tests.support.counting import Calls, counted_tasks
from tests.support.eventually import eventually


class CountingSocket:
    """Takes everything."""

    waiting = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.writes = 0

    def write(self, frames: Sequence[bytes]) -> None:
        self.frames += frames
        self.writes += 1

    async def taken(self) -> None:
        pass

    def close(self, code: int, reason: str = "") -> None:
        pass


class Member:
    """A connection in a room."""

    def __init__(self, name: str, turn: Turn) -> None:
        self.id = self.user_id = name
        self.joined: set[str] = set()
        self.socket = CountingSocket()
        self.outbox = Outbox(self.socket, 2**20, turn)


class FakeBroker:
    """Confirms when it is told to, and remembers what it was given."""

    def __init__(self) -> None:
        self.topology = Topology()
        self.published: list[Outgoing] = []
        self.writes = 0
        self.confirmed = asyncio.Event()
        self.publisher = type("Link", (), {"up": asyncio.Event()})()
        self.publisher.up.set()

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float = 0) -> None:
        self.published += messages
        self.writes += 1
        await self.confirmed.wait()

    def subscribe(self, *_: Any, **__: Any) -> None:
        pass


def room_of(size: int) -> tuple[Hub, list[Member], list[Any]]:
    """A room of so many, and the callbacks that end the turn."""
    ends: list[Any] = []
    turn = Turn(ends.append)
    hub = Hub(lambda *_: None, lambda *_: None)
    members = [Member(f"m{number}", turn) for number in range(size)]
    for member in members:
        hub.add(member)
        hub.begin_join(member, "c")
        assert hub.finish_join(member, "c", 0, 0) is Join.DONE
    return hub, members, ends


@pytest.mark.parametrize("members", [1, 10, 500])
@pytest.mark.parametrize("temp_id", [None, "t"])
def test_a_message_is_framed_once_for_all_members(
    members: int, temp_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, people, ends = room_of(members)
    framed, prepared, encoded = Calls(), Calls(), Calls()
    monkeypatch.setattr(frames, "new_message", framed.of(frames.new_message))
    monkeypatch.setattr("services.gateway.hub.prepare", prepared.of(prepare))
    monkeypatch.setattr(frames.ServerFrame, "encode", encoded.of(frames.ServerFrame.encode))
    hub.message("c", Numbered(1, b'{"seq":1}', "m0", temp_id))
    for end in ends:
        end()
    extra = 1 if temp_id else 0  # the sender's own connection sees the tempId
    assert (framed.count, prepared.count, encoded.count) == (1 + extra, 1 + extra, 0)
    shared = {id(frame) for person in people[1:] for frame in person.socket.frames}
    assert len(shared) == min(1, members - 1), "all members but the sender get the very same bytes"


@pytest.mark.parametrize("members", [1, 10, 500])
@pytest.mark.parametrize("temp_id", [None, "t"])
def test_a_change_is_framed_once_for_all_members(
    members: int, temp_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, people, ends = room_of(members)
    hub.message("c", Numbered(1, b'{"seq":1}', "m0", temp_id))
    framed, prepared, encoded = Calls(), Calls(), Calls()
    monkeypatch.setattr(frames, "message_updated", framed.of(frames.message_updated))
    monkeypatch.setattr("services.gateway.hub.prepare", prepared.of(prepare))
    monkeypatch.setattr(frames.ServerFrame, "encode", encoded.of(frames.ServerFrame.encode))
    hub.change("c", Changed(1, 1, "edited", b'{"seq":1}', sender_id="m0", temp_id=temp_id))
    for end in ends:
        end()
    extra = 1 if temp_id else 0  # the sender's own connection sees the tempId
    assert (framed.count, prepared.count, encoded.count) == (1 + extra, 1 + extra, 0)
    shared = {id(person.socket.frames[-1]) for person in people[1:]}
    assert len(shared) == min(1, members - 1), "all members but the sender get the very same bytes"


@pytest.mark.parametrize("burst", [1, 8, 100])
def test_a_turn_is_one_write_for_each_connection(burst: int) -> None:
    hub, people, ends = room_of(50)
    for seq in range(1, burst + 1):
        hub.message("c", Numbered(seq, b'{"seq":%d}' % seq, "elsewhere"))
    assert len(ends) == 1, "and one callback for all of them"
    ends[0]()
    assert {(person.socket.writes, len(person.socket.frames)) for person in people} == {(1, burst)}


@asynccontextmanager
async def publishing(broker: FakeBroker, settings: Settings) -> AsyncIterator[Ingress]:
    """An ingress that works inside the block."""
    ingress = Ingress(settings, cast(Broker, broker), "g")
    work = asyncio.create_task(ingress.run())
    yield ingress
    work.cancel()


def packed(broker: FakeBroker) -> list[int]:
    """How many commands each AMQP message held."""
    return [len(lines.unpack(message.body)) for message in broker.published]


async def test_a_hundred_commands_of_a_conversation_are_two_amqp_messages() -> None:
    broker = FakeBroker()
    async with publishing(broker, Settings(auth_dev=True)) as ingress:
        with counted_tasks() as tasks:
            ingress.submit(make_message("c", "m"), lambda _: None)
            await eventually(lambda: broker.writes == 1)  # the first is under way
            for number in range(99):
                ingress.submit(make_message("c", f"m{number}"), lambda _: None)
            broker.confirmed.set()
            await eventually(lambda: broker.writes == 2)
    assert packed(broker) == [1, 99]
    assert not tasks


@pytest.mark.parametrize("conversations", [50, 500])
async def test_commands_under_load_are_one_write_with_an_amqp_message_a_partition(conversations: int) -> None:
    broker = FakeBroker()
    settings = Settings(auth_dev=True)
    async with publishing(broker, settings) as ingress:
        with counted_tasks() as tasks:
            for number in range(1000):
                ingress.submit(make_message(f"c{number % conversations}"), lambda _: None)
            broker.confirmed.set()
            await eventually(lambda: sum(packed(broker)) == 1000)
    assert (broker.writes, len({message.routing_key for message in broker.published})) == (1, len(broker.published))
    assert len(broker.published) <= settings.partitions
    assert not tasks


async def test_an_event_without_a_member_here_touches_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = cast(Broker, FakeBroker())
    settings = Settings(auth_dev=True)
    egress = Egress(settings, broker, cast(History, None), cast(Directory, None), Ingress(settings, broker, "g"))
    touched = Calls()
    for module in ("egress", "hub"):
        monkeypatch.setattr(f"services.gateway.{module}.prepare", touched.of(prepare))
    monkeypatch.setattr(Hub, "message", touched.of(Hub.message))
    item = fanout.MessageCreated(
        conversation_id="c", seq=1, message_id="m", sender_id="s", created_at=now(), gateway_id="other"
    )
    read = fanout.ReadUpdated(command_id="r", conversation_id="c", user_id="s", seq=1)
    monkeypatch.setattr(Egress, "_read_updated", touched.of(Egress._read_updated))
    with counted_tasks() as tasks:
        egress._read(fanout.pack([(item, b"no JSON: nobody reads it"), (read, b"nor this")] * 100))
        await asyncio.sleep(0)
    assert (touched.count, sum(tasks.values()), len(egress.hub.rooms)) == (0, 0, 0)


@pytest.mark.parametrize("joined", [True, False])
async def test_a_notification_is_read_where_somebody_has_not_joined(
    joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = cast(Broker, FakeBroker())
    settings = Settings(auth_dev=True)
    egress = Egress(settings, broker, cast(History, None), cast(Directory, None), Ingress(settings, broker, "g"))
    ends: list[Any] = []
    member = Member("m", Turn(ends.append))
    egress.hub.add(member)
    if joined:
        egress.hub.begin_join(member, "c")
        assert egress.hub.finish_join(member, "c", 0, 0) is Join.DONE
    read = Calls()
    monkeypatch.setattr(Egress, "_notify", read.of(Egress._notify))
    egress._read(
        fanout.pack([(fanout.Notification(id="n", conversation_id="c", unread={"m": 1, "other": 1}), b'{"a":1}')])
    )
    for end in ends:
        end()
    assert (read.count, len(member.socket.frames)) == ((0, 0) if joined else (1, 1))


async def test_who_is_here_is_encoded_once_for_all_who_join_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, people, ends = room_of(50)
    broker = cast(Broker, FakeBroker())
    settings = Settings(auth_dev=True)
    presence = Presence(settings, broker, cast(Directory, None), Ingress(settings, broker, "g"), hub)
    monkeypatch.setattr(presence, "_tell", lambda *_: None)
    monkeypatch.setattr(presence, "_publish", lambda *_: None)
    others: list[str] = [f"o{number}" for number in range(limits.WATCHED_UNNAMED - 1)]
    moment = asyncio.get_running_loop().time()
    presence.watching.know({"c": [*others, people[0].user_id]})

    def write() -> None:
        while ends:
            ends.pop()()

    def shown() -> list[dict[str, str]]:
        """To those who join now, and all the same to all of them."""
        write()
        for person in people:
            person.socket.frames.clear()
            presence.joined(person, "c")
        write()
        told = [orjson.loads(frame[2:]) for frame in people[0].socket.frames]
        assert all(person.socket.frames == people[0].socket.frames for person in people)
        return [{frame["userId"]: frame["status"]} for frame in told]

    presence.leases.say("other", dict.fromkeys(others, "online"), (), moment)
    presence.tick()
    encoded = Calls()
    with monkeypatch.context() as patch:
        patch.setattr(frames.ServerFrame, "encode", encoded.of(frames.ServerFrame.encode))
        assert len(shown()) == len(others)
    assert encoded.count == len(others), "whatever the number of those who join"
    presence.leases.say("other", {"o0": "away"}, ["o1"], moment)
    presence.tick()
    now_shown = shown()
    assert {"o0": "away"} in now_shown
    assert len(now_shown) == len(others) - 1, "and who has changed is shown as they are now"

"""What a burst of messages costs each service, counted and not timed; and what every read of the hot paths examines."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from websockets.frames import Frame, Opcode

from contracts import events, fanout, frames
from contracts.commands import DeleteMessage, EditMessage, IndexMessages, MarkRead, React, SendMessage
from contracts.shape import now
from contracts.words import BLOCK
from services import mongo
from services.amqp import Channel, Outgoing
from services.gateway import app as gateway_app
from services.gateway.directory import Directory
from services.gateway.history import History
from services.gateway.notifications import Notifications
from services.mongo import Database, Front, to_message
from services.notifier import centre
from services.notifier.preferences import Remembered
from services.notifier.recipients import concerned, notifications
from services.persister import search_index
from services.persister.message_changes import delete, edit, react_all
from services.persister.messages import send_all
from services.persister.outcome import Outcome
from services.persister.reads import mark_all
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, new_id, store_conversation
from tests.support.chat_client import ChatClient, Rest
from tests.support.counting import Calls, CountingTransport, RoundTrips, counted_tasks, stages
from tests.support.eventually import eventually
from tests.support.gateway import InProcessGateway, gateway_beside
from tests.support.persister import Persister, note
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
BURST = 100


@pytest.fixture
async def counted(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Database, RoundTrips]]:
    """The database through a client whose commands are counted."""
    trips = RoundTrips()
    monkeypatch.setattr(mongo, "AsyncIOMotorClient", partial(AsyncIOMotorClient, event_listeners=[trips]))
    client, counted = mongo.connect(settings, "counted")
    yield counted, trips
    client.close()


# ------------------------------------------------------------------------------------------------ the persister

INSERT, NOTED, READ = (
    ["insert messages"],
    ["update conversations", "update memberships"],
    ["aggregate conversations", "find memberships"],
)


async def sent(database: Database, rooms: Rooms, batch: Sequence[SendMessage]) -> dict[str, Outcome]:
    """Stored and told."""
    outcomes = await send_all(database, rooms, batch)
    rooms.mark_told({command.conversation_id for command in batch})
    return outcomes


async def test_indexing_a_block_is_one_read_and_one_write(counted: tuple[Database, RoundTrips]) -> None:
    database, trips = counted
    conversation = await store_conversation(database)
    await send_all(database, Rooms(), [make_message(conversation, f"hello {n}") for n in range(BLOCK)])
    trips.commands.clear()
    await search_index.index(database, make_command(IndexMessages, conversation_id=conversation, block=0))
    assert trips.names == ["find messages", "update search"]


@pytest.mark.parametrize("size", [1, 100, 500])
async def test_a_batch_is_three_round_trips_whatever_its_size(counted: tuple[Database, RoundTrips], size: int) -> None:
    database, trips = counted
    conversations = [await store_conversation(database) for _ in range(min(size, 10))]
    rooms = Rooms()

    async def batch(label: str) -> list[str]:
        commands = [make_message(conversations[n % len(conversations)], temp_id=f"{label}{n}") for n in range(size)]
        trips.commands.clear()
        outcomes = await sent(database, rooms, commands)
        await note(database, outcomes.values())
        return sorted(trips.names)

    assert await batch("first") == sorted(READ + INSERT + NOTED), "the heads and the members are read once"
    assert await batch("second") == sorted(INSERT + NOTED)


@pytest.mark.parametrize("size", [1, 100])
async def test_replies_are_quoted_and_counted_together(counted: tuple[Database, RoundTrips], size: int) -> None:
    database, trips = counted
    conversation = await store_conversation(database)
    rooms = Rooms()
    parents = [make_message(conversation, f"p{n}") for n in range(min(size, 10))]
    await sent(database, rooms, parents)
    trips.commands.clear()
    replies = [make_message(conversation, f"r{n}", reply_to=parents[n % len(parents)].id) for n in range(size)]
    outcomes = await sent(database, rooms, replies)
    await note(database, outcomes.values())
    counting = ["find messages", "aggregate messages", "update messages"]
    assert sorted(trips.names) == sorted(["find messages", *INSERT, *NOTED, *counting])


async def test_mentions_are_looked_up_together_and_members_remembered(counted: tuple[Database, RoundTrips]) -> None:
    database, trips = counted
    conversations = [await store_conversation(database, {"alice": "admin", "bob": "member"}) for _ in range(10)]
    rooms = Rooms()
    await sent(database, rooms, [make_message(cid) for cid in conversations])

    async def asked(**mentions: Any) -> list[str]:
        trips.commands.clear()
        await sent(database, rooms, [make_message(cid, **mentions) for cid in conversations])
        return sorted(trips.names)

    assert await asked(mentions=["bob"]) == sorted(["find memberships", *INSERT])
    assert await asked(mentions=["bob"]) == INSERT
    assert await asked(mentions=["bob", "stranger"]) == sorted(["find memberships", *INSERT])
    assert await asked(mention_all=True) == sorted(["find conversations", "find memberships", *INSERT])


async def test_a_batch_is_one_write_to_rabbitmq_and_one_item_list_for_all_gateways(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await store_conversation(database)
    published: list[list[Outgoing]] = []
    encoded = Calls()
    real = Channel.publish

    async def publish(self: Channel, batch: list[Outgoing]) -> None:
        published.append(list(batch))
        await real(self, batch)

    monkeypatch.setattr(Channel, "publish", publish)
    monkeypatch.setattr("services.persister.messages.encode_message", encoded.of(mongo.encode_message))
    async with Persister(settings, database) as persister:
        await tap.publish(*(make_message(conversation, f"m{number}") for number in range(BURST)))
        await persister.acknowledged(1)
    names = settings.topology
    ours = [batch for batch in published if batch[0].exchange not in ("", names.peers.name)]
    assert [len(batch) for batch in ours] == [BURST + 2], "one write, one wait for its confirms"
    once = {names.fanout.name: 1, names.batches.name: 1}
    assert Counter(m.exchange for m in ours[0]) == {names.events.name: BURST, **once}
    assert encoded.count == BURST, "each message is serialised once, for events, gateways and sockets alike"


# -------------------------------------------------------------------------------------------------- the gateway


@dataclass
class Burst:
    """What happened in one gateway between a burst of sends by Alice and the last delivery."""

    tasks: Counter[str]
    commands: int  # AMQP messages
    writes: dict[str, int]  # by user
    framed: int
    encoded: int


@pytest.fixture
async def burst(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[int], Awaitable[Burst]]]:
    """A gateway and a persister in this process; the burst goes through both, in a room of so many."""
    # Both would change this process, which has other tests to run.
    monkeypatch.setattr(gateway_app, "start_logging", lambda *_: None)
    monkeypatch.setattr(gateway_app, "calm_garbage_collector", lambda: None)
    gateway_settings = gateway_beside(settings, auth_dev=True, rate_limits=False)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Persister(settings, database))
        gateway = await stack.enter_async_context(InProcessGateway(gateway_settings))

        async def run(members: int) -> Burst:
            names = [f"user{number}" for number in range(members)]
            conversation = await store_conversation(database, dict.fromkeys(names, "member"))
            clients = []
            async with AsyncExitStack() as sockets, Rest(gateway.url) as rest:
                for name in names:
                    token = await rest.token(name, name)
                    client = await sockets.enter_async_context(ChatClient.connect(gateway.ws, token))
                    await client.join(conversation)
                    clients.append(client)
                # Who has come is shown a moment later, and should not be counted.
                await eventually(lambda: all(_knows(client) >= set(names) - {client.user_id} for client in clients))
                return await _burst(gateway, tap, monkeypatch, conversation, names, clients)

        yield run


def _knows(client: ChatClient) -> set[str]:
    return {frame["userId"] for frame in client.received if frame["type"] == "presence"}


async def _burst(
    gateway: InProcessGateway,
    tap: Tap,
    monkeypatch: pytest.MonkeyPatch,
    conversation: str,
    names: list[str],
    clients: list[ChatClient],
) -> Burst:
    wires = {name: gateway.wire(name) for name in names}
    for wire in wires.values():
        wire.transport = CountingTransport(wire.transport)
    framed, encoded, commands = Calls(), Calls(), Calls()
    publish = gateway.parts.broker.publish_all

    async def counted_publish(messages: Sequence[Outgoing], timeout: float = 10) -> None:
        commands.count += sum(message.exchange == tap.topology.commands.name for message in messages)
        await publish(messages, timeout)

    with monkeypatch.context() as patch, counted_tasks() as tasks:
        patch.setattr(gateway.parts.broker, "publish_all", counted_publish)
        patch.setattr(frames, "new_message", framed.of(frames.new_message))
        patch.setattr(frames.ServerFrame, "encode", encoded.of(frames.ServerFrame.encode))
        # All in one read, as a busy socket brings them.
        sends = ({"type": "send_message", "conversationId": conversation, "content": f"m{n}"} for n in range(BURST))
        texts = (Frame(Opcode.TEXT, json.dumps(send).encode()) for send in sends)
        wires[names[0]].data_received(b"".join(text.serialize(mask=True, extensions=[]) for text in texts))
        await eventually(lambda: all(len(client.messages(conversation)) == BURST for client in clients), poll=0.01)
        result = Burst(
            tasks, commands.count, {n: wires[n].transport.writes for n in names}, framed.count, encoded.count
        )
    for client in clients:
        client.check_complete(conversation, 1, BURST)
    return result


@pytest.mark.parametrize("members", [2, 12])
async def test_a_burst_costs_a_gateway_the_same_whatever_the_members(
    burst: Callable[[int], Awaitable[Burst]], members: int
) -> None:
    seen = await burst(members)
    assert seen.commands == 1, "AMQP messages for a hundred commands"
    assert not seen.tasks, "tasks, for a message or for a batch"
    assert seen.framed == BURST, "new_message, once for all members"
    assert seen.encoded == BURST, "message_sent, to the sender"
    # The persister's batch comes as one item list, so it leaves in one turn; the sender's passes the bound of a write.
    *_, sender = sorted(seen.writes.values())
    others = [writes for name, writes in seen.writes.items() if name != "user0"]
    assert (set(others), sender <= 2) == ({1}, True), seen.writes


@pytest.mark.parametrize("rooms", [1, 10])
async def test_a_hundred_who_connect_together_are_three_reads(counted: tuple[Database, RoundTrips], rooms: int) -> None:
    database, trips = counted
    people = [f"user{number}" for number in range(100)]
    conversations = [await store_conversation(database, dict.fromkeys(people, "member")) for _ in range(rooms)]
    await database.users.insert_many([{"_id": p, "userName": p, "avatar": None, "words": [p]} for p in people])
    trips.commands.clear()
    directory = Directory(database)
    profiles = await asyncio.gather(*(directory.profile(person) for person in people))
    assert [profile and profile.user_id for profile in profiles] == people
    asked = [directory.front_for(conversations[n % rooms], person) for n, person in enumerate(people)]
    assert await asyncio.gather(*asked) == [Front()] * 100
    assert trips.names == ["find users", "find memberships", "aggregate conversations"]


# --------------------------------------------------------------------------------------------------- query plans

ROOMS, STORED, PEOPLE, MEMBERS = 40, 250, 400, 20


@dataclass
class Crowd:
    """Many documents, of which a query should see few."""

    conversations: list[str]
    people: list[str]

    @property
    def one(self) -> str:
        """A conversation in the middle."""
        return self.conversations[len(self.conversations) // 2]

    @property
    def member(self) -> str:
        """Somebody in it."""
        return self.people[len(self.conversations) // 2 * 7 % PEOPLE]


@pytest.fixture
async def crowd(database: Database) -> Crowd:
    """`ROOMS` conversations of `STORED` messages and `MEMBERS` people each, out of `PEOPLE`."""
    people = [f"p{number:03}" for number in range(PEOPLE)]
    moment = now()
    conversations = []
    for room in range(ROOMS):
        members = {people[(room * 7 + number) % PEOPLE]: "member" for number in range(MEMBERS)}
        cid = await store_conversation(database, members, lastSeq=STORED)
        conversations.append(cid)
        await database.messages.insert_many(
            [
                {
                    "_id": new_id(),
                    "conversationId": cid,
                    "seq": seq,
                    "senderId": people[room * 7 % PEOPLE],
                    "senderName": "Somebody",
                    "senderAvatar": None,
                    "content": f"message {seq}",
                    "createdAt": moment + timedelta(seconds=seq),
                    "tempId": f"t{seq}",
                    "tempHash": "0",
                    **({"changeSeq": seq // 5, "change": {"kind": "edited", "at": moment}} if seq % 5 == 0 else {}),
                }
                for seq in range(1, STORED + 1)
            ]
        )
    users = [{"_id": p, "userName": p, "avatar": None, "words": [p]} for p in people]
    await database.users.insert_many(users)
    return Crowd(conversations, people)


def _reads(history: History, directory: Directory, crowd: Crowd, message_id: str) -> list[Awaitable[Any]]:
    """Everything that a gateway ever asks."""
    cid, person, some = crowd.one, crowd.member, crowd.conversations[:10]
    return [
        directory.front_for(cid, person),
        directory.fronts(some),
        history.changed(cid, 0, 10, 25),
        history.changed(cid, 0, 10, 25, 100),
        history.edits(cid, message_id, 10, None),
        history.replay(cid, STORED - 10),
        history.replay(cid, 100, 126),
        history.missed(cid, 100, 126),
        history.newest(cid, 50),
        history.newest(cid, 50, below=100),
        history.after(cid, 100, 50),
        directory.is_member(cid, person),
        directory.members_of({c: crowd.people[:3] for c in some}),
        directory.memberships(person, some),
        directory.read_since(some, now() - timedelta(minutes=1)),
        directory.readers(cid, message_id),
        history.replies(cid, message_id, 0, 50, person),
        directory.conversation(cid, person),
        directory.presence(crowd.people[:50]),
        directory.sharing(person, crowd.people[:50]),
        directory.conversations(person, 50, None),
        directory.members(cid, 10, None),
        directory.profile(person),
        directory.people(person, 10, None),
    ]


async def test_a_gateway_examines_what_it_returns(counted: tuple[Database, RoundTrips], crowd: Crowd) -> None:
    database, trips = counted
    message = await database.messages.find_one({"conversationId": crowd.one, "seq": 7})
    assert message is not None
    trips.commands.clear()
    history, directory = History(database), Directory(database)
    await history.message(crowd.one, message["_id"], crowd.member)
    for read in _reads(history, directory, crowd, message["_id"]):
        await read
    await _all_by_index(database, trips)


async def test_the_persister_examines_what_it_returns(counted: tuple[Database, RoundTrips], crowd: Crowd) -> None:
    database, trips = counted
    numbers = count()
    target = await database.messages.find_one({"conversationId": crowd.one, "seq": 7})
    assert target is not None

    def command(room: int, **fields: Any) -> Any:
        actor = crowd.people[room * 7 % PEOPLE]
        return make_message(crowd.conversations[room], f"new {next(numbers)}", actor=actor, **fields)

    trips.commands.clear()
    batch = [command(n, temp_id="new") for n in range(10)] + [command(n) for n in range(10)]
    batch.append(command(ROOMS // 2, reply_to=target["_id"]))
    batch.append(command(ROOMS // 2, mentions=crowd.people[:50]))
    await database.memberships.update_many({}, {"$set": {"role": "admin"}})
    trips.commands.clear()
    batch.append(command(ROOMS // 2, mention_all=True))
    outcomes = await send_all(database, Rooms(), batch)
    await note(database, outcomes.values())
    # What is stored already is looked up by its id and by its tempId.
    repeated = await send_all(database, Rooms(), [command(n, temp_id=f"t{n + 1}") for n in range(10)])
    assert all(outcome.reply is not None for outcome in repeated.values())
    marks = [
        make_command(MarkRead, conversation_id=crowd.conversations[n], actor=crowd.people[n * 7 % PEOPLE], seq=STORED)
        for n in range(10)
    ]
    about = {"conversation_id": crowd.one, "message_id": target["_id"], "actor": target["senderId"]}
    changing = Rooms()
    await react_all(database, changing, [make_command(React, emoji=e, present=True, **about) for e in "👍🎉"])
    await edit(database, changing, make_command(EditMessage, content="other", **about), 0)
    await delete(database, changing, make_command(DeleteMessage, **about), 0)
    rooms, seen = Rooms(), len(trips.commands)
    await rooms.load_sizes(database, crowd.conversations)
    del trips.commands[seen:]  # it counts the members up to a bound, in the index, and remembers
    await mark_all(database, rooms, marks)
    await _all_by_index(database, trips)


async def test_the_notifier_examines_what_it_returns(counted: tuple[Database, RoundTrips], crowd: Crowd) -> None:
    database, trips = counted
    batch = [
        events.MessageCreated.model_validate_json(
            events.message_created(cid, STORED, now(), to_message(document).encode())
        )
        for cid in crowd.conversations[:10]
        if (document := await database.messages.find_one({"conversationId": cid, "seq": STORED}))
    ]
    trips.commands.clear()
    preferences = Remembered(database)
    items = notifications(await concerned(database, preferences, batch), 100)
    assert sum(len(item.unread) for item, _ in items if isinstance(item, fanout.Notification)) == 10 * (MEMBERS - 1)
    # Members, names, and what people want, for all events together; which is then remembered.
    read = ["find conversations", "find memberships", "find notification_settings"]
    assert sorted(trips.names) == read
    await concerned(database, preferences, batch)
    assert sorted(trips.names) == sorted([*read, *read[:2]])
    await _all_by_index(database, trips)


async def test_keeping_for_notification_centres_is_one_read_and_one_write(
    counted: tuple[Database, RoundTrips], crowd: Crowd
) -> None:
    """For everybody in a batch together, whether their entries begin, go on, or begin anew."""
    database, trips = counted
    await mongo.create_collections(database, "notifier")

    def news(seq: int, read: int) -> dict[centre.Place, list[centre.News]]:
        people = dict.fromkeys(crowd.people[:MEMBERS], read)
        return {
            centre.Place(cid, "message"): [centre.News(f"{cid}:{seq}", seq, f"m{seq}", now(), people)]
            for cid in crowd.conversations[: centre.TOGETHER]
        }

    await centre.note(database, news(1, 0), 60)
    rooms = min(ROOMS, centre.TOGETHER)
    for seq, read, writes in ((2, 0, ["update"]), (5, 3, ["update"]), (6, 3, ["update", "update"])):
        trips.commands.clear()
        await centre.note(database, news(seq, read), 60)
        asked = [command for command in trips.commands if "getMore" not in command]  # of a long answer
        assert [next(iter(command)) for command in asked] == ["find", *writes]
        explained = await database.command({"explain": _explainable(asked[0])[0], "verbosity": "executionStats"})
        assert "COLLSCAN" not in {stage.get("stage") for stage in stages(explained)}
    trips.commands.clear()
    await Notifications(database).entries(crowd.people[0], 10, None)
    await Notifications(database).unread(crowd.people[0])
    await _all_by_index(database, trips)
    # A document for all members of a conversation.
    assert await database.unread.count_documents({}) == rooms
    assert await database.notifications.count_documents({}) == rooms


async def test_unread_mentions_are_one_read_for_a_list_and_none_for_who_has_read_it(
    counted: tuple[Database, RoundTrips], crowd: Crowd
) -> None:
    database, trips = counted
    await database.messages.update_many({"seq": 100}, {"$set": {"mentions": ["somebody", crowd.member]}})
    await database.messages.update_many({"seq": 200}, {"$set": {"mentionAll": True, "senderId": "somebody"}})
    directory = Directory(database)

    async def counts() -> tuple[int, int]:
        trips.commands.clear()
        found, _ = await directory.conversations(crowd.member, 50, None)
        reads = [command for command in trips.commands if "mentionAll" in str(command)]
        await _all_by_index(database, trips)
        return sum(view.unread_mentions for view in found), len(reads)

    rooms = await database.memberships.count_documents({"userId": crowd.member})
    assert rooms > 1
    mine = await database.messages.count_documents({"senderId": crowd.member, "seq": 100})
    assert await counts() == (2 * rooms - mine, 1)
    await database.memberships.update_many({"userId": crowd.member}, {"$set": {"lastReadSeq": STORED}})
    assert await counts() == (0, 0)


async def test_a_list_of_conversations_is_six_reads(counted: tuple[Database, RoundTrips], crowd: Crowd) -> None:
    database, trips = counted
    directory = Directory(database)
    trips.commands.clear()
    listed, _ = await directory.conversations(crowd.member, 50, None)
    assert len(listed) > 1
    assert {(len(view.members), view.member_count, view.last_seq) for view in listed} == {(10, MEMBERS, STORED)}
    assert trips.names == [
        "find memberships",
        "find conversations",
        "aggregate conversations",
        "aggregate memberships",
        "aggregate memberships",
        "find users",
    ]


READS = {"find", "aggregate", "count", "update"}


async def _all_by_index(database: Database, trips: RoundTrips) -> None:
    """Explain everything that was asked: no collection is scanned, and little is examined in vain."""
    asked = [command for command in trips.commands if next(iter(command)) in READS]
    assert asked
    for command in asked:
        for part in _explainable(command):
            explained = await database.command({"explain": part, "verbosity": "executionStats"})
            _judge(part, explained)


def _explainable(command: dict[str, Any]) -> list[dict[str, Any]]:
    """Without what belongs to the connection; updates one by one, since only such can be explained."""
    bare = {k: v for k, v in command.items() if k not in ("lsid", "txnNumber", "$db", "$clusterTime", "readConcern")}
    bare.pop("writeConcern", None)
    if "update" not in bare:
        return [bare]
    return [{"update": bare["update"], "updates": [update]} for update in bare["updates"]]


def _judge(command: dict[str, Any], explained: dict[str, Any]) -> None:
    kinds = {stage.get("stage", "$lookup") for stage in stages(explained)}
    assert "COLLSCAN" not in kinds, (command, kinds)
    statistics = list(_statistics(explained))
    assert statistics, command
    for returned, keys, documents in statistics:
        if any("$group" in stage for stage in command.get("pipeline", [])):
            assert documents == 0, (command, "what is counted is counted in the index")
            continue
        # For each value that is asked for, one may be looked at that is not wanted: the key behind those of a list, a
        # membership in another conversation. That is bounded by the question, whatever is stored.
        asked = _asked_for(command)
        assert documents <= returned + asked, (command, f"{documents} documents examined for {returned}")
        assert keys <= 2 * returned + 2 * asked, (command, f"{keys} keys examined for {returned}")


def _asked_for(value: Any) -> int:
    """How many values a command names."""
    if isinstance(value, dict):
        return sum(_asked_for(part) for part in value.values())
    if isinstance(value, list):
        return sum(_asked_for(part) for part in value)
    return 1


def _statistics(explained: Any) -> list[tuple[int, int, int]]:
    """(returned, keys examined, documents examined) of each part of a plan that says so."""
    found = []
    for stage in stages(explained):
        if "collectionScans" in stage:  # a $lookup
            assert stage["collectionScans"] == 0, stage
            most = next(
                (part["$limit"] for part in stage.get("$lookup", {}).get("pipeline", []) if "$limit" in part), 1
            )
            examined = (int(stage[name]) for name in ("totalKeysExamined", "totalDocsExamined"))
            found.append((int(stage["nReturned"]) * most, *examined))
    for statistics in _find(explained, "executionStats"):
        if "totalDocsExamined" in statistics:
            root = statistics.get("executionStages", {})
            changed = root.get("nMatched", 0) + root.get("nCounted", 0)
            returned = max(statistics["nReturned"], changed)
            found.append((int(returned), int(statistics["totalKeysExamined"]), int(statistics["totalDocsExamined"])))
    return found  # type: ignore[return-value]


def _find(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        nested = [found for part in value.values() for found in _find(part, name)]
        return ([value[name]] if name in value else []) + nested
    if isinstance(value, list):
        return [found for part in value for found in _find(part, name)]
    return []

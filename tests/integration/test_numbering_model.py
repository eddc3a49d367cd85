"""Persisters share conversations, die, are not heard, forget, are handed the same commands: numbers stay 1, 2, 3 …"""

import asyncio
from collections import defaultdict
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from pymongo.errors import PyMongoError

from contracts import fanout
from contracts.commands import SendMessage
from deploy.local.servers import Server
from services import mongo
from services.persister.messages import send_all
from services.persister.outcome import Outcome
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_message, store_conversation
from tests.support.faults import Fault, Kind, watched

pytestmark = pytest.mark.integration
PERSISTERS, ROOMS = 2, 2


class Numbering(RuleBasedStateMachine):
    """Two persisters that both believe that everything is theirs, and what each was answered."""

    def __init__(self, runner: asyncio.Runner, database: mongo.Database) -> None:
        super().__init__()
        self.runner = runner
        self.database = database
        self.rooms = [Rooms() for _ in range(PERSISTERS)]
        self.conversations = [self.run(store_conversation(self.database)) for _ in range(ROOMS)]
        self.commands: list[SendMessage] = []
        self.acked: dict[str, tuple[str, int]] = {}  # command -> message and seq

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @rule(room=st.integers(0, ROOMS - 1), count=st.integers(1, 4), persister=st.integers(0, PERSISTERS - 1))
    def send(self, room: int, count: int, persister: int) -> None:
        new = [
            make_message(self.conversations[room], f"m{len(self.commands) + n}", temp_id=f"t{len(self.commands) + n}")
            for n in range(count)
        ]
        self.commands += new
        self._handle(persister, new, Fault())

    @precondition(lambda self: self.commands)
    @rule(
        which=st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True),
        persister=st.integers(0, PERSISTERS - 1),
        by_client=st.booleans(),
    )
    def send_again(self, which: list[int], persister: int, by_client: bool) -> None:
        """Redelivered by the broker, or, with another id, by a client that was not answered."""
        again = [self.commands[index % len(self.commands)] for index in which]
        if by_client:
            again = [
                make_message(command.conversation_id, command.content, temp_id=command.temp_id) for command in again
            ]
            self.commands += again
        self._handle(persister, again, Fault())

    @rule(
        room=st.integers(0, ROOMS - 1),
        persister=st.integers(0, PERSISTERS - 1),
        kind=st.sampled_from(["dies", "fails", "unheard"]),
        at=st.integers(1, 6),
    )
    def fail(self, room: int, persister: int, kind: Kind, at: int) -> None:
        """Something goes wrong on the way; whoever comes next tries again."""
        new = [make_message(self.conversations[room], f"m{n}", temp_id=f"t{n}") for n in self._next(3)]
        self.commands += new
        self._handle(persister, new, Fault(kind, at))
        if kind == "dies":
            self.rooms[persister] = Rooms()

    @rule(persister=st.integers(0, PERSISTERS - 1))
    def take_over(self, persister: int) -> None:
        self.rooms[persister].clear(lambda conversation: True)

    @precondition(lambda self: len(self.commands) > 1)
    @rule()
    def both_at_once(self) -> None:
        """The same commands, and one of its own for each."""
        shared = self.commands[-2:]
        mine = [make_message(self.conversations[0], f"m{n}", temp_id=f"t{n}") for n in self._next(PERSISTERS)]
        self.commands += mine

        async def together() -> list[dict[str, Outcome]]:
            batches = [[*shared, own] for own in mine]
            return await asyncio.gather(
                *(send_all(self.database, rooms, batch) for rooms, batch in zip(self.rooms, batches, strict=True))
            )

        for outcomes in self.run(together()):
            self._note(outcomes)

    def _next(self, count: int) -> range:
        return range(len(self.commands), len(self.commands) + count)

    def _handle(self, persister: int, batch: list[SendMessage], fault: Fault) -> None:
        try:
            self._note(self.run(send_all(watched(self.database, fault), self.rooms[persister], batch)))
        except (asyncio.CancelledError, PyMongoError):
            assert fault.happened

    def _note(self, outcomes: dict[str, Outcome]) -> None:
        for command_id, outcome in outcomes.items():
            items = [item for item, _ in outcome.items if isinstance(item, fanout.MessageCreated)]
            reply = outcome.reply
            if items:
                answer = (items[0].message_id, items[0].seq)
            else:
                assert reply is not None
                assert reply.code is None
                assert reply.message_id is not None
                assert reply.seq is not None
                answer = (reply.message_id, reply.seq)
            assert self.acked.setdefault(command_id, answer) == answer, "an answer never changes"

    def teardown(self) -> None:
        """What was not answered comes again; then everything is there, once, without holes."""
        for command in self.commands:
            if command.id not in self.acked:
                self._handle(0, [command], Fault())
        numbers: dict[str, list[int]] = defaultdict(list)
        temps: dict[tuple[str, str], tuple[str, int]] = {}
        for document in self.run(self._stored()):
            numbers[document["conversationId"]].append(document["seq"])
            key = (document["conversationId"], document["tempId"])
            assert key not in temps
            temps[key] = (document["_id"], document["seq"])
        for seqs in numbers.values():
            assert seqs == list(range(1, len(seqs) + 1))
        for command in self.commands:
            assert command.temp_id is not None
            assert self.acked[command.id] == temps[command.conversation_id, command.temp_id]

    async def _stored(self) -> list[dict[str, Any]]:
        found = self.database.messages.find({"conversationId": {"$in": self.conversations}}).sort("seq", 1)
        return [document async for document in found]


@pytest.mark.timeout(120)
def test_numbers_stay_without_holes_whatever_happens(servers: tuple[Server, Server]) -> None:
    config = Settings(mongodb_url=servers[1].url, mongodb_database=f"palabre_{uuid4().hex[:8]}")

    async def connect() -> tuple[Any, mongo.Database]:
        client, database = mongo.connect(config, "test")
        await mongo.create_collections(database, "persister")
        return client, database

    async def drop(client: Any) -> None:
        await client.drop_database(config.mongodb_database)
        client.close()

    with asyncio.Runner() as runner:
        client, database = runner.run(connect())
        run_state_machine_as_test(
            partial(Numbering, runner, database),  # type: ignore[arg-type]  # called like the class it asks for
            settings=settings(
                max_examples=25,
                stateful_step_count=15,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(drop(client))

"""What goes wrong at the n-th thing that a service does to MongoDB or RabbitMQ, for every n."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, cast

from pymongo.errors import ConnectionFailure

from contracts.topology import Topology
from services.amqp import Broker, BrokerAway, Outgoing
from services.amqp.broker import PUBLISH_TIMEOUT
from services.mongo import Database

CURSORS = ("find", "aggregate")  # these return at once
AWAITED = (
    "find_one",
    "insert_one",
    "insert_many",
    "bulk_write",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "find_one_and_update",
    "count_documents",
)

# dies: as kill -9 would end it, after the step; fails: the step was not carried out; unheard: it was, and nobody knows.
Kind = Literal["dies", "fails", "unheard"]
Instead = Callable[..., Awaitable[Any]]


class Fault:
    """Happens at the n-th step, or at the first of this name; 0 never does.

    Attributes:
        steps: what was begun, in order, as `messages.insert_many` or `publish chat.events`.
    """

    def __init__(self, kind: Kind = "dies", at: int | str = 0) -> None:
        self.kind = kind
        self.steps: list[str] = []
        self.happened = False
        self._at = at

    def arm(self, at: int | str) -> None:
        """It will happen at this step from now on."""
        self.steps.clear()
        self.happened = False
        self._at = at

    def before(self, step: str) -> int:
        """A step begins; its number."""
        if self.happened and self.kind == "dies":
            raise asyncio.CancelledError  # the dead do nothing more
        self.steps.append(step)
        number = len(self.steps)
        if self.kind == "fails" and not self.happened and self._at in (number, step):
            self._happen(step)
        return number

    def after(self, number: int, step: str) -> None:
        """That step is done."""
        if self.kind != "fails" and not self.happened and self._at in (number, step):
            self._happen(step)

    def _happen(self, step: str) -> None:
        self.happened = True
        if self.kind == "dies":
            raise asyncio.CancelledError
        if step.startswith("publish"):
            raise BrokerAway(f"made up, at {step}")
        raise ConnectionFailure(f"made up, at {step}")


def watched(database: Database, fault: Fault, instead: dict[str, Instead] | None = None) -> Database:
    """The database with this fault.

    What `instead` has under a step's name is called in place of the method, with the collection as first argument.
    """
    return cast(Database, _WatchedDatabase(database, fault, instead or {}))


class _WatchedDatabase:
    def __init__(self, database: Database, fault: Fault, instead: dict[str, Instead]) -> None:
        self._database = database
        self._fault = fault
        self._instead = instead

    def __getitem__(self, name: str) -> "_WatchedCollection":
        return _WatchedCollection(self._database[name], self._fault, self._instead)


class _WatchedCollection:
    def __init__(self, collection: Any, fault: Fault, instead: dict[str, Instead]) -> None:
        self._collection = collection
        self._fault = fault
        self._instead = instead

    def with_options(self, **options: Any) -> "_WatchedCollection":
        return _WatchedCollection(self._collection.with_options(**options), self._fault, self._instead)

    def __getattr__(self, method: str) -> Any:
        step = f"{self._collection.name}.{method}"
        real = getattr(self._collection, method)

        def cursor(*args: Any, **kwargs: Any) -> Any:
            self._fault.after(self._fault.before(step), step)
            return real(*args, **kwargs)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            number = self._fault.before(step)
            if step in self._instead:
                result = await self._instead[step](self._collection, *args, **kwargs)
            else:
                result = await real(*args, **kwargs)
            self._fault.after(number, step)
            return result

        if method in CURSORS:
            return cursor
        assert method in AWAITED, f"{method} is not watched yet"
        return awaited


class WatchedBroker(Broker):
    """A broker with this fault, for which each message of a batch is a step: any part of it may have arrived."""

    def __init__(self, url: str, name: str, topology: Topology, fault: Fault) -> None:
        super().__init__(url, name, topology)
        self._fault = fault

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float = PUBLISH_TIMEOUT) -> None:
        """As its parent does, one by one."""
        for message in messages:
            if message.exchange in ("", self.topology.peers.name):  # probes and greetings
                await super().publish_all([message], timeout)
                continue
            step = f"publish {message.exchange.removeprefix(self.topology.prefix)}"
            number = self._fault.before(step)
            await super().publish_all([message], timeout)
            self._fault.after(number, step)

"""The connection to MongoDB, the creation of a service's collections, and what every service reads of them alike."""

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import IndexModel
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from tenacity import wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import collections
from contracts.collections import Owner, owned_by
from contracts.message import Message
from contracts.shape import to_text
from services import tracing
from services.settings import ServiceSettings
from services.telemetry import logger
from services.tracing import Tracing

Database = AsyncIOMotorDatabase[dict[str, Any]]
# A server that is away is noticed within this time; a write that takes longer may have landed.
TIMEOUT_MS = 5000


def connect(
    settings: ServiceSettings, name: str, traces: Tracing | None = None, *, answers_late: bool = False
) -> tuple[AsyncIOMotorClient[dict[str, Any]], Database]:
    """A client (it connects by itself, later) and the database, in which written and read means by a majority.

    Reading by majority means that nothing is shown which an election could take back. With `traces`, what is asked of
    MongoDB during a traced operation is part of its trace. `answers_late`: what is asked may take as long as it takes, as
    an index of a large collection does.
    """
    more: dict[str, Any] = {} if traces is None else {"event_listeners": [TracedCommands(traces)]}
    try:
        client = _client(settings, name, more | {"socketTimeoutMS": None if answers_late else 2 * TIMEOUT_MS})
    except (ConfigurationError, InvalidURI, ValueError) as error:
        print(f"MONGODB_URL: {error}", file=sys.stderr)
        sys.exit(2)
    database = client.get_database(
        settings.mongodb_database,
        write_concern=WriteConcern(w="majority", j=True, wtimeout=TIMEOUT_MS),
        read_concern=ReadConcern("majority"),
    )
    return client, database


def _client(settings: ServiceSettings, name: str, more: dict[str, Any]) -> AsyncIOMotorClient[dict[str, Any]]:
    return AsyncIOMotorClient(
        settings.mongodb_url,
        appname=name,
        tz_aware=True,
        serverSelectionTimeoutMS=TIMEOUT_MS,
        connectTimeoutMS=TIMEOUT_MS,
        # Retrying belongs to who knows whether it is worth it: the persister's batch loop, the client's next try.
        retryWrites=True,
        **more,
    )


class TracedCommands(CommandListener):
    """A span of each command that MongoDB answers during a traced operation.

    It is called in the threads that wait for MongoDB; motor has them see the context of who asks.
    """

    def __init__(self, traces: Tracing) -> None:
        self._traces = traces
        self._collections: dict[int, str] = {}  # by the number of a request that is not answered yet

    def started(self, event: CommandStartedEvent) -> None:
        """It is asked."""
        if tracing.current() and isinstance(collection := event.command.get(event.command_name), str):
            self._collections[event.request_id] = collection

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """It is answered."""
        self._answered(event, None)

    def failed(self, event: CommandFailedEvent) -> None:
        """It is not."""
        self._answered(event, str(event.failure.get("codeName") or event.failure.get("errmsg", "failed"))[:100])

    def _answered(self, event: CommandSucceededEvent | CommandFailedEvent, error: str | None) -> None:
        collection = self._collections.pop(event.request_id, None)
        if collection is None:
            return
        about: tracing.Attributes = {
            "db.system.name": "mongodb",
            "db.namespace": event.database_name,
            "db.collection.name": collection,
            "db.operation.name": event.command_name,
        }
        begun = time.time_ns() - event.duration_micros * 1000
        for span in tracing.current():
            self._traces.called(span, f"{event.command_name} {collection}", begun, about, error)


async def create_collections(database: Database, owner: Owner) -> None:
    """Create the indexes (and with them the collections) that a service owns. Repeating it changes nothing."""
    for collection in owned_by(owner):
        indexes = [
            IndexModel(
                list(index.keys),
                name=index.name,
                unique=index.unique,
                **({"partialFilterExpression": index.only} if index.only else {}),
                **({"expireAfterSeconds": 0} if index.expires else {}),
            )
            for index in collection.indexes
        ]
        if indexes:
            await database[collection.name].create_indexes(indexes)


async def surely_create_collections(database: Database, owner: Owner) -> None:
    """The same, as soon as MongoDB is there."""
    async for attempt in AsyncRetrying(wait=wait_random_exponential(0.2, max=3)):
        with attempt:
            try:
                await create_collections(database, owner)
            except Exception as error:
                logger().warning("MongoDB away", reason=str(error)[:200])
                raise


class State(NamedTuple):
    """The newest stored seq of a conversation, and whether it can only be read."""

    head: int
    closed: bool


class Front(NamedTuple):
    """How far a conversation has come: its newest message and its last change, 0 before the first."""

    seq: int = 0
    change: int = 0


async def heads_of(database: Database, conversations: Iterable[str]) -> dict[str, int]:
    """The newest stored seq of each conversation."""
    return {c: state.head for c, state in (await states_of(database, conversations)).items()}


async def states_of(database: Database, conversations: Iterable[str]) -> dict[str, State]:
    """The state of each conversation; its newest seq from its last message: one step in the index for each."""
    found = _last(database, conversations, "seq")
    return {d["_id"]: State(_number(d, "seq"), d.get("closedAt") is not None) async for d in found}


async def last_changes_of(database: Database, conversations: Iterable[str]) -> dict[str, int]:
    """The number of the last change of each conversation: one step in the index for each."""
    return {d["_id"]: _number(d, "changeSeq") async for d in _last(database, conversations, "changeSeq")}


async def fronts_of(database: Database, conversations: Iterable[str]) -> dict[str, Front]:
    """How far each conversation has come, in one read."""
    found = _last(database, conversations, "seq", "changeSeq")
    return {d["_id"]: Front(_number(d, "seq"), _number(d, "changeSeq")) async for d in found}


def _last(database: Database, conversations: Iterable[str], *fields: str) -> Any:
    """For each conversation the largest value that each of these fields of its messages has."""

    def largest(field: str) -> dict[str, Any]:
        return {
            "$lookup": {
                "from": collections.MESSAGES.name,
                "localField": "_id",
                "foreignField": "conversationId",
                "pipeline": [
                    # Where few messages have the field, their index has only those.
                    *([{"$match": {field: {"$gt": 0}}}] if field == "changeSeq" else ()),
                    {"$sort": {field: -1}},
                    {"$limit": 1},
                    {"$project": {"_id": 0, field: 1}},
                ],
                "as": field,
            }
        }

    return database[collections.CONVERSATIONS.name].aggregate(
        [
            {"$match": {"_id": {"$in": list(conversations)}}},
            *map(largest, fields),
            {"$project": dict.fromkeys(("closedAt", *fields), 1)},
        ]
    )


def _number(document: dict[str, Any], field: str) -> int:
    found = document[field]
    return int(found[0][field]) if found else 0


# The persister's own notes on a message, which nobody is shown.
NOTES = ("tempHash", "change")
_HIDDEN = frozenset({"_id", "tempId", *NOTES})


def to_message(document: dict[str, Any], viewer: str | None = None) -> Message:
    """The shape that travels; its `tempId` only for its sender."""
    hidden = {"_id", *NOTES} if viewer == document["senderId"] else {"_id", "tempId", *NOTES}
    return Message.model_validate({**{k: v for k, v in document.items() if k not in hidden}, "id": document["_id"]})


def encode_message(document: dict[str, Any]) -> bytes:
    """`to_message(document).encode()`, without checking again what was checked before it was stored."""
    fields = {name: value for name, value in document.items() if name not in _HIDDEN}
    return orjson.dumps({"id": document["_id"], **fields}, default=_text, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return to_text(value)
    raise TypeError(f"a message holds no {type(value).__name__}")


async def ping(database: Database) -> None:
    """Returns when the primary answers.

    Raises:
        ConnectionError: it does not.
    """
    try:
        answer = await database.command("hello")
    except PyMongoError as error:
        raise ConnectionError("MongoDB does not answer") from error
    if not answer.get("isWritablePrimary"):
        raise ConnectionError("MongoDB has no primary")

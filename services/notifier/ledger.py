"""What the channels were given to tell: for a person and a conversation, up to which message, and what last.

A delivery is noted before it is published (`told` false), and again after. So one that comes again after a crash in between
is published again as it was, under its id, and nothing is published under two.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from contracts import collections
from contracts.notifying import Kind
from services.mongo import Database

DUPLICATE = 11000


class Pair(NamedTuple):
    """A person, and a conversation of theirs."""

    user: str
    conversation: str


@dataclass(frozen=True, slots=True)
class Told:
    """Everything up to `seq` is told, or was not worth it; what was told is the message `shown`, with others in it."""

    seq: int
    shown: int
    kind: Kind
    count: int
    at: datetime
    told: bool = False


class Ledger:
    """Keeps it."""

    def __init__(self, database: Database, keep: float) -> None:
        """`keep`: seconds after which nobody is told any more."""
        self._deliveries = database[collections.DELIVERIES.name]
        self._keep = timedelta(seconds=keep)

    async def of(self, pairs: Collection[Pair]) -> dict[Pair, Told]:
        """What is noted of these."""
        if not pairs:
            return {}
        query = {"$or": [{"userId": pair.user, "conversationId": pair.conversation} for pair in pairs]}
        return {
            Pair(d["userId"], d["conversationId"]): Told(
                d["seq"], d["shown"], d["kind"], d["count"], d["at"], d["told"]
            )
            async for d in self._deliveries.find(query)
        }

    async def note(self, told: Mapping[Pair, Told]) -> set[Pair]:
        """Note what is about to be published; those of them that another notifier has not gone past."""
        if not told:
            return set()
        pairs = list(told)
        writes = [UpdateOne(*self._write(pair, told[pair]), upsert=True) for pair in pairs]
        try:
            await self._deliveries.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            failed = error.details.get("writeErrors", [])
            if not failed or any(one["code"] != DUPLICATE for one in failed):
                raise
            past = {pairs[one["index"]] for one in failed}
            return set(pairs) - past
        return set(pairs)

    async def published(self, told: Iterable[tuple[Pair, int]]) -> None:
        """Note that these are with the channels."""
        writes = [
            UpdateOne({"userId": pair.user, "conversationId": pair.conversation, "seq": seq}, {"$set": {"told": True}})
            for pair, seq in told
        ]
        if writes:
            await self._deliveries.bulk_write(writes, ordered=False)

    def _write(self, pair: Pair, told: Told) -> tuple[dict[str, Any], dict[str, Any]]:
        # Where a later one is noted, nothing matches, and the second document for this pair is refused by the index.
        place = {"userId": pair.user, "conversationId": pair.conversation, "seq": {"$lt": told.seq}}
        fields = {"seq": told.seq, "shown": told.shown, "kind": told.kind, "count": told.count, "at": told.at}
        return place, {"$set": {**fields, "told": told.told, "expiresAt": told.at + self._keep}}

"""What the persister remembers of the conversations that are being written to: their heads, who is in them, and which
are closed."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Any

from contracts import collections, limits
from services.mongo import Database, last_changes_of, states_of

REMEMBERED = 100_000  # conversations
TRUSTED = 300.0  # seconds after which what is remembered is read again, at the latest


class Contended(ConnectionError):
    """Another process, which lost its partition and does not know yet, writes to the same conversation. Try again."""


class Rooms:
    """Heads, memberships, and whether there are many.

    They stay right because all commands of a conversation pass through one process at a time; whoever takes a partition
    over starts with nothing (`clear`). That somebody else had it meanwhile may go unnoticed all the same, and shows by
    itself in the heads only; so nothing is trusted for longer than `TRUSTED`.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._read_in: OrderedDict[str, int] = OrderedDict()  # conversation -> span of time in which it was read
        self._heads: OrderedDict[str, int] = OrderedDict()
        self._told: OrderedDict[str, int] = OrderedDict()  # conversation -> the newest seq that is surely told
        self._changes: OrderedDict[str, int] = OrderedDict()  # conversation -> number of its last change
        self._members: OrderedDict[str, dict[str, bool]] = OrderedDict()  # conversation -> user -> is in it
        self._crowded: OrderedDict[str, bool] = OrderedDict()
        self._closed: set[str] = set()

    async def load(self, database: Database, pairs: Iterable[tuple[str, str]]) -> None:
        """Know the heads of these conversations, and whether these people are in them."""
        pairs = set(pairs)
        conversations = {conversation for conversation, _ in pairs}
        # All are too old at once: so a few batches read much again, and not each of them a little.
        span = int((time.monotonic() - self._begun) / TRUSTED)
        self.forget([c for c in conversations if self._read_in.get(c, span) != span])
        unknown = [c for c in conversations if c not in self._read_in]
        if unknown:
            states = await states_of(database, unknown)
            self._read_in.update(dict.fromkeys(states, span))
            for conversation, state in states.items():
                self._heads[conversation] = state.head
                # Whoever had the partition before told what is stored, or its commands come again. What others store from
                # now on, they may not live to tell. (It goes down with a conversation that was deleted and made again.)
                self._told[conversation] = min(self._told.get(conversation, state.head), state.head)
            self._closed |= {conversation for conversation, state in states.items() if state.closed}
        missing = [(c, u) for c, u in pairs if u not in self._members.get(c, ())]
        if missing:
            query = {"$or": [{"conversationId": c, "userId": u} for c, u in missing]}
            cursor = database[collections.MEMBERSHIPS.name].find(query, {"conversationId": 1, "userId": 1})
            found = {(document["conversationId"], document["userId"]) async for document in cursor}
            for conversation, user in missing:
                self._members.setdefault(conversation, {})[user] = (conversation, user) in found
        self.forget(_forget_oldest(self._read_in, conversations))
        _forget_oldest(self._told, conversations)
        _forget_oldest(self._members, conversations)

    async def load_mentioned(self, database: Database, pairs: Iterable[tuple[str, str]]) -> None:
        """Know which of these people are in those conversations, of which each was loaded.

        Strangers are looked up again, not remembered: anybody may name any number of them.
        """
        unknown = [(c, u) for c, u in pairs if u not in self._members.get(c, ())]
        if not unknown:
            return
        query = {"$or": [{"conversationId": c, "userId": u} for c, u in unknown]}
        async for found in database[collections.MEMBERSHIPS.name].find(query, {"conversationId": 1, "userId": 1}):
            self._members.setdefault(found["conversationId"], {})[found["userId"]] = True

    async def load_sizes(self, database: Database, conversations: Iterable[str]) -> None:
        """Know which of these have more than `READERS_SHOWN_TO` members."""
        conversations = set(conversations)
        unknown = [c for c in conversations if c not in self._crowded]
        if unknown:
            self._crowded |= await _crowded(database, unknown)
        _forget_oldest(self._crowded, conversations)

    async def load_changes(self, database: Database, conversations: Iterable[str]) -> None:
        """Know the last change of these conversations."""
        conversations = set(conversations)
        unknown = [c for c in conversations if c not in self._changes]
        if unknown:
            self._changes.update(await last_changes_of(database, unknown))
        _forget_oldest(self._changes, conversations)

    def last_change(self, conversation_id: str) -> int:
        """The number of the last change; 0 before the first."""
        return self._changes.get(conversation_id, 0)

    def head(self, conversation_id: str) -> int:
        """The newest seq; 0 before the first message."""
        return self._heads.get(conversation_id, 0)

    def told(self, conversation_id: str) -> int:
        """The newest seq of a conversation that was loaded whose event is out, with all before it."""
        return self._told.get(conversation_id, self.head(conversation_id))

    def mark_told(self, conversations: Iterable[str]) -> None:
        """The events of these are out, up to their heads."""
        for conversation in conversations:
            if conversation in self._told:
                self._told[conversation] = max(self._told[conversation], self.head(conversation))

    def is_member(self, conversation_id: str, user_id: str) -> bool:
        """Whether this pair was loaded and is a member."""
        return self._members.get(conversation_id, {}).get(user_id, False)

    def is_crowded(self, conversation_id: str) -> bool:
        """Whether its size was loaded and is above `READERS_SHOWN_TO`."""
        return self._crowded.get(conversation_id, False)

    def is_closed(self, conversation_id: str) -> bool:
        """Whether this conversation was loaded and can only be read."""
        return conversation_id in self._closed

    def advance(self, heads: dict[str, int]) -> None:
        """New heads, after they were stored."""
        self._heads.update(heads)

    def advance_changes(self, last: dict[str, int]) -> None:
        """New last changes, after they were stored."""
        self._changes.update(last)

    def forget(self, conversations: Iterable[str]) -> None:
        """Know nothing of these any more, but how far they are told."""
        for conversation in conversations:
            self._read_in.pop(conversation, None)
            self._heads.pop(conversation, None)
            self._changes.pop(conversation, None)
            self._members.pop(conversation, None)
            self._crowded.pop(conversation, None)
            self._closed.discard(conversation)

    def clear(self, where: Callable[[str], bool]) -> None:
        """Know nothing of those conversations of which `where` holds: they may have been with somebody else meanwhile.

        Only of those: what others stored in the rest of them, and did not live to tell, is known by nobody else.
        """
        self.doubt(where)
        for conversation in [conversation for conversation in self._told if where(conversation)]:
            del self._told[conversation]

    def doubt(self, where: Callable[[str], bool]) -> None:
        """The same, but for how far they are told: maybe nobody else had them, and nobody else knows."""
        known = self._heads.keys() | self._changes.keys() | self._members.keys() | self._crowded.keys() | self._closed
        self.forget([conversation for conversation in known if where(conversation)])


def _forget_oldest(remembered: OrderedDict[str, Any], used: Collection[str]) -> list[str]:
    """What is forgotten, since more is remembered than may be; never what is used now, however old."""
    excess = len(remembered) - max(REMEMBERED, 2 * len(used))
    if excess <= 0:
        return []
    for conversation in used:
        if conversation in remembered:
            remembered.move_to_end(conversation)
    return [remembered.popitem(last=False)[0] for _ in range(excess)]


async def _crowded(database: Database, conversations: list[str]) -> dict[str, bool]:
    """Counted no further than needed, and in the index."""
    most = limits.READERS_SHOWN_TO
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": {"$in": conversations}}},
        {
            "$lookup": {
                "from": collections.MEMBERSHIPS.name,
                "localField": "_id",
                "foreignField": "conversationId",
                "pipeline": [{"$limit": most + 1}, {"$project": {"_id": 0, "conversationId": 1}}],
                "as": "some",
            }
        },
        {"$project": {"size": {"$size": "$some"}}},
    ]
    cursor = database[collections.CONVERSATIONS.name].aggregate(pipeline)
    return {document["_id"]: document["size"] > most async for document in cursor}

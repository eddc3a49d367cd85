"""The notification centre: what somebody was told, or would have been.

An entry is for a person, a conversation and a kind. While it is unread, later ones fold into it; what follows after that
begins another one. It holds no words: those are read with it, so that what was edited or deleted since is as it is now.
Having read the conversation is not noted either: it shows in the membership.

Messages come in any order (several notifiers take them, and what has waited may have waited twice), and more than once. An
entry knows which of the newest numbers it counts, so each is counted once; what is older than those is taken for counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from contracts import collections
from contracts.notifying import Kind, ReadNotifications
from contracts.shape import now
from services.mongo import Database
from services.notifier import metrics
from services.notifier.recipients import Concerned

TOGETHER = 500  # entries in one write
DUPLICATE = 11000
MARKS = 63  # numbers that an entry knows of: as many bits as MongoDB's integers have
ALL_MARKS = (1 << MARKS) - 1
Write = UpdateOne | InsertOne[dict[str, Any]]


class Key(NamedTuple):
    """What folds into one entry."""

    user: str
    conversation: str
    kind: Kind


class News(NamedTuple):
    """Something for an entry. `read`: how far its person has read the conversation."""

    event_id: str
    seq: int
    message_id: str | None
    at: datetime
    read: int


class Contended(PyMongoError):
    """Another notifier has changed an entry just now. Try again."""


def has_entries(one: Concerned, up_to: int) -> bool:
    """Whether an ordinary message is worth entries: in a crowd, its conversation shows that there is something new."""
    return bool(one.others) and len(one.room.members) <= up_to


def named(told: Iterable[Concerned]) -> dict[Key, list[News]]:
    """Mentions, and that somebody was added."""
    found: dict[Key, list[News]] = {}
    for one in told:
        message = one.message
        for user, read in one.named.items():
            if message is not None:
                news = News(one.event.id, message.seq, message.id, message.created_at, read)
                found.setdefault(Key(user, one.conversation_id, "mention"), []).append(news)
            else:
                # Read once anything was read that is newer.
                news = News(one.event.id, read + 1, None, one.event.time, read)
                found.setdefault(Key(user, one.conversation_id, "added"), []).append(news)
    return found


def ordinary(told: Iterable[Concerned], up_to: int) -> dict[Key, list[News]]:
    """Messages that were not read yet, in conversations that are no crowd."""
    found: dict[Key, list[News]] = {}
    for one in told:
        message = one.message
        if message is not None and has_entries(one, up_to):
            alike: dict[int, News] = {}  # by how far somebody has read: in a conversation, many are equally far
            for user, read in one.others.items():
                if message.seq > read:
                    news = alike.get(read)
                    if news is None:
                        news = News(one.event.id, message.seq, message.id, message.created_at, read)
                        alike[read] = news
                    found.setdefault(Key(user, one.conversation_id, "message"), []).append(news)
    return found


async def note(database: Database, news: Mapping[Key, Sequence[News]], keep: float) -> None:
    """Keep it for `keep` seconds, each once however often it comes.

    Raises:
        pymongo.errors.PyMongoError: the database is away, or another notifier was faster; all may be tried again.
    """
    kept = timedelta(seconds=keep)
    for keys in _portions(news):
        known = await _known(database, {key: news[key] for key in keys})
        writes = [write for key in keys for write in _writes(key, news[key], known.get(key, NOTHING), kept)]
        if not writes:
            continue
        # What was read ends before the next begins; and what is alike is one command.
        writes.sort(key=lambda write: isinstance(write, InsertOne))
        try:
            result = await database[collections.NOTIFICATIONS.name].bulk_write(writes, ordered=True)
        except BulkWriteError as error:
            if any(one["code"] != DUPLICATE for one in error.details.get("writeErrors", [])):
                raise
            raise Contended("an entry was begun by somebody else") from error
        if result.matched_count < sum(isinstance(write, UpdateOne) for write in writes):
            raise Contended("an entry was changed by somebody else")


class Known(NamedTuple):
    """The entry that goes on, if there is one; and all that have something as new as what comes."""

    open: dict[str, Any] | None
    entries: tuple[dict[str, Any], ...]

    def counts(self, seq: int) -> bool:
        """Whether one of them counts it."""
        return any(is_marked(entry["seq"], entry.get("marks", ALL_MARKS), seq) for entry in self.entries)


NOTHING = Known(None, ())


def is_marked(newest: int, marks: int, seq: int) -> bool:
    """Whether `seq` is counted by marks of which bit n stands for `newest - n`."""
    distance = newest - seq
    return distance >= 0 and (distance >= MARKS or bool(marks >> distance & 1))


def mark(newest: int, marks: int, seqs: Iterable[int]) -> tuple[int, int]:
    """The newest number and the marks when these are counted too."""
    for seq in seqs:
        if seq > newest:
            newest, marks = seq, (marks << seq - newest | 1) & ALL_MARKS if seq - newest < MARKS else 1
        else:
            marks |= (1 << newest - seq) & ALL_MARKS
    return newest, marks


async def _known(database: Database, news: Mapping[Key, Sequence[News]]) -> dict[Key, Known]:
    clauses: list[dict[str, Any]] = []
    for key, some in news.items():
        place = {"userId": key.user, "conversationId": key.conversation, "kind": key.kind}
        clauses.append({**place, "open": True})
        if key.kind == "added":  # which have no number of their own
            clauses.append({"_id": {"$in": [_entry_id(key, one) for one in some]}})
        else:
            clauses.append({**place, "seq": {"$gte": min(one.seq for one in some)}})
    found: dict[Key, Known] = {}
    async for entry in database[collections.NOTIFICATIONS.name].find({"$or": clauses}):
        key = Key(entry["userId"], entry["conversationId"], entry["kind"])
        known = found.get(key, NOTHING)
        found[key] = Known(entry if entry.get("open") else known.open, (*known.entries, entry))
    return found


def _writes(key: Key, news: Sequence[News], known: Known, keep: timedelta) -> Iterator[Write]:
    if key.kind == "added":
        # Each of these is an entry of its own, unless the one before is still unread.
        ids = {entry["_id"] for entry in known.entries}
        fresh = [one for one in news if _entry_id(key, one) not in ids][-1:]
    else:
        once = {one.seq: one for one in news if not known.counts(one.seq)}
        fresh = [once[seq] for seq in sorted(once)]
    if not fresh:
        return
    metrics.ENTRIES.labels(key.kind).inc()
    last, seqs = fresh[-1], [one.seq for one in fresh]
    newest = {"seq": last.seq, "messageId": last.message_id, "at": last.at, "expiresAt": last.at + keep}
    entry = known.open
    if entry is not None and entry["seq"] > last.read:
        _, marks = mark(entry["seq"], entry.get("marks", ALL_MARKS), seqs)
        changed = {"marks": marks, **(newest if last.seq >= entry["seq"] else {})}
        same = {"_id": entry["_id"], "count": entry["count"], "open": True}
        yield UpdateOne(same, {"$set": changed, "$inc": {"count": len(fresh)}})
        return
    if entry is not None:
        yield UpdateOne({"_id": entry["_id"], "open": True}, {"$set": {"readAt": now()}, "$unset": {"open": ""}})
    place = {"userId": key.user, "conversationId": key.conversation, "kind": key.kind}
    _, marks = mark(seqs[0], 1, seqs)
    begun = {**newest, "marks": marks, "count": len(fresh), "open": True}
    yield InsertOne({"_id": _entry_id(key, fresh[0]), **place, **begun})


def _entry_id(key: Key, first: News) -> str:
    """The same whenever it is begun with the same."""
    return sha256(f"{first.event_id}\n{key.kind}\n{key.user}".encode()).hexdigest()[:32]


def _portions(news: Mapping[Key, Sequence[News]]) -> Iterator[list[Key]]:
    keys = iter(news)
    while portion := list(islice(keys, TOGETHER)):
        yield portion


# ------------------------------------------------------------------------------------------------- commands


async def mark_read(database: Database, command: ReadNotifications) -> None:
    """Mark what there was at a moment, of one conversation or of all. Doing it again, or late, does no harm."""
    wanted: dict[str, Any] = {"userId": command.actor.user_id, "open": True, "at": {"$lte": command.until}}
    if command.conversation_id is not None:
        wanted["conversationId"] = command.conversation_id
    await database[collections.NOTIFICATIONS.name].update_many(
        wanted, {"$set": {"readAt": command.until}, "$unset": {"open": ""}}
    )

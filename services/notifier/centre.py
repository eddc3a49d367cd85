"""The notification centre: what people were told, or would have been.

An entry is for a person, a conversation and a kind. While it is unread, later ones fold into it; what follows after that
begins another one. It holds no words: those are read with it, so that what was edited or deleted since is as it is now.
Having read the conversation is not noted either: it shows in the membership.

A message that nobody has read yet is the same news to all members, so what goes on for a conversation is one document
(`unread`), in which those whose entries are alike are one group: it costs a write for the conversation, not one for each
of them. A mention concerns few among many, so each of those has a document of their own. What somebody has read is moved
to `notifications` when something follows, again one document for all who are alike.

Messages come in any order (several notifiers take them, and what has waited may have waited twice), and more than once. A
group knows which of the newest numbers were counted for its people, so each is counted once; what is older than those is
taken for counted.
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

TOGETHER = 500  # documents in one write
ATTEMPTS = 5  # while another notifier is faster
DUPLICATE = 11000
MARKS = 63  # numbers that a group knows of: as many bits as MongoDB's integers have
ALL_MARKS = (1 << MARKS) - 1
Group = dict[str, Any]
Write = UpdateOne | InsertOne[dict[str, Any]]


class Place(NamedTuple):
    """What has one document. `user`: whose it is; empty where everybody shares it."""

    conversation: str
    kind: Kind
    user: str = ""

    @property
    def id(self) -> str:
        """The `_id` of its document."""
        return f"{self.kind}/{self.conversation}/{self.user}"


class News(NamedTuple):
    """Something for entries. `people`: whose, each with how far they have read the conversation."""

    event_id: str
    seq: int
    message_id: str | None
    at: datetime
    people: Mapping[str, int]


class Contended(PyMongoError):
    """Other notifiers have changed an entry again and again. Try again later."""


def has_entries(one: Concerned, up_to: int) -> bool:
    """Whether an ordinary message is worth entries: in a crowd, its conversation shows that there is something new."""
    return bool(one.others) and len(one.room.members) <= up_to


def named(told: Iterable[Concerned]) -> dict[Place, list[News]]:
    """Mentions, and that somebody was added."""
    found: dict[Place, list[News]] = {}
    for one in told:
        message = one.message
        for user, read in one.named.items():
            if message is not None:
                news = News(one.event.id, message.seq, message.id, message.created_at, {user: read})
                found.setdefault(Place(one.conversation_id, "mention", user), []).append(news)
            else:
                # Read once anything was read that is newer.
                news = News(one.event.id, read + 1, None, one.event.time, {user: read})
                found.setdefault(Place(one.conversation_id, "added", user), []).append(news)
    return found


def ordinary(told: Iterable[Concerned], up_to: int) -> dict[Place, list[News]]:
    """Messages that were not read yet, in conversations that are no crowd."""
    found: dict[Place, list[News]] = {}
    for one in told:
        message = one.message
        if message is not None and has_entries(one, up_to):
            unread = {user: read for user, read in one.others.items() if read < message.seq}
            if unread:
                news = News(one.event.id, message.seq, message.id, message.created_at, unread)
                found.setdefault(Place(one.conversation_id, "message"), []).append(news)
    return found


async def note(database: Database, news: Mapping[Place, Sequence[News]], keep: float) -> None:
    """Keep it for `keep` seconds, each once however often it comes.

    Raises:
        pymongo.errors.PyMongoError: the database is away, or other notifiers were faster; all may be tried again.
    """
    kept = timedelta(seconds=keep)
    for places in _portions(news):
        for _ in range(ATTEMPTS):
            if await _note(database, {place: news[place] for place in places}, kept):
                break
        else:
            raise Contended("entries were changed by somebody else")


async def _note(database: Database, news: Mapping[Place, Sequence[News]], kept: timedelta) -> bool:
    """False if another notifier was faster with some of it. What is done twice by that is counted once."""
    unread = database[collections.UNREAD.name]
    found = unread.find({"_id": {"$in": [place.id for place in news]}}, batch_size=TOGETHER)
    known = {document["_id"]: document for document in await found.to_list(None)}
    history: list[UpdateOne] = []
    begun: list[Write] = []
    changed: list[Write] = []
    for place, some in news.items():
        document = known.get(place.id)
        following = follow(place.kind, document["groups"] if document else [], some, now() - kept)
        if following is None:
            continue
        metrics.ENTRIES.labels(place.kind).inc(following.people)
        history += [_ended(place, group, kept) for group in following.ended]
        state = {"groups": following.groups, "expiresAt": max(group["at"] for group in following.groups) + kept}
        if document is None:
            about = {"_id": place.id, "conversationId": place.conversation, "kind": place.kind, "rev": 0}
            begun.append(InsertOne({**about, **state}))
        else:
            same = {"_id": place.id, "rev": document["rev"]}
            changed.append(UpdateOne(same, {"$set": state, "$inc": {"rev": 1}}))
    if history:
        # First: who dies now has them in both, under one id, and moves them again.
        await database[collections.NOTIFICATIONS.name].bulk_write(history, ordered=False)
    if not begun and not changed:
        return True
    try:
        result = await unread.bulk_write([*begun, *changed], ordered=False)
    except BulkWriteError as error:
        if any(one["code"] != DUPLICATE for one in error.details.get("writeErrors", [])):
            raise
        return False
    return result.matched_count == len(changed)


class Following(NamedTuple):
    """What comes of news: the groups from then on, those that have ended, and how many people's entries that concerns."""

    groups: list[Group]
    ended: list[Group]
    people: int


class _Alike(NamedTuple):
    """What people have in common for whom the same is to be done."""

    group: int | None  # that they are in
    fresh: tuple[int, ...]  # what is new to them of the news
    goes_on: bool  # their entry


def follow(kind: Kind, before: Sequence[Group], news: Sequence[News], oldest: datetime) -> Following | None:
    """What comes of news in a document with these groups; None if it is all counted. Groups before `oldest` are over."""
    news = _once(kind, news)
    group_of = {user: number for number, group in enumerate(before) for user in group["people"]}
    alike: dict[_Alike, list[str]] = {}
    for user in dict.fromkeys(user for one in news for user in one.people):
        number = group_of.get(user)
        group = None if number is None else before[number]
        fresh = tuple(
            place for place, one in enumerate(news) if user in one.people and not _is_counted(kind, group, one)
        )
        if fresh:
            goes_on = group is not None and _goes_on(group, user, news[fresh[-1]].people[user])
            alike.setdefault(_Alike(number, fresh, goes_on), []).append(user)
    if not alike:
        return None
    groups: list[Group] = []
    ended: list[Group] = []
    moved = {user for users in alike.values() for user in users}
    for group in before:
        staying = [user for user in group["people"] if user not in moved]
        if staying and group["at"] >= oldest:
            groups.append(_with(group, staying))
    for (number, fresh, goes_on), users in alike.items():
        group = None if number is None else before[number]
        some = [news[place] for place in fresh]
        if group is not None and goes_on:
            groups.append(_folded(_with(group, users), some))
            continue
        if group is not None:
            ended.append(_with(group, users))
        groups.append(_begun(kind, group, users, some))
    return Following(_merged(groups), ended, len(moved))


def _once(kind: Kind, news: Sequence[News]) -> list[News]:
    """Each once, in order. That somebody was added has no number of its own: the last of several stands for all."""
    if kind == "added":
        return list(news[-1:])
    if len(news) == 1:
        return list(news)
    return [one for _, one in sorted({one.seq: one for one in news}.items())]


def _is_counted(kind: Kind, group: Group | None, one: News) -> bool:
    if group is None:
        return False
    if kind == "added":
        return bool(_entry_id(kind, one) == group["entry"] or one.event_id == group["last"])
    return is_marked(group["newest"], group["marks"], one.seq)


def _goes_on(group: Group, user: str, read: int) -> bool:
    """Whether somebody's entry is still unread."""
    return bool(group["seq"] > read) and all(mark["user"] != user for mark in group["read"])


def _with(group: Group, people: list[str]) -> Group:
    """The same for these of its people."""
    if len(people) == len(group["people"]):
        return group
    some = frozenset(people)
    return {**group, "people": people, "read": [mark for mark in group["read"] if mark["user"] in some]}


def _begun(kind: Kind, before: Group | None, people: list[str], news: Sequence[News]) -> Group:
    """An entry anew, for people who had this one before. What was counted then is remembered."""
    first, last = news[0], news[-1]
    newest, marks = (first.seq, 1) if before is None else (before["newest"], before["marks"])
    newest, marks = mark(newest, marks, [one.seq for one in news])
    return {
        "entry": _entry_id(kind, first),
        "people": people,
        "read": [],
        "newest": newest,
        "marks": marks,
        "count": len(news),
        **_shown(last),
    }


def _folded(group: Group, news: Sequence[News]) -> Group:
    """This entry and what follows."""
    last = news[-1]
    newest, marks = mark(group["newest"], group["marks"], [one.seq for one in news])
    shown = _shown(last) if last.seq >= group["seq"] else {}
    return {**group, "newest": newest, "marks": marks, "count": group["count"] + len(news), **shown}


def _shown(one: News) -> Group:
    return {"seq": one.seq, "messageId": one.message_id, "at": one.at, "last": one.event_id}


def _merged(groups: Iterable[Group]) -> list[Group]:
    """Those who are alike are one group."""
    found: dict[tuple[Any, ...], Group] = {}
    for group in groups:
        key = tuple(value for name, value in group.items() if name not in ("people", "read"))
        same = found.get(key)
        if same is None:
            found[key] = group
        else:
            both = {name: [*same[name], *group[name]] for name in ("people", "read")}
            found[key] = {**same, **both}
    return list(found.values())


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


def _ended(place: Place, group: Group, kept: timedelta) -> UpdateOne:
    """Keep what these people have read. However often it is done, and whoever of them comes later."""
    marked = {mark["user"] for mark in group["read"]}
    moment = now()
    read = [*group["read"], *({"user": user, "at": moment} for user in group["people"] if user not in marked)]
    state = {name: group[name] for name in ("entry", "seq", "messageId", "at", "count")}
    about = {"conversationId": place.conversation, "kind": place.kind, "expiresAt": group["at"] + kept}
    return UpdateOne(
        {"_id": _digest(place.id, group["entry"], str(group["seq"]), str(group["count"]))},
        {
            "$setOnInsert": {**about, **state},
            "$addToSet": {"people": {"$each": group["people"]}, "read": {"$each": read}},
        },
        upsert=True,
    )


def _entry_id(kind: Kind, first: News) -> str:
    """The same whenever it is begun with the same. Of one person no two entries have the same."""
    return _digest(first.event_id, kind)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _portions(news: Mapping[Place, Sequence[News]]) -> Iterator[list[Place]]:
    places = iter(news)
    while portion := list(islice(places, TOGETHER)):
        yield portion


# ------------------------------------------------------------------------------------------------- commands


async def mark_read(database: Database, command: ReadNotifications) -> None:
    """Mark what there was at a moment, of one conversation or of all. Doing it again, or late, does no harm."""
    user, until = command.actor.user_id, command.until
    mine = {"people": user, "at": {"$lte": until}, "read.user": {"$ne": user}}
    wanted: dict[str, Any] = {"groups": {"$elemMatch": mine}}
    if command.conversation_id is not None:
        wanted["conversationId"] = command.conversation_id
    await database[collections.UNREAD.name].update_many(
        wanted,
        {"$push": {"groups.$[mine].read": {"user": user, "at": until}}, "$inc": {"rev": 1}},
        array_filters=[{f"mine.{name}": value for name, value in mine.items()}],
    )

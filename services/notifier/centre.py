"""The notification centre: what people were told, or would have been.

An entry is for a person, a conversation and a kind. While it is unread, later ones fold into it; what follows after that
begins another one. It holds no words: those are read with it, so that what was edited or deleted since is as it is now.
Having read the conversation is not noted either: it shows in the membership.

A message that nobody has read yet is the same news to all members, so what goes on for a conversation is one document
(`unread`), in which those whose entries are alike are one group: it costs a write for the conversation, not one for each
of them. A mention concerns few among many, so each of those has a document of their own.

An entry that was read is over with what follows. Its group stays as it is then, until the next write to the document:
before that it is put into `notifications`, once for all who had it. Whoever dies in between, or is overtaken by another
notifier, has put there what never changes again.

Messages come in any order (several notifiers take them, and what has waited may have waited twice), and more than once. A
document knows which of the newest numbers it has counted, each once for all its people; what is older than those is
taken for counted.
"""

from collections import Counter
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
MARKS = 63  # numbers that a document knows of: as many bits as MongoDB's integers have
ALL_MARKS = (1 << MARKS) - 1
EVENTS = 30  # that it knows of, where they have no number
Group = dict[str, Any]
State = dict[str, Any]
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
    moment, told = now(), Counter[Kind]()
    over: list[UpdateOne] = []
    begun: list[Write] = []
    changed: list[Write] = []
    for place, some in news.items():
        document = known.get(place.id)
        following = follow(place.kind, document, some, kept, moment)
        if following is None:
            continue
        told[place.kind] += following.people
        state = following.state
        state["expiresAt"] = max(group["expiresAt"] for group in state["groups"])
        if document is None:
            about = {"_id": place.id, "conversationId": place.conversation, "kind": place.kind, "rev": 0}
            begun.append(InsertOne({**about, **state}))
        else:
            over += [_move(place, group) for group in document["groups"] if group["over"]]
            same = {"_id": place.id, "rev": document["rev"]}
            changed.append(UpdateOne(same, {"$set": state, "$inc": {"rev": 1}}))
    if over:
        await database[collections.NOTIFICATIONS.name].bulk_write(over, ordered=False)
    if not begun and not changed:
        return True
    try:
        result = await unread.bulk_write([*begun, *changed], ordered=False)
    except BulkWriteError as error:
        if any(one["code"] != DUPLICATE for one in error.details.get("writeErrors", [])):
            raise
        return False
    for kind, people in told.items():
        metrics.ENTRIES.labels(kind).inc(people)
    return result.matched_count == len(changed)


class Following(NamedTuple):
    """What comes of news: the document from then on, and how many people's entries that concerns."""

    state: State
    people: int


class _Alike(NamedTuple):
    """What people have in common for whom the same is to be done."""

    group: int | None  # that they are in
    fresh: tuple[int, ...]  # which of the news are theirs
    goes_on: bool  # their entry


def follow(
    kind: Kind, before: State | None, news: Sequence[News], kept: timedelta, moment: datetime
) -> Following | None:
    """What comes of news in this document; None if it has counted them all."""
    news = _fresh(kind, before, news)
    current = [group for group in before["groups"] if not group["over"]] if before else []
    group_of = {user: number for number, group in enumerate(current) for user in group["people"]}
    alike: dict[_Alike, list[str]] = {}
    for user in dict.fromkeys(user for one in news for user in one.people):
        number = group_of.get(user)
        fresh = tuple(place for place, one in enumerate(news) if user in one.people)
        goes_on = number is not None and _goes_on(current[number], user, news[fresh[-1]].people[user])
        alike.setdefault(_Alike(number, fresh, goes_on), []).append(user)
    if not alike:
        return None
    moved = {user for users in alike.values() for user in users}
    groups: list[Group] = []
    for group in current:
        staying = [user for user in group["people"] if user not in moved]
        if staying and group["expiresAt"] > moment:
            groups.append(_with(group, staying))
    for (number, fresh, goes_on), users in alike.items():
        group = None if number is None else _with(current[number], users)
        some = [news[place] for place in fresh]
        if group is not None and goes_on:
            groups.append(_folded(group, some, kept))
            continue
        if group is not None:
            groups.append(_over(group, moment))
        groups.append(_begun(kind, users, some, kept))
    return Following({"groups": _merged(groups), **_counting(kind, before, news)}, len(moved))


def _fresh(kind: Kind, before: State | None, news: Sequence[News]) -> list[News]:
    """Those that are not counted yet, each once, in order."""
    if kind == "added":
        known = before["events"] if before else ()
        once = {one.event_id: one for one in news if one.event_id not in known}
        return sorted(once.values(), key=lambda one: one.at)
    if len(news) > 1:
        news = [one for _, one in sorted({one.seq: one for one in news}.items())]
    return [one for one in news if before is None or not is_marked(before["newest"], before["marks"], one.seq)]


def _counting(kind: Kind, before: State | None, news: Sequence[News]) -> State:
    """What the document knows to be counted, with these."""
    if kind == "added":  # which has no number of its own
        return {"events": [*(before["events"] if before else ()), *(one.event_id for one in news)][-EVENTS:]}
    newest, marks = (before["newest"], before["marks"]) if before else (news[0].seq, 1)
    newest, marks = mark(newest, marks, [one.seq for one in news])
    return {"newest": newest, "marks": marks}


def _goes_on(group: Group, user: str, read: int) -> bool:
    """Whether somebody's entry is still unread."""
    return bool(group["seq"] > read) and all(mark["user"] != user for mark in group["read"])


def _with(group: Group, people: list[str]) -> Group:
    """The same for these of its people."""
    if len(people) == len(group["people"]):
        return group
    some = frozenset(people)
    return {**group, "people": people, "read": [mark for mark in group["read"] if mark["user"] in some]}


def _begun(kind: Kind, people: list[str], news: Sequence[News], kept: timedelta) -> Group:
    """An entry anew."""
    entry = _digest(news[0].event_id, kind)  # of one person no two entries have the same
    return {
        "entry": entry,
        "people": people,
        "read": [],
        "over": False,
        "count": len(news),
        **_shown(news[-1], kept),
    }


def _folded(group: Group, news: Sequence[News], kept: timedelta) -> Group:
    """This entry and what follows."""
    last = news[-1]
    newer = (last.seq, last.at) >= (group["seq"], group["at"])
    return {**group, "count": group["count"] + len(news), **(_shown(last, kept) if newer else {})}


def _over(group: Group, moment: datetime) -> Group:
    """This entry as it stays."""
    marked = {mark["user"] for mark in group["read"]}
    read = [{"user": user, "at": moment} for user in group["people"] if user not in marked]
    return {**group, "over": True, "read": [*group["read"], *read]}


def _shown(one: News, kept: timedelta) -> Group:
    return {"seq": one.seq, "messageId": one.message_id, "at": one.at, "expiresAt": one.at + kept}


def _merged(groups: Iterable[Group]) -> list[Group]:
    """Those who are alike are one group."""
    found: dict[tuple[Any, ...], Group] = {}
    for group in groups:
        key = (group["entry"], group["over"], group["seq"], group["count"])
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


def _move(place: Place, group: Group) -> UpdateOne:
    """Put what is over where it is kept, however often."""
    state = {name: value for name, value in group.items() if name not in ("people", "read", "over")}
    return UpdateOne(
        {"_id": _digest(place.id, group["entry"], str(group["seq"]), str(group["count"]))},
        {
            "$setOnInsert": {"conversationId": place.conversation, "kind": place.kind, **state},
            # Those of them who were over later are another group of the same entry.
            "$addToSet": {"people": {"$each": group["people"]}, "read": {"$each": group["read"]}},
        },
        upsert=True,
    )


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

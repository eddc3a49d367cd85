"""`notifier.due`, the second look: what is not read some seconds later is kept for the notification centre, and told to
those who are not here, by every channel that they have.

Nobody is told who is here, who does not want to be disturbed now, or who has read it on any device. Whoever is here and has
not read it is looked at once more, a minute later: they may just have gone. A burst is told once: what is told goes up to
the newest message of its conversation, and the next thing from there is told a minute later at the earliest, unless it
mentions its person.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts import collections, lines, topology
from contracts.limits import BATCH_BYTES
from contracts.message import Message
from contracts.notifying import Delivery, Kind
from contracts.shape import now
from services.amqp import Broker, Outgoing
from services.mongo import Database, to_message
from services.notifier import centre, metrics, waiting
from services.notifier.batches import Came, Pace
from services.notifier.here import Here
from services.notifier.ledger import Ledger, Pair, Told
from services.notifier.preferences import Remembered
from services.notifier.reach import Reach
from services.notifier.recipients import Concerned, Room, concerned, is_mentioned, may_be_told
from services.notifier.settings import Settings

# It is late anyway. What is handled together folds into one entry for a person and conversation, and reads members once.
PACE = Pace(prefetch=200, batch_size=5000, linger=1.0)
PORTION = 200  # events, about, that are handled at once
SPREAD = 0.8  # seconds over which the portions of what is handled together are spread
LATER = 60  # seconds until it is looked at again
LAST_LOOK = f"{topology.LOOK}.{LATER}"
FOLDED = 200  # messages of a conversation that are looked into, the newest, and those before them that mention somebody


@dataclass(slots=True)
class Wanted:
    """Messages that somebody may be told of, of one conversation, by the numbers of those that are due.

    `mentions`: those of them that mention this person.
    """

    room: Room
    seqs: list[int] = field(default_factory=list)
    mentions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What comes of a batch."""

    deliveries: list[tuple[Delivery, str]] = field(default_factory=list)  # each with its channel
    told: list[tuple[Pair, int]] = field(default_factory=list)
    again: dict[str, None] = field(default_factory=dict)  # events to be looked at later, by id, in order


class SecondLook:
    """Handles events that are due."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        database: Database,
        preferences: Remembered,
        here: Here,
        channels: Mapping[str, Reach],
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._database = database
        self._preferences = preferences
        self._here = here
        self._channels = channels
        self._ledger = Ledger(database, settings.notify_until)

    async def handle(self, came: Sequence[Came]) -> None:
        """Keep, and tell: in portions with pauses between them, since a second's events are much work at once."""
        portions = _portions(came)
        full = len(came) == PACE.batch_size  # so there are others behind it
        for number, portion in enumerate(portions, 1):
            await self._handle(portion)
            if number < len(portions) and not full:
                await asyncio.sleep(SPREAD / len(portions))

    async def _handle(self, came: Sequence[Came]) -> None:
        told = await concerned(self._database, self._preferences, [event for event, _ in came])
        news = centre.ordinary(told, self._settings.entries_up_to)
        await centre.note(self._database, news, self._settings.keep_notifications)
        if self._channels and told:
            await self._here.known.wait()
            await self._tell(told, came)

    async def _tell(self, told: Sequence[Concerned], came: Sequence[Came]) -> None:
        last = {event.id for event, line in came if line.routing_key == LAST_LOOK}
        reached = await self._reached({user for one in told for user in _unread(one)})
        preferences = await self._preferences.of(reached.keys())
        plan, moment = Plan(), now()
        wanted: dict[Pair, Wanted] = {}
        events_of: dict[Pair, list[str]] = {}
        for one in told:
            for user in reached.keys() & _unread(one):
                hours = preferences[user].general.do_not_disturb
                if hours is not None and hours.covers(moment):
                    metrics.LOOKED.labels("do_not_disturb").inc()
                elif self._here.looks(user):
                    metrics.LOOKED.labels("here").inc()
                    if one.event.id not in last:
                        plan.again[one.event.id] = None
                elif one.message is None:
                    self._add(plan, self._added(one, user), reached[user])
                else:
                    pair = Pair(user, one.conversation_id)
                    entry = wanted.setdefault(pair, Wanted(one.room))
                    entry.seqs.append(one.message.seq)
                    if is_mentioned(one.message, user):
                        entry.mentions.append(one.message.seq)
                    events_of.setdefault(pair, []).append(one.event.id)
        await self._tell_of_messages(plan, wanted, events_of, reached, moment)
        again = [line.body for event, line in came if event.id in plan.again]
        await self._broker.publish_all([*self._outgoing(plan), *self._later(again)])
        await self._ledger.published(plan.told)

    async def _tell_of_messages(
        self,
        plan: Plan,
        wanted: Mapping[Pair, Wanted],
        events_of: Mapping[Pair, Iterable[str]],
        reached: Mapping[str, list[str]],
        moment: datetime,
    ) -> None:
        known = await self._ledger.of(wanted.keys())
        pause = timedelta(seconds=self._settings.notify_pause)
        due: dict[Pair, int] = {}  # from which message on
        for pair, entry in wanted.items():
            before = known.get(pair)
            fresh = [seq for seq in entry.seqs if before is None or seq > before.seq]
            if not fresh:
                metrics.LOOKED.labels("folded").inc()
                continue
            if before is not None and before.at + pause > moment and not entry.mentions:
                metrics.LOOKED.labels("paused").inc()
                plan.again |= dict.fromkeys(events_of[pair])
            else:
                due[pair] = min(fresh)
        unfinished = {pair: before for pair, before in known.items() if not before.told}
        messages = await self._messages(wanted, due, unfinished)
        # What was about to be published when a notifier died is published as it would have been.
        for pair, before in unfinished.items():
            self._add_told(plan, pair, before, wanted[pair].room, messages.get(pair.conversation, ()), reached)
        noted: dict[Pair, Told] = {}
        for pair, first in due.items():
            fold = _fold(pair, first, wanted[pair].room, messages.get(pair.conversation, ()), moment)
            if fold is not None:
                noted[pair] = fold
        for pair in await self._ledger.note(noted):
            self._add_told(plan, pair, noted[pair], wanted[pair].room, messages[pair.conversation], reached)

    async def _reached(self, users: set[str]) -> dict[str, list[str]]:
        """Those of these people whom a channel has a way to, with their channels."""
        found: dict[str, list[str]] = {}
        if users:
            for channel, reach in self._channels.items():
                for user in await reach(self._database, users):
                    found.setdefault(user, []).append(channel)
        return found

    async def _messages(
        self, wanted: Mapping[Pair, Wanted], due: Mapping[Pair, int], unfinished: Mapping[Pair, Told]
    ) -> dict[str, list[Message]]:
        """What deliveries of these tell of, by conversation: from the first that is due to anybody to the newest."""
        firsts: dict[str, list[int]] = defaultdict(list)
        singled_out: dict[str, set[int]] = defaultdict(set)
        for pair, first in due.items():
            firsts[pair.conversation].append(first)
            singled_out[pair.conversation].update(wanted[pair].mentions)
        for pair, told in unfinished.items():
            firsts[pair.conversation].append(told.shown)
            singled_out[pair.conversation].add(told.shown)
        return {
            conversation: await self._from(conversation, min(some), singled_out[conversation])
            for conversation, some in firsts.items()
        }

    async def _from(self, conversation: str, first: int, singled_out: Iterable[int]) -> list[Message]:
        """The newest messages of a conversation, from the first on, and before them those that are singled out.

        The newest are news to everybody, however far they have read; of the older ones nobody is told one by one.
        """
        found = await self._found(conversation, {"$gte": first}, FOLDED)
        if len(found) == FOLDED and (older := [seq for seq in singled_out if seq < found[-1].seq]):
            found += await self._found(conversation, {"$in": older}, len(older))
        return found[::-1]

    async def _found(self, conversation: str, seq: Mapping[str, Any], most: int) -> list[Message]:
        """Messages of a conversation that are not deleted, newest first."""
        query = {"conversationId": conversation, "seq": seq, "isDeleted": {"$ne": True}}
        cursor = self._database[collections.MESSAGES.name].find(query).sort("seq", -1).limit(most)
        return [to_message(document) async for document in cursor]

    # ------------------------------------------------------------------------------------------ deliveries

    def _add_told(
        self,
        plan: Plan,
        pair: Pair,
        told: Told,
        room: Room,
        messages: Iterable[Message],
        reached: Mapping[str, list[str]],
    ) -> None:
        plan.told.append((pair, told.seq))
        shown = next((message for message in messages if message.seq == told.shown), None)
        if shown is not None:
            delivery = self._delivery(
                f"{pair.conversation}:{told.shown}:{pair.user}",
                pair,
                room,
                shown.created_at,
                kind=told.kind,
                message_id=shown.id,
                seq=shown.seq,
                sender_name=shown.sender_name,
                preview=shown.content[: self._settings.preview_length] or None,
                count=told.count if told.count > 1 else None,
            )
            self._add(plan, delivery, reached[pair.user])

    def _added(self, one: Concerned, user: str) -> Delivery:
        pair = Pair(user, one.conversation_id)
        return self._delivery(f"{one.event.id}:{user}", pair, one.room, one.event.time, kind="added")

    def _delivery(self, delivery_id: str, pair: Pair, room: Room, at: datetime, **fields: Any) -> Delivery:
        return Delivery(
            id=delivery_id,
            user_id=pair.user,
            conversation_id=pair.conversation,
            conversation_name=room.name,
            created_at=at,
            expires_at=at + timedelta(seconds=self._settings.notify_until),
            **fields,
        )

    @staticmethod
    def _add(plan: Plan, delivery: Delivery, channels: Iterable[str]) -> None:
        metrics.LOOKED.labels("told").inc()
        plan.deliveries += [(delivery, channel) for channel in channels]

    def _outgoing(self, plan: Plan) -> list[Outgoing]:
        outgoing = []
        for delivery, channel in plan.deliveries:
            metrics.DELIVERED.labels(channel).inc()
            outgoing.append(waiting.at_once(self._broker.topology, channel, delivery.encode()))
        return outgoing

    def _later(self, again: Sequence[bytes]) -> list[Outgoing]:
        bodies = lines.pack_all(again, BATCH_BYTES)
        return [waiting.later(self._broker.topology, topology.LOOK, body, LATER) for body in bodies]


def _portions(came: Sequence[Came]) -> list[list[Came]]:
    """The events of each conversation in one portion, in their order; small conversations share one."""
    of: dict[str, list[Came]] = {}
    for one in came:
        of.setdefault(one.event.subject, []).append(one)
    portions: list[list[Came]] = []
    for some in of.values():
        if not portions or len(portions[-1]) + len(some) > PORTION:
            portions.append([])
        portions[-1] += some
    return portions


def _unread(one: Concerned) -> set[str]:
    """Those whom it concerns and who have not read it; whoever was added has nothing to read."""
    if one.message is None:
        return set(one.named)
    seq = one.message.seq
    return {user for people in (one.named, one.others) for user, read in people.items() if read < seq}


def _fold(pair: Pair, first: int, room: Room, messages: Sequence[Message], moment: datetime) -> Told | None:
    """What to tell somebody of these messages, from the first on; None where nothing is left to tell of."""
    member = room.members[pair.user]
    theirs = [
        message
        for message in messages
        if message.seq >= max(first, member.read + 1) and may_be_told(message, pair.user, member.level)
    ]
    if not theirs:
        return None
    mentions = [message for message in theirs if is_mentioned(message, pair.user)]
    shown = (mentions or theirs)[-1]
    kind: Kind = "mention" if mentions else "message"
    return Told(messages[-1].seq, shown.seq, kind, len(theirs), moment)

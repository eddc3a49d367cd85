"""What people do, and a sample of the conversations that they write into. Assumptions all: nothing here is measured."""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil

from contracts.limits import READERS_SHOWN_TO

SEED, SAMPLE = 20260131, 3000  # rooms of each kind
DAY = 86_400.0
COUNTED = 40  # members up to whom it is drawn for each whether they are here; of more, the mean will do
AT_ONCE = 500  # people in one notice


@dataclass(frozen=True)
class Kind:
    """One kind of conversation.

    Attributes:
        share: of all messages.
        smallest, largest: members, spread evenly over their logarithm.
        here: share of the others who are connected when somebody writes.
        looking: share of those who have the conversation open; all others get a `notification`.
    """

    name: str
    share: float
    smallest: int
    largest: int
    here: float
    looking: float


KINDS = (
    Kind("two people", 0.50, 2, 2, 0.6, 0.5),
    Kind("a group", 0.30, 3, 20, 0.5, 0.4),
    Kind("a team", 0.16, 20, 200, 0.35, 0.25),
    Kind("a channel", 0.039, 200, 5_000, 0.25, 0.1),
    Kind("a crowd", 0.001, 5_000, 100_000, 0.25, 0.05),
)


@dataclass(frozen=True)
class Life:
    """What people do at the busiest moment of the day.

    Attributes:
        connected: share of all people; each with so many `devices`.
        a_day: messages of a person, of all people; `peak` times the mean in the busiest second.
        marks: marks of reading of somebody who looks, a message.
        reactions: a message.
        typing: beginnings, renewals and ends, a message.
        connects: of a socket in an hour.
        changes: of somebody's presence in an hour, each told to so many `watchers`.
    """

    connected: float = 0.25
    devices: float = 1.4
    a_day: float = 40.0
    peak: float = 5.0
    marks: float = 0.5
    reactions: float = 0.1
    typing: float = 3.0
    connects: float = 2.0
    changes: float = 4.0
    watchers: float = 20.0
    kinds: tuple[Kind, ...] = KINDS

    def messages(self, users: float) -> float:
        """A second, at the busiest moment."""
        return users * self.a_day * self.peak / DAY

    def sockets(self, users: float) -> float:
        """At that moment."""
        return users * self.connected * self.devices


@dataclass(frozen=True)
class Room:
    """Where messages are written: its members, how many of the others are here, and look; `weight` of all messages."""

    members: int
    here: int
    looking: int
    weight: float


@dataclass(frozen=True)
class Rooms:
    """The means of a sample, for one message.

    Attributes:
        told: members but the sender.
        sockets: those of everybody who is here, the sender included.
        looking: people who look, the sender left out; `watching` are the sockets that have the conversation open.
        notices: items that tell those who have it not open.
        receipts: frames for one mark of each who looks; a crowd is not told.
        counts: (sockets, weight) of the rooms of the sample.
    """

    told: float
    sockets: float
    looking: float
    watching: float
    notices: float
    receipts: float
    counts: tuple[tuple[float, float], ...]

    def gateways(self, gateways: float) -> float:
        """How many of so many gateways have somebody to tell, in the mean: people come to any of them."""
        if gateways <= 1:
            return 1.0
        whole = sum(weight for _, weight in self.counts)
        return sum(spread(sockets, gateways) * weight for sockets, weight in self.counts) / whole


def spread(sockets: float, places: float) -> float:
    """How many of these places so many sockets touch, in the mean, when each goes to any of them."""
    return float(places * (1 - (1 - 1 / places) ** sockets)) if places > 1 else float(min(1.0, sockets))


def sample(kinds: tuple[Kind, ...], users: float, times: int = SAMPLE, seed: int = SEED) -> list[Room]:
    """So many rooms of each kind, no conversation larger than all people. The rare kinds, of many members, weigh less."""
    chance = random.Random(seed)
    drawn = []
    for kind in kinds:
        for _ in range(times):
            size = kind.smallest * (kind.largest / kind.smallest) ** chance.random()
            members = max(2, min(round(size), int(users)))
            here = _some(chance, members - 1, kind.here)
            drawn.append(Room(members, here, _some(chance, here, kind.looking), kind.share / times))
    return drawn


def _some(chance: random.Random, people: int, share: float) -> int:
    if people > COUNTED:
        return round(people * share)
    return sum(chance.random() < share for _ in range(people))


def rooms(life: Life, users: float) -> Rooms:
    """The means of the sample; above the largest conversation they are the same for all numbers of people."""
    return _rooms(life.kinds, life.devices, min(int(users), max(kind.largest for kind in life.kinds)))


@cache
def _rooms(kinds: tuple[Kind, ...], devices: float, users: int) -> Rooms:
    return means(sample(kinds, users), devices)


def means(drawn: list[Room], devices: float) -> Rooms:
    """Of these, by their weight."""

    def mean(of: Callable[[Room], float]) -> float:
        return sum(of(room) * room.weight for room in drawn) / sum(room.weight for room in drawn)

    def receipts(room: Room) -> float:
        told = 1 + room.looking if room.members <= READERS_SHOWN_TO else 1
        return room.looking * told * devices

    counts: dict[float, float] = defaultdict(float)
    for room in drawn:
        counts[(1 + room.here) * devices] += room.weight
    return Rooms(
        told=mean(lambda room: room.members - 1),
        sockets=mean(lambda room: (1 + room.here) * devices),
        looking=mean(lambda room: room.looking),
        watching=mean(lambda room: (1 + room.looking) * devices),
        notices=mean(lambda room: ceil((room.members - 1) / AT_ONCE)),
        receipts=mean(receipts),
        counts=tuple(sorted(counts.items())),
    )

"""Who is where, as gateways say and for as long as that is to be believed. No I/O; time is passed in, in seconds.

Each gateway says which of its users are here, and says it again in time. What it does not renew ends by itself, so that
nobody stays for ever at a gateway that died. Whoever is at several is seen as the liveliest of them says, and nobody who
came to another gateway before the lease at a dead one ended is ever seen as offline.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts.presence import Here, Status

LIVELIEST: tuple[Here, ...] = ("busy", "online", "away")


def merged(statuses: Iterable[Here]) -> Status:
    """Busy wins, then online; away only if all are; offline when there is none."""
    there = set(statuses)
    return next((status for status in LIVELIEST if status in there), "offline")


@dataclass(slots=True)
class Place:
    """One gateway: its users, those renewed longest ago first, with when that was; and when it ends, if it said so."""

    renewed: dict[str, float] = field(default_factory=dict)
    ends: float | None = None


class Leases:
    """All gateways' users.

    Attributes:
        changed: users who may be seen otherwise than before, with how that was, until somebody takes them out.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._places: dict[str, Place] = {}
        self._users: dict[str, dict[str, Here]] = {}  # user -> gateway -> status
        self._held_until = float("-inf")
        self.changed: dict[str, Status] = {}  # in order

    @property
    def gateways(self) -> set[str]:
        """Those that have users."""
        return set(self._places)

    @property
    def people(self) -> int:
        """How many are somewhere."""
        return len(self._users)

    def status(self, user: str) -> Status:
        """How others see somebody."""
        return merged(self._users.get(user, {}).values())

    def elsewhere(self, user: str, gateway: str) -> list[Here]:
        """What the other gateways say of somebody."""
        return [status for place, status in self._users.get(user, {}).items() if place != gateway]

    def say(self, gateway: str, here: Mapping[str, Here], gone: Iterable[str], now: float) -> None:
        """A gateway says that these are there now, and those no longer."""
        if here:
            place = self._places.setdefault(gateway, Place())
            for user, status in here.items():
                place.renewed.pop(user, None)
                place.renewed[user] = now
                known = self._users.setdefault(user, {})
                if known.get(gateway) != status:
                    self.changed.setdefault(user, merged(known.values()))
                    known[gateway] = status
        for user in gone:
            self._end(gateway, user)

    def leave(self, gateway: str, at: float) -> None:
        """A gateway stops; its users have until then to come to another."""
        place = self._places.get(gateway)
        if place is not None:
            place.ends = at

    def hold(self, until: float) -> None:
        """Let nothing end before then: nobody could be heard meanwhile."""
        self._held_until = until

    def expire(self, now: float) -> dict[str, float]:
        """End what was not renewed; the people who are nowhere any more, with when they were last known to be."""
        ended: dict[str, float] = {}
        if now < self._held_until:
            return ended
        for gateway, place in list(self._places.items()):
            over = place.ends is not None and place.ends <= now
            for user, renewed in list(place.renewed.items()):
                if not over and renewed + self._lifetime > now:
                    break
                self._end(gateway, user)
                if user not in self._users:
                    ended[user] = renewed
        return ended

    def _end(self, gateway: str, user: str) -> None:
        place = self._places.get(gateway)
        if place is None or place.renewed.pop(user, None) is None:
            return
        if not place.renewed:
            del self._places[gateway]
        known = self._users[user]
        self.changed.setdefault(user, merged(known.values()))
        del known[gateway]
        if not known:
            del self._users[user]

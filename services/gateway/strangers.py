"""Connections of people who are not known yet: a bounded number, in all and of one address.

Whoever means well is a stranger for milliseconds, whoever does not for as long as we wait. So where one too many comes, the
one that waits longest is cut off to make room: a flood of half-open connections pushes out its own.
"""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable

from services.gateway import metrics
from services.telemetry import logger

STRANGERS = "palabre.strangers"  # in the lifespan's state: the `Strangers` of the process
LINE = 10.0  # seconds between two lines about it: a flood of connections must not become one of lines


class Strangers:
    """Those of one process. A bound of 0 is none."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._waiting: OrderedDict[Hashable, tuple[str, Callable[[], None]]] = OrderedDict()
        self._of_address: defaultdict[str, OrderedDict[Hashable, None]] = defaultdict(OrderedDict)
        self._said = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def came(self, who: Hashable, client: tuple[str, int] | None, cut_off: Callable[[], None]) -> None:
        """Somebody is here and has not said who they are. `cut_off` ends the connection at once."""
        self.left(who)
        address = client[0] if client else ""
        theirs = self._of_address[address]
        if 0 < self._most_of_address <= len(theirs):
            self._cut_off(next(iter(theirs)))
        elif 0 < self._most <= len(self._waiting):
            self._cut_off(next(iter(self._waiting)))
        self._waiting[who] = address, cut_off
        self._of_address[address][who] = None

    def left(self, who: Hashable) -> None:
        """They are known now, or gone."""
        found = self._waiting.pop(who, None)
        if found is None:
            return
        theirs = self._of_address[found[0]]
        del theirs[who]
        if not theirs:
            del self._of_address[found[0]]

    def _cut_off(self, who: Hashable) -> None:
        address, cut_off = self._waiting[who]
        self.left(who)
        metrics.CUT_OFF.inc()
        now = time.monotonic()
        if now - self._said >= LINE:
            self._said = now
            logger().warning("too many strangers", waiting=len(self._waiting), client=address)
        cut_off()

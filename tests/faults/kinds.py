"""What can go wrong, by name. Each kind is a coroutine: it does its damage, ends it, and says how long people waited."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tests.faults.stage import Stage

Domain = Literal["process", "broker", "database", "client"]  # two faults of one domain never happen together
Happens = Callable[[Stage], Awaitable[float]]


@dataclass(frozen=True)
class Kind:
    """A fault by name.

    Attributes:
        happens: returns the seconds from the moment at which it should be over until a message that was sent after
            it was stored in every room.
        within: what these may be at most when nothing else is wrong; None where it is for others to come back.
        needs: servers of our own, without which it cannot be done.
    """

    name: str
    domain: Domain
    happens: Happens
    within: float | None
    needs: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {}


def kind(
    name: str, domain: Domain, *, within: float | None = 5.0, needs: tuple[str, ...] = ()
) -> Callable[[Happens], Happens]:
    """Register a kind."""

    def register(happens: Happens) -> Happens:
        KINDS[name] = Kind(name, domain, happens, within, needs)
        return happens

    return register

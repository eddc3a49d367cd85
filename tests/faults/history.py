"""What clients write down while they talk, and what is true in the end: the two things that the checker compares."""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

# Not part of a message's state: the sender's own business, and a count of which no frame tells.
UNTOLD = ("tempId", "replies")


def digest(message: dict[str, Any]) -> str:
    """Stands for a message as a client holds it; equal for equal messages."""
    state = {name: value for name, value in message.items() if name not in UNTOLD}
    return blake2b(orjson.dumps(state, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


# ------------------------------------------------------------------------------------------------ what one client saw


class Joined(NamedTuple):
    """`joined_conversation`; `after` is what was asked for, `first` the first that follows, `last` the head."""

    conversation: str
    after: int
    first: int | None
    last: int


class New(NamedTuple):
    """`new_message`, and when it was read, in seconds since the epoch."""

    conversation: str
    seq: int
    id: str
    digest: str
    change: int
    at: float = 0.0


class Updated(NamedTuple):
    """`message_updated`; `asked` when it answers this client's own request, which may come whenever it likes."""

    conversation: str
    seq: int
    id: str
    digest: str
    change: int
    asked: bool


class Fetched(NamedTuple):
    """A message read over REST, where the gateway said that it would not send it."""

    conversation: str
    seq: int
    id: str
    digest: str
    change: int


class Resynced(NamedTuple):
    """`resync`."""

    conversation: str


class Removed(NamedTuple):
    """This client was told that it is no longer a member."""

    conversation: str


class Ended(NamedTuple):
    """The connection closed."""

    code: int


Seen = Joined | New | Updated | Fetched | Resynced | Removed | Ended


class Sent(NamedTuple):
    """What somebody tried to send, under a `tempId`."""

    person: str
    conversation: str


class Acked(NamedTuple):
    """A `message_sent`."""

    temp_id: str
    conversation: str
    seq: int
    id: str


@dataclass
class History:
    """Everything that clients know.

    Attributes:
        sent: by tempId.
        seen: by person (a user id), in the order of seeing.
        present: who has joined which conversation in the end, when all is quiet, and has nothing more to wait for.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    acked: list[Acked] = field(default_factory=list)
    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    present: set[tuple[str, str]] = field(default_factory=set)


# ----------------------------------------------------------------------------------------------------- what is true


class Stored(NamedTuple):
    """A message in MongoDB. `at` is when it was judged, in seconds."""

    conversation: str
    seq: int
    id: str
    sender: str
    temp_id: str | None
    change: int = 0
    at: float = 0.0


class Event(NamedTuple):
    """An event of the log. `seq`, `message` and `change` are of messages, `users` of those added or removed.

    `at` is its time, in seconds.
    """

    id: str
    kind: str  # created, updated, member_added, member_removed, or another that is not looked at
    conversation: str
    seq: int = 0
    message: str = ""
    change: int = 0
    users: tuple[str, ...] = ()
    at: float = 0.0


@dataclass
class Truth:
    """What the servers have in the end.

    Attributes:
        shown: by conversation and seq, the digest of the message as somebody who comes now is shown it.
        events: the log, in its order.
    """

    stored: list[Stored] = field(default_factory=list)
    shown: dict[tuple[str, int], str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

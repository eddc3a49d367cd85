"""Whose presence which connection is told. No I/O.

A connection that named people watches those. One that never did watches the members of the small conversations that it has
joined, which are known here as long as somebody has joined them.
"""

from collections.abc import Iterable, Mapping

from contracts import limits
from services.gateway.hub import Connection, Hub

NOBODY: frozenset[str] = frozenset()


class Watching:
    """The watches of this gateway's connections.

    Attributes:
        wanted: connections that watch conversations whose members are not known yet, by conversation.
        doubtful: connections that may no longer share a conversation with everybody whom they named.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._named: dict[Connection, frozenset[str]] = {}
        self._watchers: dict[str, set[Connection]] = {}  # by whom they named
        self._rosters: dict[str, frozenset[str]] = {}  # conversation -> members; nobody when they are many
        self._rooms: dict[str, set[str]] = {}  # user -> conversations in whose roster they are
        self.wanted: dict[str, set[Connection]] = {}
        self.doubtful: set[Connection] = set()

    # --------------------------------------------------------------------------------------------- by name

    def named(self, connection: Connection) -> frozenset[str] | None:
        """Whom a connection named; None if it never did."""
        return self._named.get(connection)

    def watch(self, connection: Connection, users: Iterable[str]) -> None:
        """From now on these, in place of all before."""
        self._unname(connection)
        self._named[connection] = frozenset(users)
        for user in self._named[connection]:
            self._watchers.setdefault(user, set()).add(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._unname(connection)
        self._named.pop(connection, None)
        self.doubtful.discard(connection)

    def _unname(self, connection: Connection) -> None:
        for user in self._named.get(connection, NOBODY):
            watchers = self._watchers[user]
            watchers.discard(connection)
            if not watchers:
                del self._watchers[user]

    # ----------------------------------------------------------------------------------- by conversation

    def joined(self, connection: Connection, conversation_id: str) -> Iterable[str]:
        """A connection has joined: whom it watches by that, as far as is known already."""
        if connection in self._named:
            return NOBODY
        if conversation_id not in self._rosters:
            self.wanted.setdefault(conversation_id, set()).add(connection)
        return self.roster(conversation_id)

    def roster(self, conversation_id: str) -> frozenset[str]:
        """The members of a small conversation, as far as they are known."""
        return self._rosters.get(conversation_id, NOBODY)

    def know(self, rosters: Mapping[str, Iterable[str]]) -> None:
        """The members of these conversations, of which somebody has joined; those of a large one do not count."""
        for conversation_id, members in rosters.items():
            self._drop(conversation_id)
            if conversation_id in self._hub.rooms:
                roster = frozenset(members)
                self._rosters[conversation_id] = roster if len(roster) <= limits.WATCHED_UNNAMED else NOBODY
                for user in self._rosters[conversation_id]:
                    self._rooms.setdefault(user, set()).add(conversation_id)

    def changed(self, conversation_id: str, members: Iterable[str], removed: Iterable[str]) -> Iterable[str]:
        """A conversation has these members now, and those no longer; whoever is new in a roster."""
        removed = frozenset(removed)
        self.removed(conversation_id, removed)
        if conversation_id not in self._rosters:
            return NOBODY
        before = self.roster(conversation_id)
        self.know({conversation_id: frozenset(members) - removed})
        return self.roster(conversation_id) - before

    def removed(self, conversation_id: str, users: Iterable[str]) -> None:
        """These are no longer in a conversation."""
        users = frozenset(users)
        for user in users:
            self.doubtful |= self._watchers.get(user, set())
            self.doubtful |= {c for c in self._hub.users.get(user, ()) if c in self._named}
        if users & self.roster(conversation_id):
            self.know({conversation_id: self.roster(conversation_id) - users})

    def tidy(self) -> None:
        """Forget the members of conversations that nobody here has joined any more."""
        for conversation_id in [c for c in self._rosters if c not in self._hub.rooms]:
            self._drop(conversation_id)

    def _drop(self, conversation_id: str) -> None:
        for user in self._rosters.pop(conversation_id, NOBODY):
            rooms = self._rooms[user]
            rooms.discard(conversation_id)
            if not rooms:
                del self._rooms[user]

    # ------------------------------------------------------------------------------------------ who is told

    def of(self, user: str) -> set[Connection]:
        """The connections that are to be told of somebody."""
        watchers = set(self._watchers.get(user, ()))
        for conversation_id in self._rooms.get(user, ()):
            room = self._hub.rooms.get(conversation_id)
            if room is not None:
                watchers |= {c for c in room.members if c not in self._named and c.user_id != user}
        return watchers

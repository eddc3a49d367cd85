"""Which connections are here, and in which conversations; the order of every conversation. No I/O.

A room hands a conversation's messages to its connections in rising `seq`: the next is delivered, an older one dropped, and
a jump holds everything back until the hole was read from the history (`holes`). While a connection joins, what arrives is
held for it, so that between its replay and the live messages there is neither gap nor repeat. Changes of messages have an
order of their own (`changes.py`) and are treated alike.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from contracts import frames
from services.gateway import metrics
from services.gateway.changes import Changed, Changes
from services.gateway.outbox import Outbox
from services.gateway.recent import Numbered, Recent
from services.gateway.wire import prepare

HELD = 200  # messages that are held for a joining connection, or before a hole; what is more is read from the history again


class Connection(Protocol):
    """What the hub needs of a connection."""

    id: str
    user_id: str
    outbox: Outbox
    joined: set[str]  # its conversations; kept by the hub


@dataclass(slots=True)
class Joining:
    """What was delivered here since a join began; of changes all above `since`, which is None until one can tell."""

    since: int | None = None
    held: list[Numbered | Changed] = field(default_factory=list)


@dataclass(slots=True)
class Room:
    """One conversation with connections here. `last` is None until the first join has read the history."""

    last: int | None = None
    stored: int = 0  # the history is known to have messages up to here
    # Connection -> the seq up to which its replay went: only what is above is delivered.
    members: dict[Connection, int] = field(default_factory=dict)
    joining: dict[Connection, Joining] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    floors: dict[Connection, int] = field(default_factory=dict)  # of the members, likewise for changes
    held: dict[int, Numbered] = field(default_factory=dict)
    healing: bool = False
    recent: Recent | None = None  # up to `last`, once a second connection has joined


class Join(Enum):
    """How a join ended.

    GONE: the connection left, or was removed from the conversation, meanwhile.
    BEHIND: more was delivered here since the history was read than is held: read on, messages and changes, from the end of
        the replay.
    """

    DONE = auto()
    GONE = auto()
    BEHIND = auto()


class Hub:
    """All connections and rooms of this gateway."""

    def __init__(self, heal: Callable[[str, int, int], None], heal_changes: Callable[[str, int, int], None]) -> None:
        """`heal(conversation, above, below)` is called, once a hole, and must end with `fill` or `give_up`.

        `heal_changes` likewise, for a hole among the changes, with `fill_changes` or `give_up_changes`.
        """
        self._heal = heal
        self._heal_changes = heal_changes
        self.rooms: dict[str, Room] = {}
        self.connections: dict[str, Connection] = {}
        self.users: dict[str, set[Connection]] = {}

    # ------------------------------------------------------------------------------------------- who is here

    def add(self, connection: Connection) -> None:
        """A connection has authenticated."""
        self.connections[connection.id] = connection
        self.users.setdefault(connection.user_id, set()).add(connection)

    def remove(self, connection: Connection) -> None:
        """A connection has gone; a join that it had begun ends by itself, with `leave`."""
        for conversation_id in list(connection.joined):
            self.leave(connection, conversation_id)
        self.connections.pop(connection.id, None)
        mine = self.users.get(connection.user_id)
        if mine is not None:
            mine.discard(connection)
            if not mine:
                del self.users[connection.user_id]

    def of(self, user_ids: Iterable[str]) -> Iterable[Connection]:
        """The connections of these people."""
        for user_id in user_ids:
            yield from self.users.get(user_id, ())

    # ---------------------------------------------------------------------------------------------- joining

    def begin_join(self, connection: Connection, conversation_id: str) -> None:
        """From now on messages are held for this connection, until `finish_join` or `leave`."""
        self.leave(connection, conversation_id)
        room = self.rooms.setdefault(conversation_id, Room())
        room.joining[connection] = Joining(since=room.changes.last)

    def is_joining(self, connection: Connection, conversation_id: str) -> bool:
        """Whether a join that was begun goes on: it has not left, nor been removed."""
        room = self.rooms.get(conversation_id)
        return room is not None and connection in room.joining

    def finish_join(self, connection: Connection, conversation_id: str, head: int, change: int) -> "Join":
        """The replay, which ended with `head` and has all changes up to `change`, is sent: send what was held above
        these, and be live.
        """
        room = self.rooms.get(conversation_id)
        if room is None or connection not in room.joining:
            return Join.GONE
        joining = room.joining[connection]
        held = [item for item in joining.held if isinstance(item, Numbered) and item.seq > head]
        if room.last is not None and room.last > head and (not held or held[0].seq > head + 1):
            return Join.BEHIND
        if joining.since is not None and joining.since > change:
            return Join.BEHIND
        del room.joining[connection]
        room.members[connection], room.floors[connection] = head, change
        connection.joined.add(conversation_id)
        for item in joining.held:
            if isinstance(item, Changed):
                if item.number > change:
                    _send_change(item, connection)
                    room.floors[connection] = item.number
            elif item.seq > head:
                connection.outbox.write(framed(item, connection))
                room.members[connection] = item.seq
        if room.last is None:
            room.last = head
            for known in room.changes.drop(change):
                _answer(known)
            room.changes.begin(change)
            for other in room.joining.values():
                other.since = change
            self._advance(conversation_id, room)
        return Join.DONE

    def recent(self, conversation_id: str, above: int, until: int) -> tuple[list[Numbered], int] | None:
        """The messages with `above < seq <= until`, and the last change that they have, if they are remembered here."""
        room = self.rooms.get(conversation_id)
        if room is None or room.recent is None or room.changes.last is None:
            return None
        messages = room.recent.between(above, until)
        return None if messages is None else (messages, room.changes.last)

    def remember(self, conversation_id: str, above: int, messages: Sequence[Numbered], change: int) -> None:
        """All above a seq, as the history has them, with all changes up to `change`: those who join next may have use of
        them.

        For a room of one nothing is remembered: most have nobody else here, and there are many of them.
        """
        room = self.rooms.get(conversation_id)
        if room is None or not room.members or room.changes.last is None or room.changes.last > change:
            return
        if messages and messages[-1].seq == room.last:
            room.recent = Recent(above, messages)

    def leave(self, connection: Connection, conversation_id: str) -> bool:
        """No more messages of this conversation; returns whether it had joined."""
        connection.joined.discard(conversation_id)
        room = self.rooms.get(conversation_id)
        if room is None:
            return False
        was = room.members.pop(connection, None) is not None
        room.floors.pop(connection, None)
        room.joining.pop(connection, None)
        self._tidy(conversation_id)
        return was

    def evict(self, conversation_id: str, user_ids: Iterable[str]) -> None:
        """These people are no longer members."""
        for connection in list(self.of(user_ids)):
            self.leave(connection, conversation_id)

    def _tidy(self, conversation_id: str) -> None:
        room = self.rooms.get(conversation_id)
        if room is not None and not room.members and not room.joining:
            del self.rooms[conversation_id]
            for change in room.changes.drop():
                _answer(change)

    # --------------------------------------------------------------------------------------------- delivering

    def message(self, conversation_id: str, *messages: Numbered) -> None:
        """Messages were stored, as the fan-out tells; maybe again, maybe not the next ones."""
        room = self.rooms.get(conversation_id)
        if room is None:
            return
        for message in messages:
            if room.last is None or message.seq > room.last:
                room.held[message.seq] = message
        self._advance(conversation_id, room)
        if len(room.held) > HELD:
            room.held = {(newest := max(room.held)): room.held[newest]}  # which shows that others are missing

    def change(self, conversation_id: str, change: Changed) -> None:
        """A message was changed, as the fan-out tells; maybe again, maybe before what came first."""
        room = self.rooms.get(conversation_id)
        if room is None or not change.number:
            _answer(change)
            return
        if room.changes.last is None:  # nobody has joined, so there is no order yet; and a first join may take long
            _answer(change)
            change = change._replace(asked={})
        if not room.changes.add(change):
            _answer(change)
            return
        self._advance_changes(conversation_id, room)
        for dropped in room.changes.bound(HELD):
            _answer(dropped)

    def behind(self, conversation_id: str, head: int) -> None:
        """The history has messages up to `head`: fetch what is missing here."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            room.stored = max(room.stored, head)
            self._seek(conversation_id, room)

    def fill(self, conversation_id: str, messages: Iterable[Numbered]) -> None:
        """A hole was read from the history."""
        room = self.rooms.get(conversation_id)
        if room is None or room.last is None:
            return
        room.healing = False
        for message in messages:
            if message.seq > room.last:
                room.held.setdefault(message.seq, message)
        self._advance(conversation_id, room)

    def give_up(self, conversation_id: str, head: int) -> None:
        """A hole is too large to be replayed: tell the clients to fetch it, and go on above `head`."""
        room = self.rooms.get(conversation_id)
        if room is None or room.last is None:
            return
        room.healing = False
        metrics.RESYNCS.inc()
        resync = frames.Resync(conversation_id=conversation_id, from_seq=room.last + 1)
        for connection in list(room.members):
            connection.outbox.send(resync)
        for joining in room.joining.values():
            # What is held now has a hole above it: without it, the join sees that it has to read on.
            joining.held = [item for item in joining.held if isinstance(item, Changed)]
        room.last = max(room.last, head)
        room.recent = None
        self._advance(conversation_id, room)

    def unhealed(self, conversation_id: str) -> None:
        """A hole could not be read now; the next event, ping or reconnect tries again."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            room.healing = False

    def behind_changes(self, conversation_id: str, last: int) -> None:
        """The history has changes up to `last`: fetch what is missing here."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            room.changes.stored = max(room.changes.stored, last)
            self._seek_changes(conversation_id, room)

    def fill_changes(self, conversation_id: str, changes: list[Changed], known: int) -> None:
        """A hole among the changes was read from the history, up to `known`."""
        room = self.rooms.get(conversation_id)
        if room is not None and room.changes.last is not None:
            room.changes.healing = False
            room.changes.fill(changes, known)
            self._advance_changes(conversation_id, room)

    def give_up_changes(self, conversation_id: str, last: int) -> None:
        """Too many changes are missing to be told: tell the clients to fetch what they hold, and go on above `last`."""
        room = self.rooms.get(conversation_id)
        if room is None or room.changes.last is None:
            return
        room.changes.healing = False
        metrics.RESYNCS.inc()
        resync = changes_resync(conversation_id, last)
        for connection in list(room.members):
            connection.outbox.send(resync)
        for change in room.changes.drop(last):
            _answer(change)
        room.changes.begin(max(room.changes.last, last))
        room.recent = None
        for joining in room.joining.values():
            joining.since = room.changes.last
        self._advance_changes(conversation_id, room)

    def unhealed_changes(self, conversation_id: str) -> None:
        """A hole could not be read now; the next event, ping or reconnect tries again."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            room.changes.healing = False

    def _advance_changes(self, conversation_id: str, room: Room) -> None:
        if room.last is None:
            return
        for change in room.changes.take(room.last):
            self._deliver_change(room, change)
        self._seek_changes(conversation_id, room)
        if (seq := room.changes.awaits) is not None:
            self.behind(conversation_id, seq)

    def _seek_changes(self, conversation_id: str, room: Room) -> None:
        hole = room.changes.hole
        if hole is not None and not room.changes.healing:
            room.changes.healing = True
            self._heal_changes(conversation_id, *hole)

    def _deliver_change(self, room: Room, change: Changed) -> None:
        if change.change == "deleted":
            room.recent = None  # which may quote it
        elif room.recent is not None:
            room.recent.replace(change.seq, change.body)
        common = prepare(frames.message_updated(change.body, change.change))
        metrics.frames_out("message_updated").inc(len(room.floors))
        for connection, floor in list(room.floors.items()):  # a write may end a connection, which then leaves
            if change.number > floor and connection not in change.asked:
                mine = change.temp_id is not None and connection.user_id == change.sender_id
                connection.outbox.write(framed_change(change, connection) if mine else common)
        _answer(change)
        self._hold(room, change)

    def _hold(self, room: Room, item: Numbered | Changed) -> None:
        for joining in room.joining.values():
            if len(joining.held) == HELD:
                joining.held.clear()
                joining.since = room.changes.last
            joining.held.append(item)

    def _advance(self, conversation_id: str, room: Room) -> None:
        if room.last is None:
            return
        for seq in [seq for seq in room.held if seq <= room.last]:
            del room.held[seq]
        ready: list[Numbered] = []
        while (message := room.held.pop(room.last + 1, None)) is not None:
            room.last = message.seq
            ready.append(message)
        if ready:
            self._deliver(room, ready)
        if room.changes.held or room.changes.hole is not None:
            self._advance_changes(conversation_id, room)
        self._seek(conversation_id, room)

    def _seek(self, conversation_id: str, room: Room) -> None:
        """Have the next hole read, unless one is being read: then this is asked again behind it."""
        if room.last is None or room.healing:
            return
        below = min(room.held, default=room.stored + 1)
        if below > room.last + 1:
            room.healing = True
            self._heal(conversation_id, room.last, below)

    def _deliver(self, room: Room, messages: list[Numbered]) -> None:
        """Messages in a row: framed once, and given to each connection together."""
        if room.recent is not None:
            for message in messages:
                room.recent.add(message)
        common = [prepare(frames.new_message(message.body)) for message in messages]
        size = sum(map(len, common))
        metrics.frames_out("new_message").inc(len(room.members) * len(common))
        senders = {message.sender_id for message in messages if message.temp_id is not None}
        first = messages[0].seq
        for connection, floor in list(room.members.items()):  # a write may end a connection, which then leaves
            if floor < first and connection.user_id not in senders:
                connection.outbox.write_all(common, size)
                continue
            for message, frame in zip(messages, common, strict=True):
                if message.seq > floor:
                    mine = message.temp_id is not None and connection.user_id == message.sender_id
                    connection.outbox.write(framed(message, connection) if mine else frame)
        if room.joining:
            for message in messages:
                self._hold(room, message)

    def broadcast(self, conversation_id: str, frame: frames.ServerFrame, *, but: str | None = None) -> None:
        """A droppable frame to all joined connections, but those of one user."""
        room = self.rooms.get(conversation_id)
        if room is None:
            return
        prepared = prepare(frame.encode())
        for connection in list(room.members):
            if connection.user_id != but:
                connection.outbox.offer(prepared)


def framed(message: Numbered, connection: Connection) -> bytes:
    """The frame of a message for this connection: its `tempId` is its sender's alone."""
    temp_id = message.temp_id if connection.user_id == message.sender_id else None
    return prepare(frames.new_message(message.body, temp_id))


def framed_change(change: Changed, connection: Connection, request_id: str | None = None) -> bytes:
    """Likewise of a change."""
    temp_id = change.temp_id if connection.user_id == change.sender_id else None
    return prepare(frames.message_updated(change.body, change.change, request_id, temp_id))


def changes_resync(conversation_id: str, last: int) -> frames.Resync:
    """Whatever a client holds of a conversation may be out of date: there were too many changes to tell, up to `last`."""
    return frames.Resync(conversation_id=conversation_id, from_seq=1, last_change=last)


def _send_change(change: Changed, connection: Connection, request_id: str | None = None) -> None:
    connection.outbox.write(framed_change(change, connection, request_id))


def _answer(change: Changed) -> None:
    """Those who asked for it, joined or not, whatever they know already."""
    for connection, requests in change.asked.items():
        for request_id in {request for request in requests if request is not None} or (None,):
            _send_change(change, connection, request_id)

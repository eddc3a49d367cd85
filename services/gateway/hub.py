"""Which connections are here, and in which conversations; the order of every conversation. No I/O.

A room hands a conversation's messages to its connections in rising `seq`: the next is delivered, an older one dropped, and
a jump holds everything back until the hole was read from the history (`holes`). While a connection joins, what arrives is
held for it, so that between its replay and the live messages there is neither gap nor repeat.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from contracts import frames
from services.gateway import metrics
from services.gateway.outbox import Outbox
from services.gateway.recent import Numbered, Recent
from services.gateway.wire import prepare

HELD = 200  # messages that are held for one joining connection; what is more is read from the history again


class Connection(Protocol):
    """What the hub needs of a connection."""

    id: str
    user_id: str
    outbox: Outbox
    joined: set[str]  # its conversations; kept by the hub


@dataclass(slots=True)
class Room:
    """One conversation with connections here. `last` is None until the first join has read the history."""

    last: int | None = None
    # Connection -> the seq up to which its replay went: only what is above is delivered.
    members: dict[Connection, int] = field(default_factory=dict)
    joining: dict[Connection, list[Numbered]] = field(default_factory=dict)
    held: dict[int, Numbered] = field(default_factory=dict)
    healing: bool = False
    recent: Recent | None = None  # up to `last`, once a second connection has joined


class Join(Enum):
    """How a join ended.

    GONE: the connection left, or was removed from the conversation, meanwhile.
    BEHIND: more was delivered here since the history was read than is held: read on from the end of the replay.
    """

    DONE = auto()
    GONE = auto()
    BEHIND = auto()


class Hub:
    """All connections and rooms of this gateway."""

    def __init__(self, heal: Callable[[str, int, int], None]) -> None:
        """`heal(conversation, above, below)` is called, once a hole, and must end with `fill` or `give_up`."""
        self._heal = heal
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
        self.rooms.setdefault(conversation_id, Room()).joining[connection] = []

    def finish_join(self, connection: Connection, conversation_id: str, head: int) -> "Join":
        """The replay, which ended with `head`, is sent: send what was held above it, and be live."""
        room = self.rooms.get(conversation_id)
        if room is None or connection not in room.joining:
            return Join.GONE
        held = [message for message in room.joining[connection] if message.seq > head]
        if room.last is not None and room.last > head and (not held or held[0].seq > head + 1):
            return Join.BEHIND
        del room.joining[connection]
        for message in held:
            connection.outbox.write(framed(message, connection))
        room.members[connection] = held[-1].seq if held else head
        connection.joined.add(conversation_id)
        if room.last is None:
            room.last = head
            self._advance(conversation_id, room)
        return Join.DONE

    def recent(self, conversation_id: str, above: int, until: int) -> list[Numbered] | None:
        """The messages with `above < seq <= until`, if they are remembered here."""
        room = self.rooms.get(conversation_id)
        return room.recent.between(above, until) if room is not None and room.recent is not None else None

    def remember(self, conversation_id: str, above: int, messages: Sequence[Numbered]) -> None:
        """All above a seq, as the history has them: those who join next may have use of them.

        For a room of one nothing is remembered: most have nobody else here, and there are many of them.
        """
        room = self.rooms.get(conversation_id)
        if room is not None and room.members and messages and messages[-1].seq == room.last:
            room.recent = Recent(above, messages)

    def leave(self, connection: Connection, conversation_id: str) -> bool:
        """No more messages of this conversation; returns whether it had joined."""
        connection.joined.discard(conversation_id)
        room = self.rooms.get(conversation_id)
        if room is None:
            return False
        was = room.members.pop(connection, None) is not None
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

    def behind(self, conversation_id: str, head: int) -> None:
        """The history has messages up to `head`: fetch what is missing here."""
        room = self.rooms.get(conversation_id)
        if room is not None and room.last is not None and head > room.last and not room.healing:
            room.healing = True
            self._heal(conversation_id, room.last, head + 1)

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
        room.last = max(room.last, head)
        room.recent = None
        self._advance(conversation_id, room)

    def unhealed(self, conversation_id: str) -> None:
        """A hole could not be read now; the next event, ping or reconnect tries again."""
        room = self.rooms.get(conversation_id)
        if room is not None:
            room.healing = False

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
        if room.held and not room.healing:
            room.healing = True
            self._heal(conversation_id, room.last, min(room.held))

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
        for connection, floor in room.members.items():
            if floor < first and connection.user_id not in senders:
                connection.outbox.write_all(common, size)
                continue
            for message, frame in zip(messages, common, strict=True):
                if message.seq > floor:
                    mine = message.temp_id is not None and connection.user_id == message.sender_id
                    connection.outbox.write(framed(message, connection) if mine else frame)
        for held in room.joining.values():
            for message in messages:
                if len(held) == HELD:
                    held.clear()
                held.append(message)

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

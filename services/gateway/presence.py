"""Who is here: told to the other gateways, heard from them, and shown to those who watch.

Once a second what has changed is told, all of it together. So people who come and go within that are no news, thousands
who come at once are a handful of items, and a connection is told of each person once a second at most. What was told is
said again in time, at random moments, so that a gateway which dies is missed little by little.
"""

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from contracts import commands, fanout, frames, limits
from contracts.conversation import Profile
from contracts.errors import Refusal
from contracts.presence import Chosen, Here, Seen
from contracts.shape import now
from services.amqp import Broker, Outgoing
from services.gateway import metrics
from services.gateway.directory import Directory
from services.gateway.history import reading
from services.gateway.hub import Connection, Hub
from services.gateway.ingress import Answer, Ingress, new_id
from services.gateway.session import error_frame
from services.gateway.settings import Settings
from services.gateway.watching import Watching
from services.gateway.wire import prepare
from services.leases import Leases, merged
from services.telemetry import logger

T = TypeVar("T")
TICK = 1.0  # seconds between two looks at what has changed
BELIEVED = 2.5  # intervals for which a gateway is believed
SHOWN_AT_ONCE = 1000  # people whose change is shown in one tick; the others are in the next
READ_AT_ONCE = 1000  # people or conversations that are looked up in one tick
RECHECKED_AT_ONCE = 50  # connections


class Device(Connection, Protocol):
    """A connection, and whether somebody sits before it.

    Attributes:
        away: it said so.
        active_at: when its last frame came, in seconds of the loop.
        idle: it counts as away since nothing has come for long; the next frame is to be told by `touch`.
    """

    away: bool
    active_at: float
    idle: bool


@dataclass(slots=True)
class Local:
    """Somebody with connections here, or who had until a moment ago.

    Attributes:
        chosen: how they want to be seen; None until it was read.
        said: what the other gateways were told.
        due: when it is to be said again.
        left: when their last connection here ended, in seconds of the loop.
        seen_at: when they were seen last, once they left or became invisible.
    """

    chosen: Chosen | None = None
    said: Here | None = None
    due: float = 0.0
    left: float | None = None
    seen_at: datetime | None = None


class Presence:
    """The presence of everybody, as one gateway knows it."""

    def __init__(self, settings: Settings, broker: Broker, directory: Directory, ingress: Ingress, hub: Hub) -> None:
        self._settings = settings
        self._broker = broker
        self._directory = directory
        self._ingress = ingress
        self._hub = hub
        self._id = ingress.gateway_id
        self._lifetime = BELIEVED * settings.presence_interval
        self._local: dict[str, Local] = {}
        self._unread: dict[str, None] = {}  # people whose choice is to be read, in order
        self._touched: set[str] = set()
        self._seen_at: dict[str, datetime] = {}  # when those were seen last who have gone, until that is shown
        self._shown: dict[str, bytes | None] = {}  # the frames for those who join, of this second
        self._asked = False
        self.leases = Leases(self._lifetime)
        self.watching = Watching(hub)

    # -------------------------------------------------------------------------------------- what happens here

    def arrived(self, connection: Connection) -> None:
        """Somebody has authenticated on a connection."""
        local = self._local.get(connection.user_id)
        if local is None:
            self._local[connection.user_id] = Local()
            self._unread[connection.user_id] = None
        else:
            local.left = None
            self._touched.add(connection.user_id)

    def left(self, connection: Connection) -> None:
        """A connection has ended, and the hub does not have it any more."""
        self.watching.forget(connection)
        local = self._local.get(connection.user_id)
        if local is None:
            return
        if connection.user_id not in self._hub.users:
            local.left, local.seen_at = _clock(), now()
        self._touched.add(connection.user_id)

    def touch(self, user: str) -> None:
        """Something about a device of this user has changed."""
        if user in self._local:
            self._touched.add(user)

    def joined(self, connection: Connection, conversation_id: str) -> None:
        """A connection has joined: show it who is here."""
        self._show_to(connection, self.watching.joined(connection, conversation_id))

    def removed(self, conversation_id: str, users: Iterable[str]) -> None:
        """These were found to be no longer in a conversation."""
        self.watching.removed(conversation_id, users)

    def conversation_changed(self, conversation_id: str, members: Iterable[str], removed: Iterable[str]) -> None:
        """A conversation has these members now, and those no longer."""
        for user in self.watching.changed(conversation_id, members, removed):
            self._show(user)

    def set(self, device: Device, profile: Profile, frame: frames.SetPresence) -> None:
        """A client says how its user wants to be seen."""
        local = self._local[profile.user_id]
        device.away = frame.status == "away"
        self._touched.add(profile.user_id)
        if frame.status == "away" or frame.status == local.chosen:
            self._answer(device, frame.request_id)
            return

        def answered(answer: Answer | Refusal) -> None:
            if isinstance(answer, Refusal):
                device.outbox.send(error_frame(answer, frame.request_id))
            else:
                self._answer(device, frame.request_id)

        # Whoever becomes invisible is seen to go now.
        seen_at = now() if frame.status == "invisible" and local.chosen != "invisible" else None
        self._ingress.submit(self._command(profile, frame.status, seen_at), answered)

    async def watch(self, connection: Connection, frame: frames.WatchPresence) -> None:
        """Show these people from now on, in place of those before.

        Raises:
            Refusal: UNAVAILABLE.
        """
        seen = await self.look(connection.user_id, frame.user_ids)
        if connection.id not in self._hub.connections:
            return
        self.watching.watch(connection, [person.user_id for person in seen])
        for person in seen:
            connection.outbox.send(frames.Presence(**dict(person), request_id=frame.request_id))

    async def look(self, viewer: str, users: Sequence[str]) -> list[Seen]:
        """How this viewer sees those of them with whom they share a conversation, and themselves.

        Raises:
            Refusal: UNAVAILABLE.
        """
        async with reading():
            shared = await self._directory.sharing(viewer, users)
            stored = await self._directory.presence(shared)
        return [self._seen(user, stored[user].seen_at if user in stored else None) for user in shared]

    async def chosen(self, user: str) -> Chosen:
        """How somebody wants to be seen.

        Raises:
            Refusal: UNAVAILABLE.
        """
        async with reading():
            stored = await self._directory.presence([user])
        return stored[user].chosen if user in stored else "online"

    # ---------------------------------------------------------------------------------- what others tell us

    def heard(self, item: fanout.Presence) -> None:
        """Another gateway tells who is there."""
        if item.gateway_id == self._id:
            return
        moment = _clock()
        self.leases.say(item.gateway_id, item.here, item.gone, moment)
        self._note_seen(item.gone)
        for user, status in item.here.items():
            local = self._local.get(user)
            if local is not None and local.chosen != ("busy" if status == "busy" else "online"):
                self._unread[user] = None  # one of us has missed a choice
        if item.leaving:
            self.leases.leave(item.gateway_id, moment + self._settings.presence_grace)
        if item.asking:
            everybody = {user: local.said for user, local in self._local.items() if local.said is not None}
            self._tell(everybody, {}, to=item.gateway_id)

    def heard_choice(self, item: fanout.PresenceChosen) -> None:
        """Somebody has chosen how to be seen; their own devices hear of it at once."""
        local = self._local.get(item.user_id)
        if local is None:
            return
        self._unread.pop(item.user_id, None)
        local.chosen, local.seen_at = item.chosen, item.seen_at
        self._touched.add(item.user_id)
        for connection in list(self._hub.of([item.user_id])):
            self._answer(connection, None)

    def reconnected(self) -> None:
        """RabbitMQ is back: nobody could be heard, so nobody is gone before they had the time to say otherwise."""
        self.leases.hold(_clock() + self._lifetime)

    # ----------------------------------------------------------------------------------------- once a second

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self._shown.clear()
            if self._broker.publisher.up.is_set() and self._broker.consumer.up.is_set():
                try:
                    await self._read()
                    self.tick()
                except Refusal:
                    self.tick()  # with what is known; the rest is read as soon as it can be
                except Exception:
                    logger().exception("presence failed")  # all else goes on without it

    def leave(self) -> None:
        """This gateway stops: its people have a moment to come to another."""
        self._publish(fanout.Presence(gateway_id=self._id, leaving=True))

    def tick(self) -> None:
        """Tell and show what has changed."""
        moment = _clock()
        if not self._asked:
            self._asked = True
            self._publish(fanout.Presence(gateway_id=self._id, asking=True))
        self._say(moment)
        self._end(moment)
        self.watching.tidy()
        for user in list(itertools.islice(self.leases.changed, SHOWN_AT_ONCE)):
            if self.leases.changed.pop(user) != self.leases.status(user):
                self._show(user)
            self._seen_at.pop(user, None)
            self._shown.pop(user, None)

    async def _read(self) -> None:
        """What people chose, who is in conversations, and who still shares one: for many at a time."""
        if self._unread:
            users = list(itertools.islice(self._unread, READ_AT_ONCE))
            async with reading():
                stored = await self._directory.presence(users)
            for user in [user for user in users if user in self._unread]:  # else it was heard meanwhile
                del self._unread[user]
                local = self._local.get(user)
                if local is not None:
                    local.chosen = stored[user].chosen if user in stored else "online"
                    self._touched.add(user)
        wanted = list(itertools.islice(self.watching.wanted, READ_AT_ONCE))
        if wanted:
            async with reading():
                rosters = await self._directory.rosters(wanted, limits.WATCHED_UNNAMED + 1)
            self.watching.know(rosters)
            for conversation_id in wanted:
                for connection in self.watching.wanted.pop(conversation_id):
                    if conversation_id in connection.joined and self.watching.named(connection) is None:
                        self._show_to(connection, self.watching.roster(conversation_id))
        for connection in list(self.watching.doubtful)[:RECHECKED_AT_ONCE]:
            named = self.watching.named(connection) or ()
            async with reading():
                shared = await self._directory.sharing(connection.user_id, list(named))
            if connection in self.watching.doubtful:
                self.watching.doubtful.discard(connection)
                self.watching.watch(connection, shared)

    def _say(self, moment: float) -> None:
        """What is new about this gateway's people, and what is to be said again."""
        here: dict[str, Here] = {}
        gone: dict[str, datetime] = {}
        for user, local in list(self._local.items()):
            over = local.left is not None and local.left + self._settings.presence_grace <= moment
            if user not in self._touched and local.due > moment and not over:
                continue
            self._touched.discard(user)
            status = None if over or local.chosen is None else self._state(user, local, moment)
            local.due = moment + self._settings.presence_interval * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
            if status is not None:
                here[user] = status
            elif local.said is not None:
                gone[user] = local.seen_at or now()
            local.said = status
            if over:
                del self._local[user]
                self._unread.pop(user, None)
        self._tell(here, gone)
        self.leases.say(self._id, here, gone, moment)
        self._note_seen(gone)
        for user, at in gone.items():
            if user not in self._local and not self.leases.elsewhere(user, self._id):
                self._store_seen(user, at)

    def _state(self, user: str, local: Local, moment: float) -> Here | None:
        """How this gateway says that somebody is here; None for who wants to be seen by nobody."""
        if local.chosen == "invisible":
            return None
        if local.chosen == "busy":
            return "busy"
        devices: Iterable[Device] = self._hub.users.get(user, ())  # type: ignore[assignment]  # ours are devices
        lively = False
        for device in devices:
            device.idle = moment - device.active_at > self._settings.away_after
            lively |= not device.idle and not device.away
        return "online" if lively else "away" if local.left is None else local.said

    def _end(self, moment: float) -> None:
        """What was not said again. One of the gateways that are left keeps when these people were seen last."""
        ended = self.leases.expire(moment)
        mine = self._id == min({self._id, *self.leases.gateways})
        for user, renewed in ended.items():
            at = now() - timedelta(seconds=moment - renewed)
            self._seen_at[user] = at
            if mine:
                self._store_seen(user, at)

    def _note_seen(self, gone: Mapping[str, datetime]) -> None:
        """Until it is shown that they have gone."""
        self._seen_at |= {user: at for user, at in gone.items() if user in self.leases.changed}

    # ------------------------------------------------------------------------------------------ telling

    def _tell(self, here: Mapping[str, Here], gone: Mapping[str, datetime], to: str | None = None) -> None:
        """Every gateway, or one."""
        for part in _portions(here):
            self._publish(fanout.Presence(gateway_id=self._id, here=part), to)
        for left in _portions(gone):
            self._publish(fanout.Presence(gateway_id=self._id, gone=left), to)

    def _publish(self, item: fanout.Presence, to: str | None = None) -> None:
        topology = self._broker.topology
        exchange, key = (topology.presence, "") if to is None else (topology.replies, to)
        metrics.PRESENCE.inc()
        self._broker.tell(Outgoing(exchange.name, key, fanout.pack([(item, fanout.NULL)]), persistent=False))

    def _store_seen(self, user: str, at: datetime) -> None:
        nobody = Profile(user_id=user, user_name=user, avatar=None)  # a profile is not what is stored
        with suppress(Refusal):  # too busy: it stays what it was
            self._ingress.submit(self._command(nobody, None, at), lambda _: None)

    def _command(self, actor: Profile, chosen: Chosen | None, seen_at: datetime | None) -> commands.StorePresence:
        return commands.StorePresence(
            id=new_id(),
            origin=self._ingress.origin(None),
            actor=actor,
            expires_at=self._ingress.expires_at(),
            chosen=chosen,
            seen_at=seen_at,
        )

    # ------------------------------------------------------------------------------------------- showing

    def _seen(self, user: str, seen_at: datetime | None) -> Seen:
        """As others see them."""
        status = self.leases.status(user)
        return Seen(user_id=user, status=status, last_seen_at=seen_at if status == "offline" else None)

    def _show(self, user: str) -> None:
        """To everybody here who watches them."""
        watchers = self.watching.of(user)
        if not watchers:
            return
        frame = prepare(frames.Presence(**dict(self._seen(user, self._seen_at.get(user)))).encode())
        metrics.frames_out("presence").inc(len(watchers))
        for connection in watchers:
            connection.outbox.offer(frame)

    def _show_to(self, connection: Connection, users: Iterable[str]) -> None:
        """Those of them who are here."""
        # Whoever has just changed is shown to everybody in a moment.
        others = [user for user in users if user != connection.user_id and user not in self.leases.changed]
        shown = [frame for user in others if (frame := self._frame(user)) is not None]
        metrics.frames_out("presence").inc(len(shown))
        connection.outbox.offer_all(shown)

    def _frame(self, user: str) -> bytes | None:
        """That somebody is here, made once for all who join in this second; None for who is not."""
        if user not in self._shown:
            seen = self._seen(user, None)
            here = seen.status != "offline"
            self._shown[user] = prepare(frames.Presence(**dict(seen)).encode()) if here else None
        return self._shown[user]

    def _answer(self, connection: Connection, request_id: str | None) -> None:
        """Show somebody how others see them, or will in a moment."""
        user = connection.user_id
        local = self._local.get(user)
        if local is None:
            return  # they have gone meanwhile
        here = self._state(user, local, _clock())
        statuses = [*self.leases.elsewhere(user, self._id), *([here] if here else [])]
        status = "offline" if local.chosen == "invisible" else merged(statuses)
        connection.outbox.send(frames.Presence(request_id=request_id, user_id=user, status=status))


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _portions(people: Mapping[str, T]) -> Iterable[dict[str, T]]:
    pairs = iter(people.items())
    while part := dict(itertools.islice(pairs, limits.PRESENCE_TOGETHER)):
        yield part

"""One connection: its frames are carried out one after the other, and answered."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from contracts import commands, fanout, frames, scopes
from contracts.errors import CloseCode, ErrorCode, Refusal
from contracts.shape import now
from services.gateway import metrics
from services.gateway.auth import Identity
from services.gateway.history import reading
from services.gateway.ingress import Answer, new_id
from services.gateway.joining import join
from services.gateway.outbox import Outbox
from services.gateway.parts import Gateway
from services.gateway.session import Refused, Session, error_frame, message_error
from services.gateway.typing import Told
from services.gateway.wire import Wire
from services.mongo import Front
from services.telemetry import logger

LIMITED_LINE = 10.0  # seconds between two lines about one connection's RATE_LIMITED
COMPARED_AT_ONCE = 500  # conversations of a ping that are looked up together: as many as fit into a frame may be named
COMPARED = 3.0  # seconds for a ping's heads: a client that hears nothing for longer takes the connection for dead
WAITING_FRAMES = 32  # of one connection, while an earlier one is looked up; then it is read no further


class Peer:
    """One connection: its session, its outbox, its timers. It has a task only while something is looked up for it."""

    __slots__ = (
        "_code",
        "_gateway",
        "_limited",
        "_loop",
        "_session",
        "_task",
        "_typing",
        "_until",
        "_waiting",
        "_wire",
        "active_at",
        "away",
        "gone",
        "id",
        "idle",
        "joined",
        "outbox",
        "user_id",
    )

    def __init__(self, gateway: Gateway, wire: Wire, outbox: Outbox) -> None:
        loop = asyncio.get_running_loop()
        self.id = new_id()
        self.user_id = ""  # before it has authenticated
        self.outbox = outbox
        self._gateway = gateway
        self._loop = loop
        self._wire = wire
        self._session = Session(gateway.settings, loop.time())
        self.joined = self._session.joined
        self._typing = Told(self._tell_typing, gateway.settings.typing_timeout)
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[str | bytes] | None = None
        self._code = 0
        self.gone = False
        self.away = self.idle = False
        self.active_at = loop.time()
        self._limited = float("-inf")  # when RATE_LIMITED was logged last
        self._until = loop.call_later(
            gateway.settings.auth_timeout,
            self.close,
            CloseCode.NOT_AUTHENTICATED_IN_TIME,
            "authenticate in time",
        )
        wire.start_heartbeat(
            gateway.settings.heartbeat_interval, CloseCode.NO_HEARTBEAT, CloseCode.TOO_MANY_INVALID_FRAMES
        )
        gateway.sockets.add(self)
        metrics.CONNECTIONS.inc()
        logger().info("connected", connection=self.id, client=wire.client[0] if wire.client else None)

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code of ours."""
        self._code = int(code)
        self.outbox.close(code, reason)

    def ended(self, code: int) -> None:
        """The socket has ended."""
        if self.gone:
            return
        self.gone = True
        self._until.cancel()
        self._waiting = None
        self._typing.stop_all()
        if self.user_id:
            self._gateway.egress.reads.flush(self.user_id)
            self._gateway.hub.remove(self)
            self._gateway.presence.left(self)
        self._gateway.sockets.discard(self)
        metrics.CONNECTIONS.dec()
        logger().info("disconnected", connection=self.id, user=self.user_id or None, code=self._code or code or None)

    # --------------------------------------------------------------------------------------------- receiving

    def received(self, data: str | bytes) -> None:
        """A frame came. It waits until the one before is carried out, so that a client is answered in order."""
        if self._task is None:
            self._receive(data)
        elif self._waiting is None:
            self._waiting = deque([data])
        else:
            self._waiting.append(data)
            if len(self._waiting) >= WAITING_FRAMES:
                self._wire.pause()

    def _receive(self, data: str | bytes) -> None:
        if self._gateway.draining or self.gone:
            return  # the client hears in a moment that it should go elsewhere, and repeats it there
        try:
            moment = self._loop.time()
            outcome = self._session.receive(data, moment)
        except Exception:
            logger().exception("frame not judged", connection=self.id, user=self.user_id or None)
            self.outbox.send(error_frame(Refusal(ErrorCode.INTERNAL)))
            return
        if isinstance(outcome, Refused):
            self._log_refused(outcome)
            self.outbox.send(outcome.frame)
            if outcome.close is not None:
                self.close(outcome.close, outcome.close.name.lower().replace("_", " "))
            return
        if not isinstance(outcome, frames.Ping):  # a page pings by itself
            self.active_at = moment
            if self.idle:
                self.idle = False
                self._gateway.presence.touch(self.user_id)
        try:
            later = self._carry_out(outcome)
        except Exception as error:
            self._failed(outcome, error)
            return
        if later is not None:
            self._task = self._loop.create_task(self._finish(outcome, later))

    async def _finish(self, frame: frames.ClientFrame, later: Coroutine[Any, Any, None]) -> None:
        try:
            await later
        except Exception as error:
            self._failed(frame, error)
        self._task = None
        while self._waiting and self._task is None:
            self._receive(self._waiting.popleft())
        if not self._waiting:
            self._wire.resume()

    def _failed(self, frame: frames.ClientFrame, error: Exception) -> None:
        conversation_id = getattr(frame, "conversation_id", None)
        if isinstance(error, Refusal):
            refusal = error
            self._say_refused(refusal, conversation_id)
        else:
            refusal = Refusal(ErrorCode.INTERNAL)
            logger().error("frame failed", connection=self.id, user=self.user_id or None, exc_info=error)
        if isinstance(frame, frames.SendMessage):
            self.outbox.send(message_error(frame, refusal))
        elif isinstance(frame, frames.Authenticate):
            metrics.REFUSALS.labels(refusal.code).inc()
            self.outbox.send(frames.AuthError(request_id=frame.request_id, error=refusal.detail, code=refusal.code))
            if refusal.code in (ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL):
                self.close(CloseCode.BROKER_LOST, "authentication is away")  # not the client's fault: come back
            else:
                self.close(CloseCode.AUTHENTICATION_FAILED, "authentication failed")
        else:
            self.outbox.send(error_frame(refusal, frame.request_id, conversation_id))

    def _carry_out(self, frame: frames.ClientFrame) -> Coroutine[Any, Any, None] | None:
        """Do it now, or give back what is to be awaited."""
        match frame:
            case frames.SendMessage():
                self._send(frame)
            case frames.TypingStart():
                self._typing.start(frame.conversation_id, self._loop.time())
            case frames.TypingStop():
                self._typing.stop(frame.conversation_id)
            case frames.Ping():
                if (frame.heads or frame.changes) and self.user_id:
                    return self._compare(frame, frame.heads or {}, frame.changes or {})
                self.outbox.send(frames.Pong(request_id=frame.request_id))
            case frames.JoinConversation():
                return self._join(frame)
            case frames.LeaveConversation():
                self._typing.stop(frame.conversation_id)
                self._gateway.egress.reads.flush(self.user_id, frame.conversation_id)
                self._gateway.hub.leave(self, frame.conversation_id)
                self.outbox.send(
                    frames.LeftConversation(request_id=frame.request_id, conversation_id=frame.conversation_id)
                )
            case frames.MarkRead():
                assert self._session.identity is not None
                self._gateway.egress.reads.mark(self, self._session.identity.profile, frame)
            case frames.EditMessage() | frames.DeleteMessage() | frames.AddReaction() | frames.RemoveReaction():
                assert self._session.identity is not None
                self._gateway.egress.changing.submit(self, self._session.identity.profile, frame)
            case frames.SetPresence():
                assert self._session.identity is not None
                self._gateway.presence.set(self, self._session.identity.profile, frame)
            case frames.WatchPresence():
                return self._gateway.presence.watch(self, frame)
            case frames.Authenticate():
                return self._authenticate(frame)
        return None

    # ---------------------------------------------------------------------------------------- authenticating

    async def _authenticate(self, frame: frames.Authenticate) -> None:
        if not self.user_id:
            self._until.cancel()  # in time; what takes long from here on is not the client's fault
        identity = await self._gateway.verifier.verify(frame.token)
        self._wire.known()
        if self.user_id and identity.user_id != self.user_id:
            raise Refusal(ErrorCode.INVALID_TOKEN, "A connection belongs to one user for its life.")
        scopes.check_frame(identity.scopes, frame.type)
        if (before := self._session.identity) is not None and identity.scopes != before.scopes:
            raise Refusal(ErrorCode.INVALID_TOKEN, "A connection keeps the scopes of its first token.")
        # Before anything is told to this connection, so that `authenticated` comes first.
        await self._gateway.profiles.store(identity.profile)
        if self.gone:
            return
        first = not self.user_id
        hub, settings = self._gateway.hub, self._gateway.settings
        most = settings.limit_service_connections if identity.is_service else settings.max_connections_per_user
        if first and 0 < most <= len(hub.users.get(identity.user_id, ())):
            self.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections of this user")
            return
        self._session.authenticated(identity, self._gateway.buckets_of(identity))
        if first:
            self.user_id = identity.user_id
            hub.add(self)
            self._gateway.presence.arrived(self)
        self._expire_at(identity)
        self.outbox.send(
            frames.Authenticated(
                request_id=frame.request_id,
                user_id=identity.user_id,
                user_name=identity.profile.user_name,
                connection_id=self.id,
                heartbeat_interval_ms=int(self._gateway.settings.heartbeat_interval * 1000),
                expires_at=identity.expires_at,
                history=self._gateway.history.name,
            )
        )
        logger().info("authenticated", connection=self.id, user=identity.user_id, renewed=not first)

    def _expire_at(self, identity: Identity) -> None:
        self._until.cancel()
        left = (identity.expires_at - datetime.now(UTC)).total_seconds()
        if left <= 0:  # accepted by the leeway for clocks that differ
            left += self._gateway.settings.jwt_leeway
        # A timer cannot be set for years ahead; a token that lasts longer outlives the process.
        self._until = self._loop.call_later(
            min(left, 30 * 86400.0), self.close, CloseCode.TOKEN_EXPIRED, "token expired"
        )

    # ------------------------------------------------------------------------------------------- conversing

    def _send(self, frame: frames.SendMessage) -> None:
        identity = self._session.identity
        assert identity is not None
        self._typing.stop(frame.conversation_id)
        sent = self._loop.time()

        def answered(answer: Answer | Refusal) -> None:
            if isinstance(answer, Refusal):
                self._say_refused(answer, frame.conversation_id)
                self.outbox.send(message_error(frame, answer))
                return
            metrics.STORED.observe(self._loop.time() - sent)
            self.outbox.send(sent_frame(frame, answer))
            logger().debug(
                "sent",
                connection=self.id,
                user=self.user_id,
                conversation=frame.conversation_id,
                message=answer.message_id,
            )

        ingress = self._gateway.ingress
        try:
            ingress.submit(
                commands.SendMessage(
                    id=new_id(),
                    origin=ingress.origin(self.id),
                    actor=identity.profile,
                    expires_at=ingress.expires_at(),
                    conversation_id=frame.conversation_id,
                    content=frame.content,
                    temp_id=frame.temp_id,
                    attachments=frame.attachments,
                    reply_to=frame.reply_to,
                    mentions=frame.mentions,
                    mention_all=frame.mention_all,
                ),
                answered,
            )
        except Refusal as refusal:
            self.outbox.send(message_error(frame, refusal))

    async def _join(self, frame: frames.JoinConversation) -> None:
        replayed = await join(self._gateway, self, frame)
        logger().info(
            "joined", connection=self.id, user=self.user_id, conversation=frame.conversation_id, replayed=replayed
        )

    async def _compare(self, frame: frames.Ping, heads: dict[str, int], changes: dict[str, int]) -> None:
        """Answer with what is newer than this, and fetch what the room here should have had."""
        hub, directory = self._gateway.hub, self._gateway.directory
        asked = list({**heads, **changes})
        fronts: dict[str, Front] = {}
        async with reading(COMPARED):
            for start in range(0, len(asked), COMPARED_AT_ONCE):
                mine = await directory.memberships(self.user_id, asked[start : start + COMPARED_AT_ONCE])
                fronts |= await directory.fronts(mine) if mine else {}
        newer = {c: front.seq for c, front in fronts.items() if front.seq > heads.get(c, front.seq)}
        changed = {c: front.change for c, front in fronts.items() if front.change > changes.get(c, front.change)}
        for conversation_id, head in newer.items():
            hub.behind(conversation_id, head)
        for conversation_id, last in changed.items():
            hub.behind_changes(conversation_id, last)
        self.outbox.send(frames.Pong(request_id=frame.request_id, heads=newer or None, changes=changed or None))

    def _tell_typing(self, conversation_id: str, active: bool) -> None:
        identity = self._session.identity
        if identity is None:
            return
        item = fanout.Typing(
            conversation_id=conversation_id,
            user_id=identity.user_id,
            user_name=identity.profile.user_name,
            active=active,
        )
        self._gateway.typing.tell(item)

    def _log_refused(self, refused: Refused) -> None:
        frame = refused.frame
        if not isinstance(frame, frames.Error | frames.MessageError | frames.AuthError):
            return
        if frame.code is ErrorCode.RATE_LIMITED:
            now = self._loop.time()
            if now - self._limited < LIMITED_LINE:
                return  # a flood of frames must not become one of lines
            self._limited = now
        self._say_refused(Refusal(frame.code, frame.error), getattr(frame, "conversation_id", None))

    def _say_refused(self, refusal: Refusal, conversation_id: str | None) -> None:
        logger().info(
            "refused",
            connection=self.id,
            user=self.user_id or None,
            conversation=conversation_id,
            code=refusal.code,
            reason=refusal.detail,
        )


def sent_frame(frame: frames.SendMessage, answer: Answer) -> frames.MessageSent:
    """The acknowledgement of a send, from the stored message's event or the persister's reply."""
    assert answer.message_id is not None
    assert answer.seq is not None
    return frames.MessageSent(
        request_id=frame.request_id,
        message_id=answer.message_id,
        temp_id=frame.temp_id,
        conversation_id=frame.conversation_id,
        seq=answer.seq,
        created_at=answer.created_at or now(),
        duplicate=isinstance(answer, fanout.Reply) and bool(answer.duplicate),
    )

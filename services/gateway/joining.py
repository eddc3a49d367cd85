"""Joining a conversation: its replay, as fast as the client takes it, and then, without gap or repeat, what is live."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from contracts import frames, limits
from contracts.errors import ErrorCode, Refusal
from services.gateway import metrics
from services.gateway.history import reading
from services.gateway.hub import Connection, Join, changes_resync, framed, framed_change
from services.gateway.parts import Gateway
from services.gateway.recent import Numbered
from services.mongo import Front

READ = 8.0  # seconds: what the client sends meanwhile waits behind it
PORTION = 200  # messages of a replay that are read at once: what a slow client has not taken yet is not held for it


class Joiner(Connection, Protocol):
    """A connection, and whether it has ended meanwhile."""

    @property
    def gone(self) -> bool:
        """Whether its socket has ended."""


async def join(gateway: Gateway, joiner: Joiner, frame: frames.JoinConversation) -> int:
    """Returns how many messages were replayed.

    Raises:
        Refusal: NOT_A_MEMBER, also when the membership ends while joining; UNAVAILABLE.
    """
    hub, history, conversation_id = gateway.hub, gateway.history, frame.conversation_id
    hub.begin_join(joiner, conversation_id)
    done, replayed = False, 0
    try:
        async with reading(READ):
            front = await gateway.directory.front_for(conversation_id, joiner.user_id)
            if front is None:
                raise Refusal(ErrorCode.NOT_A_MEMBER)
            head, change = front
            above = _replayed_above(frame, head, gateway.settings.resume_limit)
            remembered = hub.recent(conversation_id, above, head) if above < head else ([], change)
            if remembered is None:
                # Read after the number of the last change was, so they have it.
                messages = await history.replay(conversation_id, above, min(head, above + PORTION))
                if head <= above + PORTION:
                    hub.remember(conversation_id, above, messages, change)
            else:
                messages, change = remembered[0], min(change, remembered[1])
        _check(gateway, joiner, conversation_id)
        first = messages[0].seq if messages else None
        joiner.outbox.send(
            frames.JoinedConversation(
                request_id=frame.request_id,
                conversation_id=conversation_id,
                last_seq=head,
                first_seq=first,
                has_more=first is not None and first > (frame.after_seq or 0) + 1,
                last_change=change or None,
            )
        )
        held = Front(frame.after_seq or 0, change if frame.after_change is None else frame.after_change)
        while not done and not joiner.gone:
            await _replay(gateway, joiner, conversation_id, messages)
            replayed += len(messages)
            while messages and (last := messages[-1].seq) < head and not joiner.gone:
                async with reading(READ):
                    messages = await history.replay(conversation_id, last, min(head, last + PORTION))
                await _replay(gateway, joiner, conversation_id, messages)
                replayed += len(messages)
            await _replay_changes(gateway, joiner, conversation_id, held, change)
            held = Front(head, change)
            match hub.finish_join(joiner, conversation_id, head, change):
                case Join.GONE:
                    raise Refusal(ErrorCode.NOT_A_MEMBER)
                case Join.BEHIND:
                    async with reading(READ):
                        front = (await gateway.directory.fronts([conversation_id])).get(conversation_id, Front())
                        messages = await history.replay(conversation_id, head, head + PORTION)
                    change = front.change
                    if not messages and change <= held.change:
                        raise Refusal(ErrorCode.UNAVAILABLE, "The history is behind.")
                    head = messages[-1].seq if messages else head
                case Join.DONE:
                    done = True
                    gateway.egress.typing.show(joiner, conversation_id)
                    gateway.presence.joined(joiner, conversation_id)
    finally:
        if not done or joiner.gone:
            hub.leave(joiner, conversation_id)
    return replayed


def _check(gateway: Gateway, joiner: Joiner, conversation_id: str) -> None:
    """To be asked after each wait: whoever was told meanwhile that they were removed is told nothing more.

    Raises:
        Refusal: NOT_A_MEMBER, when the membership has ended since the join was begun.
    """
    if not joiner.gone and not gateway.hub.is_joining(joiner, conversation_id):
        raise Refusal(ErrorCode.NOT_A_MEMBER)


async def _write(gateway: Gateway, joiner: Joiner, conversation_id: str, prepared: Iterable[bytes]) -> None:
    """As fast as the client takes it. Raises Refusal: NOT_A_MEMBER, as `_check` does."""
    _check(gateway, joiner, conversation_id)
    for frame in prepared:
        if joiner.outbox.half_full:
            await joiner.outbox.taken()
            _check(gateway, joiner, conversation_id)
        joiner.outbox.write(frame)


async def _replay(gateway: Gateway, joiner: Joiner, conversation_id: str, messages: Sequence[Numbered]) -> None:
    metrics.frames_out("new_message").inc(len(messages))
    await _write(gateway, joiner, conversation_id, (framed(message, joiner) for message in messages))


async def _replay_changes(gateway: Gateway, joiner: Joiner, conversation_id: str, held: Front, change: int) -> None:
    """The changes, up to this one, of messages that the client holds; or that there are too many of them."""
    if change <= held.change or not held.seq:
        return
    history, most = gateway.history, gateway.settings.resume_limit
    if change - held.change > most:  # else there cannot be so many
        async with reading(READ):
            count = await history.count_changed(conversation_id, held.change, change, most + 1, held.seq)
        if count > most:
            _check(gateway, joiner, conversation_id)
            metrics.RESYNCS.inc()
            joiner.outbox.send(changes_resync(conversation_id, change))
            return
    above = held.change
    while not joiner.gone:
        async with reading(READ):
            changes = await history.changed(conversation_id, above, change, PORTION, held.seq)
        metrics.frames_out("message_updated").inc(len(changes))
        updated = (framed_change(changed, joiner) for changed in changes)
        await _write(gateway, joiner, conversation_id, updated)
        if len(changes) < PORTION:
            return
        above = changes[-1].number


def _replayed_above(frame: frames.JoinConversation, head: int, resume_limit: int) -> int:
    """The seq above which all up to the head is replayed.

    Numbers have no holes, so the newest `limit` begin at a known one.
    """
    if frame.after_seq is not None and head - frame.after_seq <= resume_limit:
        return frame.after_seq
    return max(frame.after_seq or 0, head - (frame.limit or limits.HISTORY_DEFAULT))

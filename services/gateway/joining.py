"""Joining a conversation: its replay, as fast as the client takes it, and then, without gap or repeat, what is live."""

from collections.abc import Sequence
from typing import Protocol

from contracts import frames
from contracts.errors import ErrorCode, Refusal
from services.gateway import metrics
from services.gateway.history import reading
from services.gateway.hub import Connection, Join, framed
from services.gateway.parts import Gateway
from services.gateway.recent import Numbered


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
        async with reading():
            head = await history.head_for(conversation_id, joiner.user_id)
            if head is None:
                raise Refusal(ErrorCode.NOT_A_MEMBER)
            above = _replayed_above(frame, head, gateway.settings.resume_limit)
            messages = hub.recent(conversation_id, above, head) if above < head else []
            if messages is None:
                messages = await history.replay(conversation_id, above, head)
                hub.remember(conversation_id, above, messages)
        first = messages[0].seq if messages else None
        joiner.outbox.send(
            frames.JoinedConversation(
                request_id=frame.request_id,
                conversation_id=conversation_id,
                last_seq=head,
                first_seq=first,
                has_more=first is not None and first > (frame.after_seq or 0) + 1,
            )
        )
        while not done and not joiner.gone:
            await _replay(joiner, messages)
            replayed += len(messages)
            match hub.finish_join(joiner, conversation_id, head):
                case Join.GONE:
                    raise Refusal(ErrorCode.NOT_A_MEMBER)
                case Join.BEHIND:
                    async with reading():
                        messages = await history.replay(conversation_id, head)
                    if not messages:
                        raise Refusal(ErrorCode.UNAVAILABLE, "The history is behind.")
                    head = messages[-1].seq
                case Join.DONE:
                    done = True
                    gateway.egress.typing.show(joiner, conversation_id)
                    gateway.presence.joined(joiner, conversation_id)
    finally:
        if not done or joiner.gone:
            hub.leave(joiner, conversation_id)
    return replayed


async def _replay(joiner: Joiner, messages: Sequence[Numbered]) -> None:
    metrics.frames_out("new_message").inc(len(messages))
    for message in messages:
        if joiner.outbox.half_full:
            await joiner.outbox.taken()
        joiner.outbox.write(framed(message, joiner))


def _replayed_above(frame: frames.JoinConversation, head: int, resume_limit: int) -> int:
    """The seq above which all up to the head is replayed.

    Numbers have no holes, so the newest `limit` begin at a known one.
    """
    if frame.after_seq is not None and head - frame.after_seq <= resume_limit:
        return frame.after_seq
    return max(frame.after_seq or 0, head - frame.limit)

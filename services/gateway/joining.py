"""Joining a conversation: its replay, as fast as the client takes it, and then, without gap or repeat, what is live."""

from collections.abc import Sequence
from typing import Protocol

from contracts import frames
from contracts.errors import ErrorCode, Refusal
from contracts.message import Message
from services.gateway import metrics
from services.gateway.history import History, reading
from services.gateway.hub import Connection, Join
from services.gateway.outbox import Outbox
from services.gateway.parts import Gateway
from services.gateway.wire import prepare


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
            if not await history.is_member(conversation_id, joiner.user_id):
                raise Refusal(ErrorCode.NOT_A_MEMBER)
            messages, head = await _messages_for(history, joiner.user_id, frame, gateway.settings.resume_limit)
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
            await _replay(joiner.outbox, messages)
            replayed += len(messages)
            match hub.finish_join(joiner, conversation_id, head):
                case Join.GONE:
                    raise Refusal(ErrorCode.NOT_A_MEMBER)
                case Join.BEHIND:
                    async with reading():
                        messages = await history.above(conversation_id, head, joiner.user_id)
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


async def _replay(outbox: Outbox, messages: Sequence[Message]) -> None:
    metrics.frames_out("new_message").inc(len(messages))
    for message in messages:
        if outbox.half_full:
            await outbox.taken()
        outbox.write(prepare(frames.new_message(message.encode())))


async def _messages_for(
    history: History, viewer: str, frame: frames.JoinConversation, resume_limit: int
) -> tuple[list[Message], int]:
    """The messages to replay, as this user sees them, and the head that they end with."""
    conversation_id, after = frame.conversation_id, frame.after_seq
    if after is None:
        messages = await history.newest(conversation_id, frame.limit, viewer=viewer)
        return messages, messages[-1].seq if messages else 0
    head = await history.head(conversation_id)
    if head - after > resume_limit:
        newest = await history.newest(conversation_id, frame.limit, viewer=viewer)
        messages = [message for message in newest if message.seq > after]
    else:
        messages = await history.above(conversation_id, after, viewer)
    return messages, messages[-1].seq if messages else head

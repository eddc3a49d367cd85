"""`mark_read`, coalesced: somebody who scrolls is not a write for each message that goes by.

For one user and conversation the first mark leaves at once; those that come within the interval after it leave together,
as the furthest of them. Everybody who asked is answered with the command that theirs went into.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from contracts import commands, fanout, frames
from contracts.conversation import Profile
from contracts.errors import Refusal
from services.gateway.hub import Connection
from services.gateway.ingress import Answer, Ingress, new_id
from services.gateway.session import error_frame

Asked = list[tuple[Connection, str | None]]  # who asked, with which requestId


@dataclass(slots=True)
class Mark:
    """One user's marks in one conversation, from the first on until an interval went by without any."""

    reader: Profile
    timer: asyncio.TimerHandle
    seq: int = 0
    waiting: Asked = field(default_factory=list)


class Reads:
    """The marks of this gateway's users."""

    def __init__(self, ingress: Ingress, interval: float) -> None:
        self._ingress = ingress
        self._interval = interval
        self._marks: defaultdict[str, dict[str, Mark]] = defaultdict(dict)  # user -> conversation
        self._asked: dict[str, Asked] = {}  # by the command that theirs went into

    def mark(self, connection: Connection, reader: Profile, frame: frames.MarkRead) -> None:
        """Somebody has read up to here."""
        user, conversation = reader.user_id, frame.conversation_id
        mark = self._marks[user].get(conversation)
        first = mark is None
        if mark is None:
            mark = self._marks[user][conversation] = Mark(reader, self._end_later(user, conversation))
        mark.seq = max(mark.seq, frame.seq)
        mark.waiting.append((connection, frame.request_id))
        if first:
            self._submit(conversation, mark)

    def flush(self, user_id: str, conversation_id: str | None = None) -> None:
        """Wait no longer for more of this user, who leaves a conversation or (None) disconnects."""
        for conversation, mark in self._marks.get(user_id, {}).items():
            if conversation_id in (None, conversation) and mark.waiting:
                self._submit(conversation, mark)

    def flush_all(self) -> None:
        """Wait no longer for anybody."""
        for user_id in self._marks:
            self.flush(user_id)

    def answer(self, item: fanout.ReadUpdated) -> Collection[Connection]:
        """A mark has moved: answer those here who asked for it, and return them."""
        asked = self._asked.get(item.command_id, [])
        self._ingress.answer(item.command_id, fanout.Reply(command_id=item.command_id, seq=item.seq))
        return {connection for connection, _ in asked}

    def _end_later(self, user: str, conversation: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._interval, self._end, user, conversation)

    def _end(self, user: str, conversation: str) -> None:
        mark = self._marks[user][conversation]
        if mark.waiting:
            mark.timer = self._end_later(user, conversation)
            self._submit(conversation, mark)
            return
        del self._marks[user][conversation]
        if not self._marks[user]:
            del self._marks[user]

    def _submit(self, conversation: str, mark: Mark) -> None:
        command = commands.MarkRead(
            id=new_id(),
            origin=self._ingress.origin(None),
            actor=mark.reader,
            expires_at=self._ingress.expires_at(),
            conversation_id=conversation,
            seq=mark.seq,
        )
        self._asked[command.id] = mark.waiting
        mark.seq, mark.waiting = 0, []

        def answered(answer: Answer | Refusal) -> None:
            self._answer(command, answer)

        try:
            self._ingress.submit(command, answered)
        except Refusal as refusal:
            answered(refusal)

    def _answer(self, command: commands.MarkRead, answer: Answer | Refusal) -> None:
        conversation = command.conversation_id
        for connection, request_id in self._asked.pop(command.id):
            connection.outbox.send(
                error_frame(answer, request_id, conversation)
                if isinstance(answer, Refusal)
                else frames.ReadReceipt(
                    request_id=request_id,
                    conversation_id=conversation,
                    user_id=command.actor.user_id,
                    seq=answer.seq or 0,
                )
            )

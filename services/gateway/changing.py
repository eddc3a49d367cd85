"""`edit_message`, `delete_message`, `add_reaction`, `remove_reaction`: commands, and who is to be answered here.

The answer is the change itself, which comes to all gateways; with it comes which commands it answers.
"""

from typing import Any

from contracts import fanout, frames
from contracts.commands import AnyCommand, DeleteMessage, EditMessage, React
from contracts.conversation import Profile
from contracts.errors import Refusal
from services.gateway.hub import Connection
from services.gateway.ingress import Answer, Ingress, new_id
from services.gateway.session import MessageChange, error_frame


class Changing:
    """The changes that connections of this gateway have asked for."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._asked: dict[str, tuple[Connection, str | None]] = {}  # by command

    def submit(self, connection: Connection, actor: Profile, frame: MessageChange) -> None:
        """Ask for a change. Raises Refusal: UNAVAILABLE."""
        command = self._command(connection, actor, frame)

        def answered(answer: Answer | Refusal) -> None:
            if isinstance(answer, Refusal):
                del self._asked[command.id]
                connection.outbox.send(error_frame(answer, frame.request_id, frame.conversation_id))

        self._ingress.submit(command, answered)
        self._asked[command.id] = connection, frame.request_id

    def answer(self, item: fanout.MessageUpdated) -> dict[Connection, list[str | None]]:
        """A message has changed: those here who asked for it, with their request ids."""
        asked: dict[Connection, list[str | None]] = {}
        for command_id in item.command_ids:
            self._ingress.answer(command_id, fanout.Reply(command_id=command_id))
            if (one := self._asked.pop(command_id, None)) is not None:
                asked.setdefault(one[0], []).append(one[1])
        return asked

    def _command(self, connection: Connection, actor: Profile, frame: MessageChange) -> AnyCommand:
        common: dict[str, Any] = {
            "id": new_id(),
            "origin": self._ingress.origin(connection.id),
            "actor": actor,
            "expires_at": self._ingress.expires_at(),
            "conversation_id": frame.conversation_id,
            "message_id": frame.message_id,
        }
        match frame:
            case frames.EditMessage():
                return EditMessage(
                    **common, content=frame.content, mentions=frame.mentions, mention_all=frame.mention_all
                )
            case frames.DeleteMessage():
                return DeleteMessage(**common)
            case frames.AddReaction() | frames.RemoveReaction():
                return React(**common, emoji=frame.emoji, present=isinstance(frame, frames.AddReaction))

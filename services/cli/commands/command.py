"""What a command is, and what it works on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from services.cli.conversation import Conversation
from services.cli.gateway import CommandError

Frame = dict[str, Any]


@dataclass
class Chat:
    """What somebody has before them: a conversation, and what they searched for last."""

    conversation: Conversation
    found: list[Frame] = field(default_factory=list)  # newest first

    def say(self, *lines: str) -> None:
        """Tell them; further lines are indented."""
        self.conversation.notice("\n".join(lines))


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        arguments: as a person reads them: capitals stand for something, brackets are around what may be left out.
        run: gets what was typed after the name. Raises CommandError to say why not, Misused for what cannot be meant.
        alone: whether it needs no gateway.
    """

    name: str
    arguments: str
    help: str
    run: Callable[[Chat, str], Awaitable[None]]
    alone: bool = False


class Misused(CommandError):
    """Something is missing, or too much."""


class Quit(Exception):
    """The chat is to end."""


class Elsewhere(Exception):
    """The chat is to go on in another conversation, at a message if one is named."""

    def __init__(self, conversation: Frame, seq: int | None = None) -> None:
        super().__init__(conversation["id"])
        self.conversation = conversation
        self.seq = seq


def needed(text: str) -> str:
    """A text that must not be empty."""
    if not text:
        raise Misused
    return text


def nothing(text: str) -> None:
    """There is to be no argument."""
    if text:
        raise Misused

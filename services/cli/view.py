"""What a conversation has to show, and how it looks on a terminal."""

from collections.abc import Collection
from typing import Any, Protocol

from services.cli.lines import QUOTED, brief, clean, line_of, reactions
from services.cli.terminal import Terminal

Frame = dict[str, Any]


class View(Protocol):
    """Who shows a conversation."""

    def message(self, message: Frame, own: bool, mentioned: bool) -> None:
        """A message, in the order of the conversation; `mentioned`: it means the user."""

    def updated(self, message: Frame, change: str) -> None:
        """A message that was shown is `edited`, `deleted`, or has other `reactions`."""

    def unread(self) -> None:
        """What follows has not been read yet."""

    def ring(self) -> None:
        """Somebody wants the user's attention."""

    def seen(self) -> bool:
        """Whether somebody looks."""

    def notice(self, text: str) -> None:
        """Something that happened."""

    def not_sent(self, why: str) -> None:
        """A message was refused for good."""

    def status(self, connected: bool, on_the_way: int, typing: Collection[str]) -> None:
        """How things are: the connection, how many messages are not stored yet, the names of those who type."""


class TerminalView:
    """Lines on a terminal, and a status."""

    def __init__(self, terminal: Terminal) -> None:
        self.refused = 0
        self._terminal = terminal

    def message(self, message: Frame, own: bool, mentioned: bool) -> None:
        """`12:34 Alice: hello`, in local time; one's own with a check mark, since they are stored."""
        self._terminal.show(line_of(message, " ✓" if own else " (mentions you)" if mentioned else ""))

    def updated(self, message: Frame, change: str) -> None:
        """`-- Alice edited: hello`, `-- hello: 👍 2`."""
        content, sender = message["content"], message["senderName"]
        match change:
            case "edited":
                self.notice(f"{sender} edited: {content}")
            case "deleted":
                self.notice(f"A message of {sender} was deleted")
            case "reactions":
                self.notice(f"{brief(content, QUOTED)}: {reactions(message) or 'no reactions'}")

    def unread(self) -> None:
        """A line across."""
        self._terminal.rule("unread")

    def ring(self) -> None:
        """The terminal's bell."""
        self._terminal.ring()

    def seen(self) -> bool:
        """While the terminal is in use."""
        return self._terminal.in_use()

    def notice(self, text: str) -> None:
        """`-- text`."""
        self._terminal.show(f"-- {clean(text)}")

    def not_sent(self, why: str) -> None:
        """Said, and remembered for the exit status."""
        self.refused += 1
        self.notice(f"Not sent: {why}")

    def status(self, connected: bool, on_the_way: int, typing: Collection[str]) -> None:
        """Below the conversation."""
        parts = [] if connected else ["connecting…"]
        if on_the_way:
            parts.append(f"{on_the_way} on the way…")
        if typing:
            names = [clean(name) for name in list(typing)[:3]]
            parts.append(f"{', '.join(names)}{' and others' if len(typing) > len(names) else ''} typing…")
        self._terminal.set_status("  ".join(parts))

"""Which message is meant. A number counts from the bottom of the screen: 1, which may be left out, is the newest.

`#12` is the message with this number in its conversation, as lists show it, on the screen or not.
"""

from collections.abc import Sequence

from services.cli.commands.command import Chat, Frame, Misused
from services.cli.gateway import CommandError

NEWEST = "1"
NONE_SUCH = "There is no such message on the screen."


def split(text: str) -> tuple[str, str]:
    """The number at the beginning of what was typed, or that of the newest, and the rest."""
    first, _, rest = text.partition(" ")
    digits = first.removeprefix("#")
    return (first, rest.strip()) if digits.isascii() and digits.isdigit() else (NEWEST, text)


def only(text: str) -> str:
    """The number, when there is to be nothing else."""
    number, rest = split(text)
    if rest:
        raise Misused
    return number


async def message(chat: Chat, number: str, *, own: bool = False) -> Frame:
    """The message with this number; `own`: counted among those that the user can still change.

    Raises:
        CommandError: there is none.
    """
    if number.startswith("#"):
        return await _numbered(chat, int(number[1:]))
    shown = list(chat.conversation.timeline.shown.values())
    if own:
        me = chat.conversation.user_id
        shown = [message for message in shown if message["senderId"] == me and not message.get("isDeleted")]
    return _from_below(shown, int(number))


def _from_below(messages: Sequence[Frame], number: int) -> Frame:
    if not 1 <= number <= len(messages):
        raise CommandError(NONE_SUCH)
    return messages[-number]


async def _numbered(chat: Chat, seq: int) -> Frame:
    known = chat.conversation.timeline.shown.get(seq)
    if known is not None:
        return known
    page = await chat.conversation.call("GET", "messages", params={"afterSeq": max(seq - 1, 0), "limit": 1})
    for found in page["items"]:
        if found["seq"] == seq:
            return dict(found)
    raise CommandError(f"There is no message #{seq} here.")

"""What one may do to messages in the terminal chat: `/edit`, `/delete`, `/react`, `/reply`. No I/O.

A number counts from the bottom: 1, which may be left out, is the newest message; one's own, where only that can be meant.
"""

from collections.abc import Sequence
from typing import Any

from services.cli.gateway import CommandError

Frame = dict[str, Any]
HELP = "/edit [n] TEXT, /delete [n], /react EMOJI [n], /reply [n] TEXT, /quit"
ACTIONS = ("/edit", "/delete", "/react", "/reply")


def is_action(line: str) -> bool:
    """Whether a line is not to be sent as it is."""
    return line.strip().split(" ", 1)[0] in ACTIONS


def frame_of(line: str, shown: Sequence[Frame], user_id: str) -> Frame:
    """The frame that a line asks for, without its conversation; `shown` are the messages on screen, oldest first.

    Raises:
        CommandError: what is missing.
    """
    action, _, rest = line.strip().partition(" ")
    match action:
        case "/edit":
            number, text = _number_first(rest)
            return {"type": "edit_message", "messageId": _own(shown, user_id, number), "content": _needed(text)}
        case "/delete":
            return {"type": "delete_message", "messageId": _own(shown, user_id, _number_first(rest)[0])}
        case "/react":
            emoji, _, last = rest.strip().partition(" ")
            target = _nth(shown, _number_first(last)[0])
            has = user_id in target.get("reactions", {}).get(emoji, ())
            kind = "remove_reaction" if has else "add_reaction"
            return {"type": kind, "messageId": target["id"], "emoji": _needed(emoji)}
        case "/reply":
            number, text = _number_first(rest)
            return {"type": "send_message", "replyTo": _nth(shown, number)["id"], "content": _needed(text)}
    raise CommandError(HELP)


def _number_first(text: str) -> tuple[int, str]:
    first, _, rest = text.strip().partition(" ")
    return (int(first), rest.strip()) if first.isascii() and first.isdigit() else (1, text.strip())


def _needed(text: str) -> str:
    if not text:
        raise CommandError(HELP)
    return text


def _nth(messages: Sequence[Frame], number: int) -> Frame:
    if not 1 <= number <= len(messages):
        raise CommandError("There is no such message on the screen.")
    return messages[-number]


def _own(shown: Sequence[Frame], user_id: str, number: int) -> str:
    mine = [message for message in shown if message["senderId"] == user_id and not message.get("isDeleted")]
    return str(_nth(mine, number)["id"])

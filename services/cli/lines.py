"""Messages and moments as lines of a terminal. What others wrote is cleaned here, and nothing is printed."""

import unicodedata
from datetime import datetime
from typing import Any

Frame = dict[str, Any]
QUOTED = 40  # characters of what a message replies to
BRIEF = 100  # characters of a message in a list


def clean(text: str) -> str:
    """Text of others without what would steer our terminal; further lines are indented."""
    visible = "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\ufffd" for c in text)
    return visible.replace("\n", "\n    ")


def brief(text: str, length: int = BRIEF) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def when(instant: str) -> str:
    """`12:34` of today, else `24 Nov 12:34`, in local time."""
    at, today = datetime.fromisoformat(instant).astimezone(), datetime.now().astimezone()
    clock = f"{at:%H:%M}"
    if at.date() == today.date():
        return clock
    return f"{at.day} {at:%b}{f' {at.year}' if at.year != today.year else ''} {clock}"


def line_of(message: Frame, mark: str = "") -> str:
    """`12:34 Alice: (to Bob: what he said) hello [file.txt https://…]`, and a mark."""
    at = datetime.fromisoformat(message["createdAt"]).astimezone().strftime("%H:%M")
    files = "".join(f" [{clean(file['name'])} {clean(file['url'])}]" for file in message.get("attachments", ()))
    content = "(deleted)" if message.get("isDeleted") else clean(message["content"])
    return f"{at} {clean(message['senderName'])}: {_quote(message)}{content}{files}{mark}"


def numbered(message: Frame) -> str:
    """`#12 24 Nov 12:34 Alice: the beginning of it`: by its number it can be named in any command."""
    content = "(deleted)" if message.get("isDeleted") else brief(message["content"]) or "(a file)"
    return f"#{message['seq']} {when(message['createdAt'])} {brief(message['senderName'])}: {_quote(message)}{content}"


def reactions(message: Frame) -> str:
    """`👍 2  🎉 1`."""
    return "  ".join(f"{clean(emoji)} {len(users)}" for emoji, users in message.get("reactions", {}).items())


def _quote(message: Frame) -> str:
    """`(to Alice: the beginning of what she said…) ` before a reply."""
    if (reply := message.get("reply")) is None:
        return ""
    said = "(deleted)" if reply.get("isDeleted") else clean(brief(reply["preview"], QUOTED))
    return f"(to {clean(reply['senderName'])}: {said}) "

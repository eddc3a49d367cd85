"""Whom a text mentions: `@name`, the whole of it or its first word, and `@all`. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from contracts import limits
from services.cli.people import called

EVERYBODY = "all"
AT = re.compile(r"(?<!\w)@(?=\w)")
WORD = re.compile(r"[\w.-]*\w")


@dataclass(frozen=True)
class Mentions:
    """Whom a text mentions. `unclear` are the words that could mean several people, `unknown` those that mean nobody."""

    user_ids: tuple[str, ...] = ()
    everybody: bool = False
    unclear: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def mentions_in(text: str, names: Mapping[str, str]) -> Mentions:
    """`names` are those who can be meant: user id → name. People of one whole name are all meant by it."""
    user_ids: dict[str, None] = {}
    unclear: dict[str, None] = {}
    unknown: dict[str, None] = {}
    everybody = False
    for at in AT.finditer(text):
        rest = text[at.end() :]
        if whole := _longest(rest, names):
            user_ids |= dict.fromkeys(whole)
            continue
        found = WORD.match(rest)
        word = found.group() if found else ""
        meant = called(word, names)
        if word.casefold() == EVERYBODY and not meant:
            everybody = True
        elif len(meant) == 1:
            user_ids[meant[0]] = None
        else:
            (unclear if meant else unknown)[word] = None
    return Mentions(tuple(user_ids)[: limits.MENTIONS], everybody, tuple(unclear), tuple(unknown))


def _longest(text: str, names: Mapping[str, str]) -> list[str]:
    """The people whose whole name the text begins with: `Al Green` rather than `Al`."""
    begun = {
        user_id: len(name)
        for user_id, name in names.items()
        if text[: len(name)].casefold() == name.casefold() and not re.match(r"\w", text[len(name) :])
    }
    return [user_id for user_id, length in begun.items() if length == max(begun.values())]

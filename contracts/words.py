"""What of a message can be found: its words, folded, so that case and accents do not matter.

Messages are indexed for searching by the block: one entry for `BLOCK` messages that follow each other has all their words
(docs/decisions/0010-search.md). Whoever indexes and whoever searches must fold alike.
"""

import re
import unicodedata
from collections.abc import Iterator

BLOCK = 128  # messages of one entry
# A letter may be followed by marks of its own, where a text is not composed.
WORD = re.compile(r"[^\W_][\w\u0300-\u036f]*")
MARKS = re.compile(r"[\u0300-\u036f]+")


def fold(text: str) -> str:
    """In lower case and without accents: `Straße` and `STRASSE`, `été` and `Ete` are the same."""
    if text.isascii():
        return text.lower()
    return MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def words_in(text: str) -> set[str]:
    """All of its words, folded."""
    return set(WORD.findall(fold(text)))


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word, folded, with its beginning and end in the text as it is written."""
    for found in WORD.finditer(text):
        yield fold(found.group()), found.start(), found.end()


def block_of(seq: int) -> int:
    """The block of a message: 0 for the seqs from 1 to `BLOCK`."""
    return (seq - 1) // BLOCK

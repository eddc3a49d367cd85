"""What is one word for searching, and what is the same word."""

import pytest

from contracts.words import BLOCK, block_of, fold, words_in, words_of


@pytest.mark.parametrize(
    "same",
    [
        ("Straße", "STRASSE", "strasse"),
        ("Été", "ete", "E\u0301te\u0301", "ÉTÉ"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
        ("ЙОД", "йод"),
        ("\uff21", "a"),
    ],
)
def test_case_and_accents_do_not_matter(same: tuple[str, ...]) -> None:
    assert len({fold(text) for text in same}) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["hello", "world"]),
        ("l'été — snake_case 42%", ["l", "ete", "snake_case", "42"]),
        ("e\u0301te\u0301", ["ete"]),
        ('"-(){}[]^$.*\\ \0 🙂', []),
        ("__init__", ["init__"]),
    ],
)
def test_words_are_what_is_between_signs(text: str, words: list[str]) -> None:
    assert [word for word, _, _ in words_of(text)] == words
    assert words_in(text) == set(words)


def test_positions_are_those_in_the_text() -> None:
    text = "«Été» E\u0301te\u0301"
    assert [text[start:end] for _, start, end in words_of(text)] == ["Été", "E\u0301te\u0301"]


def test_blocks_follow_each_other() -> None:
    assert [block_of(seq) for seq in (1, BLOCK, BLOCK + 1, 2 * BLOCK)] == [0, 0, 1, 1]

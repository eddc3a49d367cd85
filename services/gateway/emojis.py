"""Reactions are emoji, each written in one way."""

import emoji

from contracts.errors import ErrorCode, Refusal


def emoji_of(text: str) -> str:
    """One emoji as Unicode recommends to write it (with the selector that asks for colours), so that nobody sees two.

    Raises:
        Refusal: INVALID_FRAME, when it is anything else than one emoji.
    """
    if not emoji.is_emoji(text):
        raise Refusal(ErrorCode.INVALID_FRAME, "emoji: exactly one emoji")
    return emoji.emojize(emoji.demojize(text))

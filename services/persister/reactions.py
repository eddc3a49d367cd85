"""Who has put which emoji on a message: `{emoji: [userId]}`, in the order of reacting. No I/O."""

from collections.abc import Mapping

from contracts.errors import ErrorCode, Refusal
from contracts.limits import REACTION_KINDS

Reactions = Mapping[str, list[str]]


def has(reactions: Reactions, emoji: str, user: str) -> bool:
    """Whether this person's emoji is there."""
    return user in reactions.get(emoji, ())


def put(reactions: Reactions, emoji: str, user: str) -> Reactions:
    """With this person's emoji.

    Raises:
        Refusal: FORBIDDEN, when the message would have more than `REACTION_KINDS` different ones.
    """
    if has(reactions, emoji, user):
        return reactions
    if emoji not in reactions and len(reactions) >= REACTION_KINDS:
        raise Refusal(ErrorCode.FORBIDDEN, f"A message has at most {REACTION_KINDS} different reactions.")
    return {**reactions, emoji: [*reactions.get(emoji, ()), user]}


def take_back(reactions: Reactions, emoji: str, user: str) -> Reactions:
    """Without it; an emoji of nobody is not kept."""
    if not has(reactions, emoji, user):
        return reactions
    left = [other for other in reactions[emoji] if other != user]
    return {kind: left if kind == emoji else users for kind, users in reactions.items() if kind != emoji or left}

"""Commands that come again after a crash, and late by then."""

from typing import Any

from contracts.commands import NotifierCommand
from contracts.errors import ErrorCode, Refusal
from contracts.shape import now


async def is_done(collection: Any, place: dict[str, Any], command: NotifierCommand) -> bool:
    """Whether what is stored there is what this command stored. Raises Refusal TIMEOUT when it is not, and too late."""
    if await collection.find_one({**place, "commandId": command.id}, {"_id": 1}) is not None:
        return True
    check(command)
    return False


def check(command: NotifierCommand) -> None:
    """Raises Refusal TIMEOUT when it is too late to carry this out."""
    if command.expires_at <= now():
        raise Refusal(ErrorCode.TIMEOUT)

"""Mentions: whom a message calls by name, as far as they are in its conversation, and who may call everybody."""

from collections.abc import Sequence
from typing import Any

from contracts.commands import EditMessage, SendMessage
from contracts.errors import Refusal
from services.mongo import Database
from services.persister.rooms import Rooms
from services.persister.standing import NOWHERE, standings

Mentioning = SendMessage | EditMessage


async def load(database: Database, rooms: Rooms, commands: Sequence[Mentioning]) -> dict[str, Refusal]:
    """Know who of those mentioned is a member; why some may not mention everybody, by the command's id.

    Whether the senders are members must be known already.
    """
    people = {(command.conversation_id, user) for command in commands for user in command.mentions or ()}
    if people:
        await rooms.load_mentioned(database, people)
    to_all = [command for command in commands if command.mention_all and rooms.is_member(*_sender(command))]
    return await _refusals(database, to_all) if to_all else {}


def fields_of(command: Mentioning, rooms: Rooms) -> dict[str, Any]:
    """What is stored with a message of its mentions: nothing, for most."""
    fields: dict[str, Any] = {}
    named = [user for user in dict.fromkeys(command.mentions or ()) if rooms.is_member(command.conversation_id, user)]
    if named:
        fields["mentions"] = named
    if command.mention_all:
        fields["mentionAll"] = True
    return fields


async def _refusals(database: Database, commands: Sequence[Mentioning]) -> dict[str, Refusal]:
    """Their senders' roles are read each time: it is rare, and they change."""
    known = await standings(database, map(_sender, commands))
    refusals: dict[str, Refusal] = {}
    for command in commands:
        try:
            known.get(_sender(command), NOWHERE).check("mention_all")
        except Refusal as refusal:
            refusals[command.id] = refusal
    return refusals


def _sender(command: Mentioning) -> tuple[str, str]:
    return command.conversation_id, command.actor.user_id

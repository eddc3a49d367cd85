"""`presence.store`: how people want to be seen, and when they were seen last. Who is here is not stored."""

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne

from contracts import collections, fanout
from contracts.commands import StorePresence
from contracts.errors import ErrorCode, Refusal
from contracts.shape import now
from services.mongo import Database
from services.persister.outcome import Outcome, done, refused


async def store_all(database: Database, commands: Sequence[StorePresence]) -> dict[str, Outcome]:
    """Keep it, in order; each command's outcome by its id. Doing it again changes nothing, and is told again."""
    moment = now()
    late = {command.id for command in commands if command.chosen is not None and command.expires_at <= moment}
    writes = [_write(command) for command in commands if command.id not in late and (command.chosen or command.seen_at)]
    if writes:
        await database[collections.PRESENCE.name].bulk_write(writes, ordered=True)
    return {
        command.id: refused(command, Refusal(ErrorCode.TIMEOUT)) if command.id in late else _told(command)
        for command in commands
    }


def _write(command: StorePresence) -> UpdateOne:
    update: dict[str, Any] = {}
    if command.chosen is not None:
        update["$set"] = {"chosen": command.chosen}
    if command.seen_at is not None:
        update["$max"] = {"lastSeenAt": command.seen_at}
    return UpdateOne({"_id": command.actor.user_id}, update, upsert=True)


def _told(command: StorePresence) -> Outcome:
    outcome = done(command)
    if command.chosen is not None:
        item = fanout.PresenceChosen(user_id=command.actor.user_id, chosen=command.chosen, seen_at=command.seen_at)
        outcome.items.append((item, fanout.NULL))
    return outcome

"""Where people want the mail digest."""

from contracts import collections
from contracts.email import EndEmails, StoreEmail
from contracts.shape import now
from services.mongo import Database
from services.notifier.timely import is_done


async def store(database: Database, command: StoreEmail) -> None:
    """Keep what somebody wants. Raises Refusal TIMEOUT."""
    emails = database[collections.EMAILS.name]
    place = {"_id": command.actor.user_id}
    if await is_done(emails, place, command):
        return
    wanted = command.settings
    fields = {"digest": wanted.digest, "language": wanted.language, "commandId": command.id}
    if wanted.address is not None:
        fields["address"] = wanted.address
    await emails.update_one(place, {"$set": fields, "$unset": {"endedAt": "", "refusedAt": ""}}, upsert=True)


async def end(database: Database, command: EndEmails) -> None:
    """No more mails. Raises Refusal TIMEOUT."""
    emails = database[collections.EMAILS.name]
    place = {"_id": command.actor.user_id}
    if not await is_done(emails, place, command):
        await emails.update_one(place, {"$set": {"digest": False, "endedAt": now(), "commandId": command.id}})

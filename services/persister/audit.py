"""The audit trail: who changed what in a conversation. Written before a change is told, once for each."""

from typing import Any

from contracts import collections
from contracts.commands import Command
from contracts.conversation import AuditEntry, Role
from contracts.events import ConversationChange
from services.mongo import Database


async def record(database: Database, entry: AuditEntry) -> None:
    """Keep an entry; the same one again changes nothing."""
    document = {name: value for name, value in entry.model_dump().items() if name != "id"}
    if entry.roles is not None:
        # In pairs: no field may have a name with a NUL, but an id may.
        document["roles"] = [list(pair) for pair in entry.roles.items()]
    await database[collections.AUDIT.name].replace_one({"_id": entry.id}, document, upsert=True)


def entry_of(command: Command, told: ConversationChange, change: dict[str, Any]) -> AuditEntry:
    """What was told of a noted change, without what is of no interest later."""
    roles: dict[str, Role] = dict.fromkeys(change.get("promoted", ()), "admin")
    roles |= dict.fromkeys(change.get("demoted", ()), "member")
    return AuditEntry(
        id=f"{told.conversation_id}:{command.id}",
        conversation_id=told.conversation_id,
        at=change["at"],
        actor_id=told.actor_id,
        action=told.update_type,
        name=told.name,
        public=told.public,
        user_ids=told.user_ids,
        roles=roles or None,
        message_id=told.message_id,
    )

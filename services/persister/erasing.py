"""What was said in a deleted conversation is erased behind it, a part at a time.

Each part is a command that the persister sends to itself when the part before is gone. The conversation says `erasing`
until all of it is: whatever becomes of the data of the broker, a persister that starts takes it up again.
"""

from typing import Any

from tenacity import retry_if_exception, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from contracts import collections
from contracts.commands import DeleteConversation, Origin, PurgeConversation
from contracts.conversation import Profile
from contracts.shape import now
from services.amqp import Broker
from services.mongo import Database
from services.persister.away import is_away, say_away
from services.persister.outcome import Outcome, to_itself


async def erase(database: Database, command: PurgeConversation, size: int) -> Outcome:
    """Erase the oldest `size` messages of a deleted conversation, and come back while there are more."""
    here = {"conversationId": command.conversation_id}
    conversations = database[collections.CONVERSATIONS.name]
    conversation = await conversations.find_one({"_id": command.conversation_id})
    if conversation is None or "deletedAt" not in conversation:
        return Outcome()
    messages = database[collections.MESSAGES.name]
    ids = [document["_id"] async for document in messages.find(here, {"_id": 1}).sort("seq", 1).limit(size)]
    if ids:
        await messages.delete_many({"_id": {"$in": ids}, **here})
        return Outcome(follow_ups=[command])
    await database[collections.SEARCH.name].delete_many(here)
    await database[collections.EDITS.name].delete_many(here)
    await conversations.update_one({"_id": command.conversation_id}, {"$unset": {"erasing": ""}})
    return Outcome()


def begun_by(command: DeleteConversation) -> PurgeConversation:
    """The first part."""
    return PurgeConversation(
        id=command.id,
        origin=command.origin,
        actor=command.actor,
        expires_at=command.expires_at,
        conversation_id=command.conversation_id,
    )


async def take_up(database: Database, broker: Broker, persister_id: str) -> None:
    """Go on with each conversation that is not erased yet. One that is under way as well does no harm."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(is_away),
        wait=wait_random_exponential(0.2, max=3),
        before_sleep=lambda state: say_away(state.outcome.exception() if state.outcome else None),
    ):
        with attempt:
            found = database[collections.CONVERSATIONS.name].find({"erasing": True}, {"change": 1})
            parts = [_next_part(conversation, persister_id) async for conversation in found]
            if parts:
                await broker.publisher.up.wait()
                await broker.publish_all([to_itself(part, broker.topology) for part in parts])


def _next_part(conversation: dict[str, Any], persister_id: str) -> PurgeConversation:
    change = conversation["change"]
    return PurgeConversation(
        id=change["id"],
        origin=Origin(gateway_id=persister_id),  # nobody waits for an answer
        actor=Profile(user_id=change["by"], user_name=change["by"], avatar=None),
        expires_at=now(),
        conversation_id=conversation["_id"],
    )

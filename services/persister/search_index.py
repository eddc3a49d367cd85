"""`search.index`: which words the messages of a block have, behind the messages themselves.

Asked for by the last message of each block, and again when one of its messages was edited. Whoever searches looks into the
messages anyway, and into all of a block without an entry: the index makes searching fast, and nothing depends on it.
"""

from contracts import collections
from contracts.commands import Command, IndexMessages
from contracts.words import BLOCK, block_of, words_in
from services.mongo import Database
from services.persister.outcome import Outcome


def follow_ups(command: Command, conversation_id: str, seq: int, *, edited: bool = False) -> list[IndexMessages]:
    """What a message that was stored (or edited) brings about."""
    if seq % BLOCK and not edited:
        return []
    fields = {name: getattr(command, name) for name in Command.model_fields}
    return [IndexMessages(**fields, conversation_id=conversation_id, block=block_of(seq))]


async def index(database: Database, command: IndexMessages) -> Outcome:
    """Write a block's entry as its messages are now; of a block that is not full or is gone there is none."""
    conversation_id, first = command.conversation_id, command.block * BLOCK + 1
    query = {"conversationId": conversation_id, "seq": {"$gte": first, "$lt": first + BLOCK}}
    fields = {"content": 1, "createdAt": 1}
    # In one answer: by itself MongoDB gives a hundred at first.
    cursor = database[collections.MESSAGES.name].find(query, fields, batch_size=BLOCK + 1).sort("seq", 1)
    messages = [document async for document in cursor]
    if len(messages) == BLOCK:
        words = words_in("\n".join(message["content"] for message in messages))
        entry = {
            "conversationId": conversation_id,
            "block": command.block,
            "firstAt": messages[0]["createdAt"],
            "lastAt": messages[-1]["createdAt"],
            "words": " ".join(["", *sorted(words)]),  # so that each begins behind a space
        }
        await database[collections.SEARCH.name].replace_one(
            {"conversationId": conversation_id, "block": command.block}, entry, upsert=True
        )
    return Outcome()

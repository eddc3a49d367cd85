"""`profile.store`: people, as their last token described them, found by the beginnings of their names."""

import re
from collections.abc import Sequence

from pymongo import UpdateOne

from contracts import collections
from contracts.commands import StoreProfile
from services.mongo import Database
from services.persister.outcome import Outcome, done


async def store_all(database: Database, commands: Sequence[StoreProfile]) -> dict[str, Outcome]:
    """Keep the profiles, with the lower-case words that each can be found by; each command's outcome by its id."""
    if not commands:
        return {}
    newest = {command.actor.user_id: command.actor for command in commands}
    writes = [
        UpdateOne(
            {"_id": actor.user_id},
            {
                "$set": {
                    "userName": actor.user_name,
                    "avatar": actor.avatar,
                    "words": words(actor.user_name, actor.user_id),
                }
            },
            upsert=True,
        )
        for actor in newest.values()
    ]
    await database[collections.USERS.name].bulk_write(writes, ordered=False)
    return {command.id: done(command) for command in commands}


def words(*names: str) -> list[str]:
    """Each name in lower case, whole and by its words, so that a prefix of any of them finds it."""
    lower = [name.casefold() for name in names]
    return sorted({*lower, *(word for name in lower for word in re.split(r"\W+", name) if word)})

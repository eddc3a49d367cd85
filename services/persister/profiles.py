"""`profile.store`: people, as their last token described them, found by the beginnings of their names."""

import re

from contracts import collections
from contracts.commands import StoreProfile
from services.mongo import Database
from services.persister.outcome import Outcome, done


async def store(database: Database, command: StoreProfile) -> Outcome:
    """Keep the profile, with the lower-case words that it can be found by."""
    actor = command.actor
    await database[collections.USERS.name].update_one(
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
    return done(command)


def words(*names: str) -> list[str]:
    """Each name in lower case, whole and by its words, so that a prefix of any of them finds it."""
    lower = [name.casefold() for name in names]
    return sorted({*lower, *(word for name in lower for word in re.split(r"\W+", name) if word)})

"""The ways to reach somebody who is not looking: for each channel, whom of these people it has a way to.

Most people have none, and cost nothing then.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

from contracts import collections
from services.mongo import Database
from services.notifier.settings import Settings

Reach = Callable[[Database, Collection[str]], Awaitable[set[str]]]


def channels(settings: Settings) -> Mapping[str, Reach]:
    """Those that are configured, by their queue's name."""
    found: dict[str, Reach] = {}
    if settings.vapid_private_key is not None:
        found["push"] = by_push
    if settings.smtp_host is not None:
        found["email"] = by_email
    return found


async def by_push(database: Database, users: Collection[str]) -> set[str]:
    """Who has registered a device."""
    devices = database[collections.PUSH_SUBSCRIPTIONS.name].find({"userId": {"$in": list(users)}}, {"userId": 1})
    return {device["userId"] async for device in devices}


async def by_email(database: Database, users: Collection[str]) -> set[str]:
    """Who wants mails."""
    wanted = {"_id": {"$in": list(users)}, "digest": True}
    return {person["_id"] async for person in database[collections.EMAILS.name].find(wanted, {"_id": 1})}

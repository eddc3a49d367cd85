"""The members of one conversation, as far as they are known, and who is meant by a name."""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts import limits
from services.cli.gateway import Rest

Frame = dict[str, Any]
READ = 1000  # members that are read of a large conversation; of the others those are known who said something
UNKNOWN = "Somebody"


def called(wanted: str, names: Mapping[str, str]) -> list[str]:
    """The ids of those who are meant: by their id, else by their whole name, else by its first word."""
    if wanted in names:
        return [wanted]
    folded = wanted.casefold()
    whole = [user_id for user_id, name in names.items() if name.casefold() == folded]
    return whole or [user_id for user_id, name in names.items() if name.casefold().split()[:1] == [folded]]


class People:
    """Begins with the members that REST showed with the conversation, follows its changes, reads all when asked to."""

    def __init__(self, conversation: Frame) -> None:
        self._path = Rest.path("conversations", conversation["id"], "members")
        self._names: dict[str, str] = {}  # of everybody who was ever seen here
        self._gone: set[str] = set()
        self._meet(conversation["members"])

    def name(self, user_id: str | None) -> str:
        """What somebody is called, also when they left."""
        return self._names.get(user_id or "", UNKNOWN)

    def names(self) -> dict[str, str]:
        """User id → name of all who are known to be here."""
        return {user_id: name for user_id, name in self._names.items() if user_id not in self._gone}

    def spoke(self, message: Frame) -> None:
        """Whoever says something has a name."""
        self._names[message["senderId"]] = message["senderName"]

    def told(self, update: Frame) -> None:
        """Follow a `conversation_updated`."""
        self._meet(update.get("members", ()))
        if update["updateType"] == "member_removed":
            self._gone |= set(update.get("userIds", ()))

    async def read(self, rest: Rest) -> list[Frame]:
        """The members as they are now, or the first of very many. Raises CommandError."""
        members = await rest.items(self._path, READ, limit=limits.LIST_PAGE)
        self._meet(members)
        return members

    def _meet(self, members: Iterable[Frame]) -> None:
        for member in members:
            self._names[member["userId"]] = member["userName"]
            self._gone.discard(member["userId"])

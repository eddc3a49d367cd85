"""What somebody is in a conversation, as `contracts/rights.py` asks for it."""

from collections.abc import Iterable
from typing import NamedTuple

from contracts import collections, rights
from contracts.conversation import ConversationType, Role
from contracts.rights import Action
from services.mongo import Database


class Standing(NamedTuple):
    """Somebody's place in a conversation; `role` is None for whoever is no member."""

    kind: ConversationType = "group"
    role: Role | None = None
    closed: bool = False

    def check(self, action: Action) -> None:
        """Returns when they may. Raises Refusal (NOT_A_MEMBER, FORBIDDEN)."""
        rights.check(action, self.kind, self.role, closed=self.closed)

    def may(self, action: Action) -> bool:
        """Whether they may."""
        return rights.allows(action, self.kind, self.role, closed=self.closed)


NOWHERE = Standing()


async def standings(database: Database, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Standing]:
    """The standing of each of these people, by conversation and user; of strangers there is none."""
    pairs = set(pairs)
    query = {"$or": [{"conversationId": conversation, "userId": user} for conversation, user in pairs]}
    memberships = database[collections.MEMBERSHIPS.name].find(query, {"conversationId": 1, "userId": 1, "role": 1})
    roles = {(document["conversationId"], document["userId"]): document["role"] async for document in memberships}
    conversations = database[collections.CONVERSATIONS.name].find(
        {"_id": {"$in": list({conversation for conversation, _ in pairs})}}, {"type": 1, "closedAt": 1}
    )
    states = {document["_id"]: document async for document in conversations}
    return {
        (conversation, user): Standing(state["type"], role, state.get("closedAt") is not None)
        for (conversation, user), role in roles.items()
        if (state := states.get(conversation)) is not None
    }

"""Conversations and their members: what the persister knows of them, and the commands that change them."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from contracts import collections, limits
from contracts.commands import (
    AddMembers,
    Command,
    CreateConversation,
    DeleteConversation,
    PurgeConversation,
    RemoveMember,
    RenameConversation,
)
from contracts.conversation import Member
from contracts.errors import ErrorCode, Refusal
from contracts.events import ConversationChange
from contracts.shape import now
from services.mongo import Database, heads_of
from services.persister.outcome import Outcome, changed, done

REMEMBERED = 100_000  # conversations


class Rooms:
    """Heads and memberships of the conversations that are being written to.

    They stay right because all commands of a conversation pass through one process at a time; whoever takes a partition
    over starts with nothing (`clear`).
    """

    def __init__(self) -> None:
        self._heads: OrderedDict[str, int] = OrderedDict()
        self._members: OrderedDict[str, dict[str, bool]] = OrderedDict()  # conversation -> user -> is in it

    async def load(self, database: Database, pairs: Iterable[tuple[str, str]]) -> None:
        """Know the heads of these conversations, and whether these people are in them."""
        pairs = set(pairs)
        conversations = {conversation for conversation, _ in pairs}
        unknown = [c for c in conversations if c not in self._heads]
        if unknown:
            self._heads.update(await heads_of(database, unknown))
        missing = [(c, u) for c, u in pairs if u not in self._members.get(c, ())]
        if missing:
            query = {"$or": [{"conversationId": c, "userId": u} for c, u in missing]}
            cursor = database[collections.MEMBERSHIPS.name].find(query, {"conversationId": 1, "userId": 1})
            found = {(document["conversationId"], document["userId"]) async for document in cursor}
            for conversation, user in missing:
                self._members.setdefault(conversation, {})[user] = (conversation, user) in found
        while len(self._heads) > max(REMEMBERED, 2 * len(conversations)):
            self._heads.popitem(last=False)
        while len(self._members) > max(REMEMBERED, 2 * len(conversations)):
            self._members.popitem(last=False)

    def head(self, conversation_id: str) -> int:
        """The newest seq; 0 before the first message."""
        return self._heads.get(conversation_id, 0)

    def is_member(self, conversation_id: str, user_id: str) -> bool:
        """Whether this pair was loaded and is a member."""
        return self._members.get(conversation_id, {}).get(user_id, False)

    def advance(self, heads: dict[str, int]) -> None:
        """New heads, after they were stored."""
        self._heads.update(heads)

    def forget(self, conversations: Iterable[str]) -> None:
        """Know nothing of these any more."""
        for conversation in conversations:
            self._heads.pop(conversation, None)
            self._members.pop(conversation, None)

    def clear(self) -> None:
        """Know nothing: the partitions may have been with somebody else meanwhile."""
        self._heads.clear()
        self._members.clear()


async def create(database: Database, command: CreateConversation) -> Outcome:
    """Create it, or bring the two of a direct conversation back into it. Redelivered, it does the same again."""
    conversation_id = command.conversation_id
    moment = now()
    await database[collections.CONVERSATIONS.name].update_one(
        {"_id": conversation_id},
        {
            "$setOnInsert": {
                "type": command.conversation_type,
                "name": command.name,
                "createdAt": moment,
                "createdBy": command.actor.user_id,
                "lastSeq": 0,
                "lastActivityAt": moment,
            }
        },
        upsert=True,
    )
    people = list(dict.fromkeys([command.actor.user_id, *command.member_ids]))
    added = await _add(database, conversation_id, people, moment, admin=command.actor.user_id)
    outcome_people = people if command.conversation_type != "direct" else added
    if not outcome_people:
        return done(command)
    return await _tell(database, command, "created", user_ids=people, members=people)


async def rename(database: Database, command: RenameConversation) -> Outcome:
    """Change the name."""
    conversation = await _administered(database, command, command.conversation_id)
    if conversation["type"] == "direct":
        raise Refusal(ErrorCode.FORBIDDEN, "A direct conversation has no name.")
    await database[collections.CONVERSATIONS.name].update_one(
        {"_id": command.conversation_id}, {"$set": {"name": command.name}}
    )
    return await _tell(database, command, "name_changed")


async def add_members(database: Database, command: AddMembers) -> Outcome:
    """Bring people in; those who are in already are not told twice."""
    conversation = await _administered(database, command, command.conversation_id)
    if conversation["type"] == "direct":
        raise Refusal(ErrorCode.FORBIDDEN, "A direct conversation has exactly two members.")
    people = list(dict.fromkeys(command.member_ids))
    # A redelivery finds those whom the first delivery added, and tells of them again.
    added = await _add(database, command.conversation_id, people, now(), by=command.id)
    if not added:
        return done(command)
    return await _tell(database, command, "member_added", user_ids=added, members=added)


async def remove_member(database: Database, command: RemoveMember) -> Outcome:
    """Take somebody out. The last admin who leaves hands the role to the longest-standing member."""
    memberships = database[collections.MEMBERSHIPS.name]
    mine = await _membership(database, command.conversation_id, command.actor.user_id)
    leaving = command.member_id == command.actor.user_id
    if mine is None and not leaving:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": command.conversation_id})
    if conversation is None or "deletedAt" in conversation:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    if not leaving and (mine is None or mine["role"] != "admin" or conversation["type"] == "direct"):
        raise Refusal(ErrorCode.FORBIDDEN)
    gone = await memberships.delete_one({"conversationId": command.conversation_id, "userId": command.member_id})
    if not gone.deleted_count and conversation.get("lastRemoval") != command.id:
        raise Refusal(ErrorCode.NOT_A_MEMBER if leaving else ErrorCode.NOT_FOUND)
    # Remembered, so that a redelivery after a crash still tells everybody.
    await database[collections.CONVERSATIONS.name].update_one(
        {"_id": command.conversation_id}, {"$set": {"lastRemoval": command.id}}
    )
    promoted = await _inherit(database, command.conversation_id)
    return await _tell(
        database,
        command,
        "member_removed",
        user_ids=[command.member_id],
        members=promoted,
        removed=[command.member_id],
    )


async def delete(database: Database, command: DeleteConversation) -> Outcome:
    """End it for everybody; its messages are erased by the commands that follow."""
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": command.conversation_id})
    if conversation is None or conversation.get("deletedBy", command.id) != command.id:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    if "deletedAt" not in conversation:
        await _administered(database, command, command.conversation_id)
        if conversation["type"] == "direct":
            raise Refusal(ErrorCode.FORBIDDEN, "A direct conversation can be left, not deleted.")
    people = await _audience(database, command.conversation_id)
    await database[collections.CONVERSATIONS.name].update_one(
        {"_id": command.conversation_id},
        {"$set": {"deletedAt": now(), "deletedBy": command.id}, "$unset": {"name": ""}},
    )
    outcome = await _tell(database, command, "deleted", audience=people, removed=people)
    await database[collections.MEMBERSHIPS.name].delete_many({"conversationId": command.conversation_id})
    outcome.follow_ups.append(_purge(command))
    return outcome


async def purge(database: Database, command: PurgeConversation, size: int) -> Outcome:
    """Erase the oldest `size` messages of a deleted conversation, and come back while there are more."""
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": command.conversation_id})
    if conversation is None or "deletedAt" not in conversation:
        return Outcome()
    messages = database[collections.MESSAGES.name]
    cursor = messages.find({"conversationId": command.conversation_id}, {"_id": 1}).sort("seq", 1).limit(size)
    ids = [document["_id"] async for document in cursor]
    if not ids:
        return Outcome()
    await messages.delete_many({"_id": {"$in": ids}, "conversationId": command.conversation_id})
    return Outcome(follow_ups=[_purge(command)])


def _purge(command: DeleteConversation | PurgeConversation) -> PurgeConversation:
    return PurgeConversation(
        id=command.id,
        origin=command.origin,
        actor=command.actor,
        expires_at=command.expires_at,
        conversation_id=command.conversation_id,
    )


async def _add(
    database: Database,
    conversation_id: str,
    people: Sequence[str],
    moment: Any,
    *,
    admin: str | None = None,
    by: str | None = None,
) -> list[str]:
    """Create the memberships that do not exist; returns whose are new (or were added by this same command)."""
    memberships = database[collections.MEMBERSHIPS.name]
    head = (await heads_of(database, [conversation_id])).get(conversation_id, 0)
    cursor = memberships.find({"conversationId": conversation_id, "userId": {"$in": list(people)}})
    there = {document["userId"]: document async for document in cursor}
    added = [user for user in people if user not in there or (by is not None and there[user].get("addedBy") == by)]
    new = [user for user in people if user not in there]
    if new:
        await memberships.bulk_write(
            [
                UpdateOne(
                    {"conversationId": conversation_id, "userId": user},
                    {
                        "$setOnInsert": {
                            "role": "admin" if user == admin else "member",
                            "joinedAt": moment,
                            # What was said before they came is not unread to them.
                            "lastReadSeq": head,
                            "muted": False,
                            "addedBy": by,
                        }
                    },
                    upsert=True,
                )
                for user in new
            ],
            ordered=True,
        )
    return added


async def _membership(database: Database, conversation_id: str, user_id: str) -> dict[str, Any] | None:
    return await database[collections.MEMBERSHIPS.name].find_one({"conversationId": conversation_id, "userId": user_id})


async def _administered(database: Database, command: Command, conversation_id: str) -> dict[str, Any]:
    """The conversation, if the actor is an admin of it.

    Raises:
        Refusal: NOT_A_MEMBER or FORBIDDEN.
    """
    membership = await _membership(database, conversation_id, command.actor.user_id)
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": conversation_id})
    if membership is None or conversation is None or "deletedAt" in conversation:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    if membership["role"] != "admin":
        raise Refusal(ErrorCode.FORBIDDEN)
    return conversation


async def _inherit(database: Database, conversation_id: str) -> list[str]:
    """Make the longest-standing member an admin where none is left; returns who became one."""
    memberships = database[collections.MEMBERSHIPS.name]
    if await memberships.find_one({"conversationId": conversation_id, "role": "admin"}):
        return []
    heir = await memberships.find_one_and_update(
        {"conversationId": conversation_id},
        {"$set": {"role": "admin"}},
        sort=[("joinedAt", 1), ("_id", 1)],
        return_document=ReturnDocument.AFTER,
    )
    return [heir["userId"]] if heir else []


async def _audience(database: Database, conversation_id: str) -> list[str]:
    cursor = database[collections.MEMBERSHIPS.name].find({"conversationId": conversation_id}, {"userId": 1})
    return [document["userId"] async for document in cursor.limit(limits.UPDATE_AUDIENCE)]


async def _members(database: Database, conversation_id: str, people: Sequence[str]) -> list[Member]:
    query = {"conversationId": conversation_id, "userId": {"$in": list(people)}}
    memberships = [document async for document in database[collections.MEMBERSHIPS.name].find(query)]
    users = database[collections.USERS.name].find({"_id": {"$in": list(people)}})
    profiles = {document["_id"]: document async for document in users}
    return [
        Member(
            user_id=document["userId"],
            user_name=profiles.get(document["userId"], {}).get("userName", document["userId"]),
            avatar=profiles.get(document["userId"], {}).get("avatar"),
            role=document["role"],
            last_read_seq=document["lastReadSeq"],
            joined_at=document["joinedAt"],
        )
        for document in memberships
    ]


async def _tell(
    database: Database,
    command: Any,
    update_type: Any,
    *,
    user_ids: list[str] | None = None,
    members: Sequence[str] = (),
    removed: list[str] | None = None,
    audience: list[str] | None = None,
) -> Outcome:
    """The change as an event and a frame, from what is stored now."""
    conversation_id = command.conversation_id
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": conversation_id}) or {}
    created = update_type == "created"
    change = ConversationChange(
        conversation_id=conversation_id,
        update_type=update_type,
        actor_id=command.actor.user_id,
        name=conversation.get("name") if created or update_type == "name_changed" else None,
        conversation_type=conversation.get("type") if created else None,
        created_by=conversation.get("createdBy") if created else None,
        user_ids=user_ids,
        members=await _members(database, conversation_id, members) or None if members else None,
    )
    if audience is None:
        audience = list(dict.fromkeys([*(removed or []), *await _audience(database, conversation_id)]))
    return changed(command, change, audience, removed)

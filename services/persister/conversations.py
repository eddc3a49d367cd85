"""The commands that change a conversation or its members.

A change touches several documents, so it is first noted on the conversation, with all that follows from it; then it is
applied, then told. A command that comes again after a crash finds its note and goes on from there, whatever it would be
allowed to do by now: who leaves is not a member any more, and still everybody is told. One note is enough, since the next
change of a conversation begins when this one was told. Of those before it the ids are kept for a while: a gateway that
saw no confirm publishes again, and its command may come behind somebody else's.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import DeleteOne, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from contracts import collections, limits, rights
from contracts.commands import (
    AddMembers,
    CreateConversation,
    DeleteConversation,
    PurgeConversation,
    RemoveMember,
    RenameConversation,
)
from contracts.conversation import Member
from contracts.errors import ErrorCode, Refusal
from contracts.events import ConversationChange
from contracts.frames import UpdateType
from contracts.shape import now
from services.mongo import Database, heads_of
from services.persister.outcome import Outcome, changed, done
from services.persister.rooms import Contended

Change = CreateConversation | RenameConversation | AddMembers | RemoveMember | DeleteConversation
Document = dict[str, Any]
EARLIER = 50  # changes of a conversation that are known when they come again


async def change(database: Database, command: Change) -> Outcome:
    """Carry a command out, finish it after a crash, or see that it was told before.

    Raises:
        Refusal: the actor may not, or it is too late.
        Contended: see there.
    """
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": command.conversation_id})
    if isinstance(command, CreateConversation) and conversation is None:
        return await _create(database, command)
    if conversation is None:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    if command.id in conversation["change"].get("earlier", ()):
        return done(command)
    match command:
        case CreateConversation():
            return await _return_to(database, command, conversation)
        case RenameConversation():
            return await _rename(database, command, conversation)
        case AddMembers():
            return await _add_members(database, command, conversation)
        case RemoveMember():
            return await _remove_member(database, command, conversation)
        case DeleteConversation():
            return await _delete(database, command, conversation)


async def _create(database: Database, command: CreateConversation) -> Outcome:
    people = _people_of(command)
    conversation = await _insert(database, command, people)
    await _apply(database, conversation)
    return await _tell(database, command, conversation, "created", shown=people)


async def _return_to(database: Database, command: CreateConversation, conversation: Document) -> Outcome:
    """Bring back whoever has left a direct conversation."""
    people = _people_of(command)
    if not _noted(conversation, command):
        _in_time(command)
        if conversation["type"] != "direct":
            raise Refusal(ErrorCode.FORBIDDEN, "There is another conversation with this id.")
        there = await _memberships(database, command.conversation_id, people)
        missing = [user for user in people if user not in there]
        if not missing:
            return done(command)
        conversation = await _note(database, conversation, command, added=missing)
    await _apply(database, conversation)
    return await _tell(database, command, conversation, "created", shown=people)


async def _rename(database: Database, command: RenameConversation, conversation: Document) -> Outcome:
    if not _noted(conversation, command):
        await _check(database, command, conversation, "rename")
        conversation = await _note(database, conversation, command, {"name": command.name})
    return await _tell(database, command, conversation, "name_changed")


async def _add_members(database: Database, command: AddMembers, conversation: Document) -> Outcome:
    """Those who are in already are not told twice."""
    if not _noted(conversation, command):
        await _check(database, command, conversation, "add_members")
        people = list(dict.fromkeys(command.member_ids))
        there = await _memberships(database, command.conversation_id, people)
        added = [user for user in people if user not in there]
        if not added:
            return done(command)
        conversation = await _note(database, conversation, command, added=added)
    await _apply(database, conversation)
    return await _tell(database, command, conversation, "member_added", shown=conversation["change"]["added"])


async def _remove_member(database: Database, command: RemoveMember, conversation: Document) -> Outcome:
    """The last admin who leaves hands the role to the longest-standing member."""
    if not _noted(conversation, command):
        leaving = command.member_id == command.actor.user_id
        await _check(database, command, conversation, "leave" if leaving else "remove_member")
        await _find_member(database, command.conversation_id, command.member_id)
        heirs = await _heirs(database, command.conversation_id, command.member_id)
        conversation = await _note(database, conversation, command, removed=[command.member_id], promoted=heirs)
    await _apply(database, conversation)
    return await _tell(database, command, conversation, "member_removed", shown=conversation["change"]["promoted"])


async def _delete(database: Database, command: DeleteConversation, conversation: Document) -> Outcome:
    """End it for everybody; its messages are erased by the commands that follow."""
    if not _noted(conversation, command):
        await _check(database, command, conversation, "delete")
        audience = await _audience(database, command.conversation_id)
        ended = {"deletedAt": now(), "name": None}
        conversation = await _note(database, conversation, command, ended, audience=audience)
    await database[collections.MEMBERSHIPS.name].delete_many({"conversationId": command.conversation_id})
    outcome = await _tell(database, command, conversation, "deleted")
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


# ------------------------------------------------------------------------------------------------- allowed?


def _in_time(command: Change) -> None:
    if command.expires_at <= now():
        raise Refusal(ErrorCode.TIMEOUT)


async def _check(database: Database, command: Change, conversation: Document, action: rights.Action) -> None:
    """Raises Refusal (TIMEOUT, NOT_A_MEMBER, FORBIDDEN) unless it is in time and the actor may."""
    _in_time(command)
    actor = command.actor.user_id
    mine = (await _memberships(database, command.conversation_id, [actor])).get(actor)
    if "deletedAt" in conversation:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    rights.check(action, conversation["type"], mine["role"] if mine else None)


async def _find_member(database: Database, conversation_id: str, user_id: str) -> Document:
    """Raises Refusal NOT_FOUND."""
    found = await _memberships(database, conversation_id, [user_id])
    if user_id not in found:
        raise Refusal(ErrorCode.NOT_FOUND)
    return found[user_id]


async def _memberships(database: Database, conversation_id: str, people: Sequence[str]) -> dict[str, Document]:
    query = {"conversationId": conversation_id, "userId": {"$in": list(people)}}
    return {document["userId"]: document async for document in database[collections.MEMBERSHIPS.name].find(query)}


async def _heirs(database: Database, conversation_id: str, leaving: str) -> list[str]:
    """Who becomes an admin because none would be left."""
    memberships = database[collections.MEMBERSHIPS.name]
    others = {"conversationId": conversation_id, "userId": {"$ne": leaving}}
    if await memberships.find_one({**others, "role": "admin"}):
        return []
    heir = await memberships.find_one(others, sort=[("joinedAt", 1), ("userId", 1)])
    return [heir["userId"]] if heir else []


# --------------------------------------------------------------------------------- noted, applied, told


def _people_of(command: CreateConversation) -> list[str]:
    return list(dict.fromkeys([command.actor.user_id, *command.member_ids]))


def _noted(conversation: Document, command: Change) -> bool:
    """Whether this command has begun already, before a crash."""
    return bool(conversation["change"]["id"] == command.id)


def _change(command: Change, facts: dict[str, list[str]]) -> Document:
    return {"id": command.id, "at": now(), "added": [], "removed": [], "promoted": [], **facts}


async def _insert(database: Database, command: CreateConversation, people: list[str]) -> Document:
    _in_time(command)
    change = _change(command, {"added": people, "promoted": [command.actor.user_id]})
    conversation: Document = {
        "_id": command.conversation_id,
        "type": command.conversation_type,
        "name": command.name,
        "createdAt": change["at"],
        "createdBy": command.actor.user_id,
        "lastSeq": 0,
        "lastActivityAt": change["at"],
        "change": change,
    }
    try:
        await database[collections.CONVERSATIONS.name].insert_one(conversation)
    except DuplicateKeyError as error:
        raise Contended("another persister creates the same conversation") from error
    return conversation


async def _note(
    database: Database,
    conversation: Document,
    command: Change,
    fields: Document | None = None,
    **facts: list[str],
) -> Document:
    """Note a change; the conversation as it is then.

    Raises:
        Contended: somebody else has noted another since `conversation` was read.
    """
    before = conversation["change"]
    earlier = [*before.get("earlier", ()), before["id"]][-EARLIER:]
    noted = await database[collections.CONVERSATIONS.name].find_one_and_update(
        {"_id": conversation["_id"], "change.id": before["id"]},
        {"$set": {**(fields or {}), "change": _change(command, {**facts, "earlier": earlier})}},
        return_document=ReturnDocument.AFTER,
    )
    if noted is None:
        raise Contended("another persister changes the same conversation")
    return noted


async def _apply(database: Database, conversation: Document) -> None:
    """Make the memberships what the noted change says. Doing it again changes nothing."""
    change, conversation_id = conversation["change"], conversation["_id"]
    head = (await heads_of(database, [conversation_id])).get(conversation_id, 0)

    def of(user: str) -> Document:
        return {"conversationId": conversation_id, "userId": user}

    # What was said before they came is not unread to them.
    newcomer = {"role": "member", "joinedAt": change["at"], "lastReadSeq": head, "muted": False}
    writes: list[DeleteOne | UpdateOne] = [
        *(DeleteOne(of(user)) for user in change["removed"]),
        *(UpdateOne(of(user), {"$setOnInsert": newcomer}, upsert=True) for user in change["added"]),
        *(UpdateOne(of(user), {"$set": {"role": "admin"}}) for user in change["promoted"]),
    ]
    await database[collections.MEMBERSHIPS.name].bulk_write(writes, ordered=True)


async def _tell(
    database: Database,
    command: Change,
    conversation: Document,
    update_type: UpdateType,
    *,
    shown: Sequence[str] = (),
) -> Outcome:
    """The noted change as an event and a frame; `shown` are the people whose membership it describes."""
    conversation_id, change = conversation["_id"], conversation["change"]
    created, removed = update_type == "created", change["removed"]
    audience = change.get("audience") or await _audience(database, conversation_id)
    told = ConversationChange(
        conversation_id=conversation_id,
        update_type=update_type,
        actor_id=command.actor.user_id,
        name=conversation["name"] if created or update_type == "name_changed" else None,
        conversation_type=conversation["type"] if created else None,
        created_by=conversation["createdBy"] if created else None,
        user_ids=[*change["added"], *removed] or None,
        members=await _members(database, conversation_id, shown) or None,
    )
    return changed(command, told, change["at"], list(dict.fromkeys([*removed, *audience])), removed)


async def _audience(database: Database, conversation_id: str) -> list[str]:
    cursor = database[collections.MEMBERSHIPS.name].find({"conversationId": conversation_id}, {"userId": 1})
    return [document["userId"] async for document in cursor]


async def _members(database: Database, conversation_id: str, people: Sequence[str]) -> list[Member]:
    people = people[: limits.MEMBERS_IN_VIEW]
    memberships = await _memberships(database, conversation_id, people)
    users = database[collections.USERS.name].find({"_id": {"$in": list(people)}})
    profiles = {document["_id"]: document async for document in users}
    return [
        Member(
            user_id=user,
            user_name=profiles.get(user, {}).get("userName", user),
            avatar=profiles.get(user, {}).get("avatar"),
            role=memberships[user]["role"],
            last_read_seq=memberships[user]["lastReadSeq"],
            joined_at=memberships[user]["joinedAt"],
        )
        for user in people
        if user in memberships
    ]

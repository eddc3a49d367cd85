"""A change of a conversation: noted with all that follows from it, then applied, then told.

Nothing here decides; `conversations.py` does. Every step can be done again and changes nothing then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from contracts import collections, limits
from contracts.commands import (
    AddMembers,
    ChangeRole,
    ChangeSettings,
    CloseConversation,
    CreateConversation,
    DeleteConversation,
    JoinChannel,
    PinMessage,
    PublishConversation,
    RemoveMember,
    RenameConversation,
    UnpinMessage,
)
from contracts.conversation import Member, is_archived
from contracts.events import ConversationChange
from contracts.frames import UpdateType
from contracts.shape import now
from services.mongo import Database, heads_of
from services.persister import audit
from services.persister.outcome import Outcome, changed, settings_changed
from services.persister.rooms import Contended

Change = (
    CreateConversation
    | RenameConversation
    | PublishConversation
    | CloseConversation
    | DeleteConversation
    | AddMembers
    | RemoveMember
    | JoinChannel
    | ChangeRole
    | ChangeSettings
    | PinMessage
    | UnpinMessage
)
Document = dict[str, Any]
EARLIER = 50  # changes of a conversation that are known when they come again
# What is written from a note: documents that are not there yet, or fields of those that are.
NEW: Document = {"whenMatched": "keepExisting", "whenNotMatched": "insert"}
EXISTING: Document = {"whenMatched": "merge", "whenNotMatched": "discard"}


@dataclass(frozen=True)
class Plan:
    """What a command is going to change.

    Attributes:
        fields: of the conversation, with their new values.
        added, removed, promoted, demoted: people; those removed last are told as well.
        shown: people whose memberships are told, beside those above who are members then.
        pinned, unpinned: messages.
        settings: fields of the actor's own membership.
        audience: everybody who is told, where the memberships end before.
    """

    fields: Document = field(default_factory=dict)
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    promoted: Sequence[str] = ()
    demoted: Sequence[str] = ()
    shown: Sequence[str] = ()
    pinned: Sequence[str] = ()
    unpinned: Sequence[str] = ()
    settings: Document = field(default_factory=dict)
    audience: Sequence[str] = ()


def is_noted(conversation: Document, command: Change) -> bool:
    """Whether this command has begun already, before a crash."""
    return bool(conversation["change"]["id"] == command.id)


async def insert(database: Database, command: CreateConversation, plan: Plan) -> Document:
    """Store a new conversation with its first note.

    Raises:
        Contended: somebody else has stored it since.
    """
    change = _note_of(command, plan)
    conversation: Document = {
        "_id": command.conversation_id,
        "type": command.conversation_type,
        "createdAt": change["at"],
        "createdBy": command.actor.user_id,
        "lastSeq": 0,
        "lastActivityAt": change["at"],
        **plan.fields,
        "change": change,
    }
    try:
        await database[collections.CONVERSATIONS.name].insert_one(conversation)
    except DuplicateKeyError as error:
        raise Contended("another persister creates the same conversation") from error
    return conversation


async def note(database: Database, conversation: Document, command: Change, plan: Plan) -> Document:
    """Note a change; the conversation as it is then.

    Raises:
        Contended: somebody else has noted another since `conversation` was read.
    """
    before = conversation["change"]
    earlier = [*before.get("earlier", ()), before["id"]][-EARLIER:]
    noted = await database[collections.CONVERSATIONS.name].find_one_and_update(
        {"_id": conversation["_id"], "change.id": before["id"]},
        {"$set": {**plan.fields, "change": {**_note_of(command, plan), "earlier": earlier}}},
        return_document=ReturnDocument.AFTER,
    )
    if noted is None:
        raise Contended("another persister changes the same conversation")
    return noted


def _note_of(command: Change, plan: Plan) -> Document:
    facts = {name: value for name, value in vars(plan).items() if name != "fields" and value}
    return {"id": command.id, "at": now(), "by": command.actor.user_id, **facts}


async def apply(database: Database, conversation: Document) -> None:
    """Make the memberships and pins what the noted change says."""
    change, conversation_id = conversation["change"], conversation["_id"]
    memberships, pins = collections.MEMBERSHIPS, collections.PINS
    if change.get("added"):
        # What was said before they came is not unread to them.
        head = (await heads_of(database, [conversation_id])).get(conversation_id, 0)
        newcomer = {"role": "member", "joinedAt": change["at"], "lastReadSeq": head, "muted": False}
        await _from_note(database, conversation, "added", memberships, "userId", newcomer, NEW)
    for noted, role in (("promoted", "admin"), ("demoted", "member")):
        if change.get(noted):
            await _from_note(database, conversation, noted, memberships, "userId", {"role": role}, EXISTING)
    if "settings" in change:
        await _from_note(database, conversation, "by", memberships, "userId", change["settings"], EXISTING)
    if change.get("pinned"):
        by = {"pinnedBy": change.get("by"), "pinnedAt": change["at"]}
        await _from_note(database, conversation, "pinned", pins, "messageId", by, NEW)
    for gone, collection, key in (("removed", memberships, "userId"), ("unpinned", pins, "messageId")):
        if change.get(gone):
            these = {"conversationId": conversation_id, key: {"$in": change[gone]}}
            await database[collection.name].delete_many(these)
    if "deletedAt" in conversation:
        for collection in (memberships, pins):
            await database[collection.name].delete_many({"conversationId": conversation_id})


async def _from_note(
    database: Database,
    conversation: Document,
    noted: str,
    collection: collections.Collection,
    key: str,
    fields: Document,
    mode: Document,
) -> None:
    """Write these fields for each person or message that the note names under `noted`.

    MongoDB takes them from the note itself. So whoever was held up since it was made, and whose partition others have had
    meanwhile, brings nobody back who was removed by then: the conversation has another note.
    """
    names = {"conversationId": "$_id", key: f"$change.{noted}"}
    pipeline: list[Document] = [
        {"$match": {"_id": conversation["_id"], "change.id": conversation["change"]["id"]}},
        {"$unwind": f"$change.{noted}"},
        {"$project": {"_id": 0, **names, **{name: {"$literal": value} for name, value in fields.items()}}},
        {"$merge": {"into": collection.name, "on": list(names), **mode}},
    ]
    await database[collections.CONVERSATIONS.name].aggregate(pipeline).to_list(None)


# ---------------------------------------------------------------------------------------------------- told


async def tell(database: Database, command: Change, conversation: Document) -> Outcome:
    """The noted change as an entry of the audit trail, an event, and a frame for everybody in it."""
    conversation_id, change = conversation["_id"], conversation["change"]
    update_type = _update_type(command)
    created, removed = update_type == "created", change.get("removed", [])
    shown = [*change.get("shown", ()), *(u for f in ("added", "promoted", "demoted") for u in change.get(f, ()))]
    told = ConversationChange(
        conversation_id=conversation_id,
        update_type=update_type,
        actor_id=command.actor.user_id,
        name=conversation["name"] if created or update_type == "name_changed" else None,
        conversation_type=conversation["type"] if created else None,
        created_by=conversation["createdBy"] if created else None,
        user_ids=[*change.get("added", ()), *removed] or None,
        members=await _members(database, conversation_id, list(dict.fromkeys(shown))) or None,
        public=conversation.get("public") if created or update_type == "visibility_changed" else None,
        message_id=next(iter([*change.get("pinned", ()), *change.get("unpinned", ())]), None),
    )
    await audit.record(database, audit.entry_of(command, told, change))
    audience = change.get("audience") or await _audience(database, conversation, update_type)
    return changed(command, told, change["at"], list(dict.fromkeys([*removed, *audience])), removed)


async def tell_oneself(database: Database, command: ChangeSettings) -> Outcome:
    """The actor's settings as they are now, for their own connections. Nobody else's business: there is no event."""
    query = {"conversationId": command.conversation_id, "userId": command.actor.user_id}
    mine = await database[collections.MEMBERSHIPS.name].find_one(query)
    head = (await heads_of(database, [command.conversation_id])).get(command.conversation_id, 0)
    muted = bool(mine and mine["muted"])
    archived = mine is not None and is_archived(mine.get("archivedSeq"), muted, head)
    return settings_changed(command, muted=muted, archived=archived)


def _update_type(command: Change) -> UpdateType:
    match command:
        case CloseConversation():
            return "closed" if command.closed else "reopened"
        case _:
            return _UPDATE_TYPES[type(command)]


_UPDATE_TYPES: dict[type[Change], UpdateType] = {
    CreateConversation: "created",
    RenameConversation: "name_changed",
    PublishConversation: "visibility_changed",
    DeleteConversation: "deleted",
    AddMembers: "member_added",
    JoinChannel: "member_added",
    RemoveMember: "member_removed",
    ChangeRole: "role_changed",
    PinMessage: "pinned",
    UnpinMessage: "unpinned",
}


async def _audience(database: Database, conversation: Document, update_type: UpdateType) -> list[str]:
    """Who is told on every connection, wherever they look; those who look at the conversation are told anyway.

    A large channel's coming and going is told to nobody else but those concerned: were each of ten thousand told of each,
    that would be a hundred million frames until they all are there.
    """
    coming_and_going = conversation["type"] == "channel" and update_type in ("member_added", "member_removed")
    cursor = database[collections.MEMBERSHIPS.name].find({"conversationId": conversation["_id"]}, {"userId": 1})
    if coming_and_going:
        cursor = cursor.limit(limits.UPDATE_AUDIENCE + 1)
    members = [document["userId"] async for document in cursor]
    if coming_and_going and len(members) > limits.UPDATE_AUDIENCE:
        change = conversation["change"]
        return [*change.get("added", ()), *change.get("promoted", ())]
    return members


async def _members(database: Database, conversation_id: str, people: Sequence[str]) -> list[Member]:
    if not people:
        return []
    people = people[: limits.MEMBERS_IN_VIEW]
    memberships = await memberships_of(database, conversation_id, people)
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


async def memberships_of(database: Database, conversation_id: str, people: Sequence[str]) -> dict[str, Document]:
    """The memberships of those of these people who are members."""
    query = {"conversationId": conversation_id, "userId": {"$in": list(people)}}
    return {document["userId"]: document async for document in database[collections.MEMBERSHIPS.name].find(query)}

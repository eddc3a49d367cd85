"""The commands that change a conversation or its members: whether they may, and what follows.

A change touches several documents, so it is first noted on the conversation, with all that follows from it; then it is
applied, then told (`changes.py`). A command that comes again after a crash finds its note and goes on from there, whatever
it would be allowed to do by now: who leaves is not a member any more, and still everybody is told. One note is enough,
since the next change of a conversation begins when this one was told. Of those before it the ids are kept for a while: a
gateway that saw no confirm publishes again, and its command may come behind somebody else's.
"""

from contracts import collections, limits, rights
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
from contracts.errors import ErrorCode, Refusal
from contracts.shape import now
from services.mongo import Database, heads_of
from services.persister import changes, erasing
from services.persister.changes import Change, Document, Plan, memberships_of
from services.persister.outcome import Outcome, done
from services.persister.profiles import words


async def change(database: Database, command: Change) -> Outcome:
    """Carry a command out, finish it after a crash, or see that it was told before.

    Raises:
        Refusal: the actor may not, or it is too late.
        Contended: see there.
    """
    conversation = await database[collections.CONVERSATIONS.name].find_one({"_id": command.conversation_id})
    if conversation is None:
        if not isinstance(command, CreateConversation):
            raise Refusal(ErrorCode.NOT_A_MEMBER)
        _in_time(command)
        conversation = await changes.insert(database, command, _created(command))
    elif command.id in conversation["change"].get("earlier", ()):
        return done(command)
    elif not changes.is_noted(conversation, command):
        plan = await _plan(database, command, conversation)
        if plan is None:
            return done(command)
        conversation = await changes.note(database, conversation, command, plan)
    await changes.apply(database, conversation)
    if isinstance(command, ChangeSettings):
        return await changes.tell_oneself(database, command)
    outcome = await changes.tell(database, command, conversation)
    if isinstance(command, DeleteConversation):
        outcome.follow_ups.append(erasing.begun_by(command))
    return outcome


# ------------------------------------------------------------------------------------------------- what follows


async def _plan(database: Database, command: Change, conversation: Document) -> Plan | None:
    """What a command is going to change, or None when it is so already.

    Raises:
        Refusal: the actor may not, or it is too late.
    """
    match command:
        case CreateConversation():
            return await _returned_to(database, command, conversation)
        case RenameConversation():
            await _check(database, command, conversation, "rename")
            return Plan(_named(conversation["type"], command.name))
        case PublishConversation():
            await _check(database, command, conversation, "publish")
            if conversation.get("public", False) == command.public:
                return None
            return Plan({"public": command.public, **_named(conversation["type"], conversation["name"])})
        case CloseConversation():
            await _check(database, command, conversation, "close")
            if (conversation.get("closedAt") is not None) == command.closed:
                return None
            return Plan({"closedAt": now() if command.closed else None})
        case DeleteConversation():
            await _check(database, command, conversation, "delete")
            ended = {"deletedAt": now(), "name": None, "public": False, "erasing": True}
            return Plan(ended, audience=await _everybody(database, command.conversation_id))
        case AddMembers():
            await _check(database, command, conversation, "add_members")
            return await _added(database, command)
        case JoinChannel():
            mine = await _check(database, command, conversation, "join")
            return None if mine else Plan(added=[command.actor.user_id])
        case RemoveMember():
            leaving = command.member_id == command.actor.user_id
            await _check(database, command, conversation, "leave" if leaving else "remove_member")
            await _role_of(database, command.conversation_id, command.member_id)
            heirs = await _heirs(database, command.conversation_id, command.member_id)
            return Plan(removed=[command.member_id], promoted=heirs)
        case ChangeRole():
            await _check(database, command, conversation, "change_role")
            return await _role_changed(database, command)
        case ChangeSettings():
            await _check(database, command, conversation, "change_settings")
            return await _settings(database, command)
        case PinMessage():
            await _check(database, command, conversation, "pin")
            return await _pinned(database, command)
        case UnpinMessage():
            await _check(database, command, conversation, "pin")
            pin = {"conversationId": command.conversation_id, "messageId": command.message_id}
            there = await database[collections.PINS.name].find_one(pin)
            return Plan(unpinned=[command.message_id]) if there else None


def _created(command: CreateConversation) -> Plan:
    people = _people_of(command)
    fields: Document = _named(command.conversation_type, command.name)
    if command.conversation_type == "channel":
        fields["public"] = bool(command.public)
    return Plan(fields, added=people, promoted=[command.actor.user_id])


async def _returned_to(database: Database, command: CreateConversation, conversation: Document) -> Plan | None:
    """Bring back whoever has left a direct conversation."""
    _in_time(command)
    if conversation["type"] != "direct":
        raise Refusal(ErrorCode.FORBIDDEN, "There is another conversation with this id.")
    people = _people_of(command)
    there = await memberships_of(database, command.conversation_id, people)
    missing = [user for user in people if user not in there]
    return Plan(added=missing, shown=people) if missing else None


async def _added(database: Database, command: AddMembers) -> Plan | None:
    """Those who are in already are not told twice."""
    people = list(dict.fromkeys(command.member_ids))
    there = await memberships_of(database, command.conversation_id, people)
    added = [user for user in people if user not in there]
    return Plan(added=added) if added else None


async def _role_changed(database: Database, command: ChangeRole) -> Plan | None:
    """The last admin stays one until there is another."""
    user = command.member_id
    if await _role_of(database, command.conversation_id, user) == command.role:
        return None
    if command.role == "admin":
        return Plan(promoted=[user])
    others = {"conversationId": command.conversation_id, "userId": {"$ne": user}, "role": "admin"}
    if await database[collections.MEMBERSHIPS.name].find_one(others) is None:
        raise Refusal(ErrorCode.FORBIDDEN, "Make somebody else an admin first.")
    return Plan(demoted=[user])


async def _settings(database: Database, command: ChangeSettings) -> Plan | None:
    settings: Document = {}
    if command.muted is not None:
        settings["muted"] = command.muted
    if command.archived is not None:
        head = (await heads_of(database, [command.conversation_id])).get(command.conversation_id, 0)
        settings["archivedSeq"] = head if command.archived else None
    return Plan(settings=settings) if settings else None


async def _pinned(database: Database, command: PinMessage) -> Plan | None:
    conversation_id, message_id = command.conversation_id, command.message_id
    message = await database[collections.MESSAGES.name].find_one({"_id": message_id, "conversationId": conversation_id})
    if message is None or message.get("isDeleted"):
        raise Refusal(ErrorCode.NOT_FOUND)
    cursor = database[collections.PINS.name].find({"conversationId": conversation_id}, {"messageId": 1})
    pins = [document["messageId"] async for document in cursor]
    if message_id in pins:
        return None
    if len(pins) >= limits.PINS:
        raise Refusal(ErrorCode.FORBIDDEN, f"At most {limits.PINS} messages can be pinned.")
    return Plan(pinned=[message_id])


async def _heirs(database: Database, conversation_id: str, leaving: str) -> list[str]:
    """Who becomes an admin because none would be left: the longest-standing member."""
    memberships = database[collections.MEMBERSHIPS.name]
    others = {"conversationId": conversation_id, "userId": {"$ne": leaving}}
    if await memberships.find_one({**others, "role": "admin"}):
        return []
    heir = await memberships.find_one(others, sort=[("joinedAt", 1), ("userId", 1)])
    return [heir["userId"]] if heir else []


async def _everybody(database: Database, conversation_id: str) -> list[str]:
    cursor = database[collections.MEMBERSHIPS.name].find({"conversationId": conversation_id}, {"userId": 1})
    return [document["userId"] async for document in cursor]


def _people_of(command: CreateConversation) -> list[str]:
    return list(dict.fromkeys([command.actor.user_id, *command.member_ids]))


def _named(kind: str, name: str | None) -> Document:
    """A name; a channel's with the words that it can be found by."""
    return {"name": name, "words": words(name)} if kind == "channel" and name else {"name": name}


# ------------------------------------------------------------------------------------------------- allowed?


def _in_time(command: Change) -> None:
    if command.expires_at <= now():
        raise Refusal(ErrorCode.TIMEOUT)


async def _check(database: Database, command: Change, conversation: Document, action: rights.Action) -> Document | None:
    """The actor's membership, if it is in time and they may: None for who joins a public channel.

    Raises:
        Refusal: TIMEOUT, NOT_A_MEMBER or FORBIDDEN.
    """
    _in_time(command)
    actor = command.actor.user_id
    mine = (await memberships_of(database, command.conversation_id, [actor])).get(actor)
    if "deletedAt" in conversation:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    rights.check(
        action,
        conversation["type"],
        mine["role"] if mine else None,
        public=conversation.get("public", False),
        closed=conversation.get("closedAt") is not None,
    )
    return mine


async def _role_of(database: Database, conversation_id: str, user_id: str) -> str:
    """Raises Refusal NOT_FOUND."""
    found = await memberships_of(database, conversation_id, [user_id])
    if user_id not in found:
        raise Refusal(ErrorCode.NOT_FOUND)
    role: str = found[user_id]["role"]
    return role

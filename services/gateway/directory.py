"""The conversations, their members and all people, as this gateway reads them. Reads only, by majority."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from contracts import collections, limits, rights
from contracts.conversation import AuditEntry, Channel, Conversation, Member, Profile, is_archived
from contracts.errors import ErrorCode, Refusal
from contracts.events import Read
from contracts.presence import Chosen
from services.gateway.gathering import Gathered
from services.gateway.history import HIDDEN
from services.mongo import Database, Front, fronts_of, to_message

MARKS_AT_ONCE = 2000  # that moved while a gateway was away; whoever moved before them is seen with their next one
WITHOUT_CHANGE = {"change": 0}  # the persister's note to itself, which may be long
PATIENCE_MS = 2000  # for members whose names begin as those of very many other people do


class Stored(NamedTuple):
    """What is kept of somebody's presence."""

    chosen: Chosen
    seen_at: datetime | None


class Directory:
    """Reads of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages = database[collections.MESSAGES.name]
        self._conversations = database[collections.CONVERSATIONS.name]
        self._memberships = database[collections.MEMBERSHIPS.name]
        self._audit = database[collections.AUDIT.name]
        self._presence = database[collections.PRESENCE.name]
        self._users = database[collections.USERS.name]
        # What everybody asks who connects.
        self._fronts_for = Gathered(self._read_fronts_for)
        self._profile = Gathered(self._read_profiles)

    # --------------------------------------------------------------------------- how far they are, who is in them

    async def front_for(self, conversation_id: str, user_id: str) -> Front | None:
        """How far a conversation has come that this person is in; None for a stranger."""
        return await self._fronts_for.ask((conversation_id, user_id))

    async def _read_fronts_for(self, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Front | None]:
        people: dict[str, list[str]] = {}
        for conversation_id, user_id in asked:
            people.setdefault(conversation_id, []).append(user_id)
        members = await self.members_of(people)
        # Whoever is told of a head was a member before it was read.
        fronts = await self.fronts(c for c, users in members.items() if users) if any(members.values()) else {}
        return {(c, u): fronts.get(c, Front()) if u in members[c] else None for c, u in asked}

    async def fronts(self, conversation_ids: Iterable[str]) -> dict[str, Front]:
        """How far each of these conversations has come."""
        return await fronts_of(self._database, conversation_ids)

    async def is_member(self, conversation_id: str, user_id: str) -> bool:
        """Whether this person is in that conversation."""
        query = {"conversationId": conversation_id, "userId": user_id}
        return await self._memberships.find_one(query, {"_id": 1}) is not None

    async def members_of(self, people: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
        """For each conversation those of these people who are in it."""
        query = {"$or": [{"conversationId": c, "userId": {"$in": list(users)}} for c, users in people.items()]}
        found: dict[str, set[str]] = {conversation_id: set() for conversation_id in people}
        for document in await self._memberships.find(query, {"_id": 0, "conversationId": 1, "userId": 1}).to_list(None):
            found[document["conversationId"]].add(document["userId"])
        return found

    async def memberships(self, user_id: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations that this person is in."""
        query = {"conversationId": {"$in": list(conversation_ids)}, "userId": user_id}
        return {d["conversationId"] async for d in self._memberships.find(query, {"conversationId": 1})}

    async def read_since(self, conversation_ids: Sequence[str], since: datetime) -> list[Read]:
        """How far those have read who moved their mark since, the last `MARKS_AT_ONCE` of them."""
        query = {"conversationId": {"$in": list(conversation_ids)}, "readAt": {"$gt": since}}
        fields = {"_id": 0, "conversationId": 1, "userId": 1, "lastReadSeq": 1}
        cursor = self._memberships.find(query, fields).sort("readAt", -1).limit(MARKS_AT_ONCE)
        return [
            Read(conversation_id=d["conversationId"], user_id=d["userId"], seq=d["lastReadSeq"]) async for d in cursor
        ]

    async def readers(self, conversation_id: str, message_id: str) -> tuple[int, list[Profile]]:
        """A message's seq, and everybody else who has read it, longest-standing first.

        Raises:
            Refusal: NOT_FOUND; FORBIDDEN, when the conversation has more than `READERS_SHOWN_TO` members.
        """
        message = await self._messages.find_one(
            {"_id": message_id, "conversationId": conversation_id}, {"seq": 1, "senderId": 1}
        )
        if message is None:
            raise Refusal(ErrorCode.NOT_FOUND)
        most = limits.READERS_SHOWN_TO
        found = self._memberships.find({"conversationId": conversation_id}).sort([("joinedAt", 1), ("userId", 1)])
        members = [document async for document in found.limit(most + 1)]
        if len(members) > most:
            raise Refusal(ErrorCode.FORBIDDEN, f"Who has read is shown in conversations of up to {most} people.")
        readers = [
            member["userId"]
            for member in members
            if member["lastReadSeq"] >= message["seq"] and member["userId"] != message["senderId"]
        ]
        profiles = await self._profiles(readers)
        return message["seq"], [
            profiles.get(user) or Profile(user_id=user, user_name=user, avatar=None) for user in readers
        ]

    # --------------------------------------------------------------------------------------- as somebody sees them

    async def conversation(self, conversation_id: str, viewer: str) -> Conversation:
        """One conversation with its first members.

        Raises:
            Refusal: NOT_A_MEMBER, also when there is no such conversation.
        """
        mine = await self._memberships.find_one({"conversationId": conversation_id, "userId": viewer})
        document = await self._conversations.find_one({"_id": conversation_id}, WITHOUT_CHANGE) if mine else None
        if mine is None or document is None or "deletedAt" in document:
            raise Refusal(ErrorCode.NOT_A_MEMBER)
        views = await self._views(viewer, [document], {conversation_id: mine}, limits.MEMBERS_IN_VIEW)
        return views[0]

    async def check_right(self, action: rights.Action, conversation_id: str, user_id: str) -> None:
        """Raises Refusal NOT_A_MEMBER or FORBIDDEN."""
        mine = await self._memberships.find_one({"conversationId": conversation_id, "userId": user_id})
        document = await self._conversations.find_one({"_id": conversation_id}, {"type": 1, "closedAt": 1})
        if mine is None or document is None:
            raise Refusal(ErrorCode.NOT_A_MEMBER)
        closed = document.get("closedAt") is not None
        rights.check(action, document["type"], mine["role"], closed=closed)

    async def conversations(
        self, viewer: str, limit: int, cursor: tuple[datetime, str] | None, archived: bool = False
    ) -> tuple[list[Conversation], tuple[datetime, str] | None]:
        """A page of this person's conversations, newest activity first, and where the next one begins.

        Either those that they archived, or all others.
        """
        mine = {d["conversationId"]: d async for d in self._memberships.find({"userId": viewer})}
        hidden = await self._archived(mine)
        wanted = [conversation_id for conversation_id in mine if (conversation_id in hidden) == archived]
        query: dict[str, Any] = {"_id": {"$in": wanted}, "deletedAt": {"$exists": False}}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"lastActivityAt": {"$lt": at}}, {"lastActivityAt": at, "_id": {"$lt": last_id}}]
        found = (
            self._conversations.find(query, WITHOUT_CHANGE).sort([("lastActivityAt", -1), ("_id", -1)]).limit(limit + 1)
        )
        documents = [document async for document in found]
        more = len(documents) > limit
        documents = documents[:limit]
        following = (documents[-1]["lastActivityAt"], documents[-1]["_id"]) if more else None
        return await self._views(viewer, documents, mine, limits.MEMBERS_IN_LIST), following

    async def _archived(self, mine: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Those of these memberships' conversations that are archived. Nobody's messages are read for who archives none."""
        perhaps = [conversation_id for conversation_id, m in mine.items() if m.get("archivedSeq") is not None]
        fronts = await self.fronts(perhaps) if perhaps else {}
        return {c for c in perhaps if is_archived(mine[c]["archivedSeq"], mine[c]["muted"], fronts.get(c, Front()).seq)}

    async def members(
        self, conversation_id: str, limit: int, cursor: tuple[datetime, str] | None
    ) -> tuple[list[Member], tuple[datetime, str] | None]:
        """A page of the members, longest-standing first, and where the next one begins."""
        query: dict[str, Any] = {"conversationId": conversation_id}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"joinedAt": {"$gt": at}}, {"joinedAt": at, "userId": {"$gt": last_id}}]
        found = self._memberships.find(query).sort([("joinedAt", 1), ("userId", 1)]).limit(limit + 1)
        documents = [document async for document in found]
        more = len(documents) > limit
        documents = documents[:limit]
        profiles = await self._profiles(d["userId"] for d in documents)
        following = (documents[-1]["joinedAt"], documents[-1]["userId"]) if more else None
        return [_member(document, profiles) for document in documents], following

    async def find_members(
        self, conversation_id: str, query: str, limit: int, after: str | None
    ) -> tuple[list[Member], str | None]:
        """Members one of whose words begins with the query, by id, and where the next page begins."""
        # From whom it may mean to whether they are in it: a large conversation is never read as a whole.
        pipeline: list[dict[str, Any]] = [
            {"$match": {"words": _beginning(query), **({} if after is None else {"_id": {"$gt": after}})}},
            {"$sort": {"_id": 1}},
            {
                "$lookup": {
                    "from": collections.MEMBERSHIPS.name,
                    "localField": "_id",
                    "foreignField": "userId",
                    "pipeline": [{"$match": {"conversationId": conversation_id}}],
                    "as": "memberships",
                }
            },
            {"$match": {"memberships": {"$ne": []}}},
            {"$limit": limit + 1},
        ]
        found = [document async for document in self._users.aggregate(pipeline, maxTimeMS=PATIENCE_MS)]
        following = found[limit - 1]["_id"] if len(found) > limit else None
        page = found[:limit]
        profiles = {document["_id"]: _profile(document) for document in page}
        return [_member(document["memberships"][0], profiles) for document in page], following

    async def _views(
        self, viewer: str, documents: Sequence[dict[str, Any]], mine: dict[str, Any], members: int
    ) -> list[Conversation]:
        pipeline: list[dict[str, Any]] = [
            {"$match": {"_id": {"$in": [document["_id"] for document in documents]}}},
            {"$project": {"_id": 1}},
            _of_each(collections.MESSAGES, "last", {"$sort": {"seq": -1}}, {"$limit": 1}, {"$project": HIDDEN}),
            _of_each(collections.MEMBERSHIPS, "members", {"$sort": {"joinedAt": 1, "userId": 1}}, {"$limit": members}),
        ]
        about = {d["_id"]: d async for d in self._conversations.aggregate(pipeline)}
        lasts = {document["_id"]: next(iter(about[document["_id"]]["last"]), None) for document in documents}
        heads = {conversation_id: last["seq"] if last else 0 for conversation_id, last in lasts.items()}
        unread = [
            conversation_id for conversation_id, head in heads.items() if head > mine[conversation_id]["lastReadSeq"]
        ]
        mentions = await self._unread_mentions(viewer, unread)
        counts = await self._member_counts(list(about))
        profiles = await self._profiles({member["userId"] for one in about.values() for member in one["members"]})
        views = []
        for document in documents:
            conversation_id = document["_id"]
            last, head = lasts[conversation_id], heads[conversation_id]
            found = about[conversation_id]
            views.append(
                Conversation(
                    id=conversation_id,
                    type=document["type"],
                    name=document.get("name"),
                    created_at=document["createdAt"],
                    created_by=document["createdBy"],
                    last_seq=head,
                    last_message=to_message(last) if last else None,
                    unread_count=max(0, head - mine[conversation_id]["lastReadSeq"]),
                    unread_mentions=mentions.get(conversation_id, 0),
                    members=[_member(member, profiles) for member in found["members"]],
                    member_count=counts.get(conversation_id, 0),
                    role=mine[conversation_id]["role"],
                    muted=mine[conversation_id]["muted"],
                    archived=is_archived(
                        mine[conversation_id].get("archivedSeq"), mine[conversation_id]["muted"], head
                    ),
                    public=document.get("public", False) if document["type"] == "channel" else None,
                    closed_at=document.get("closedAt"),
                )
            )
        return views

    async def _unread_mentions(self, viewer: str, unread: Sequence[str]) -> dict[str, int]:
        """How many messages above this person's mark mention them, for each of these conversations of theirs."""
        if not unread:
            return {}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"userId": viewer, "conversationId": {"$in": unread}}},
            _count_unread("named", {"mentions": viewer}, viewer),
            _count_unread("all", {"mentionAll": True, "mentions": {"$ne": viewer}}, viewer),
            {"$project": {"conversationId": 1, "count": {"$sum": {"$concatArrays": ["$named.count", "$all.count"]}}}},
        ]
        cursor = self._memberships.aggregate(pipeline)
        return {document["conversationId"]: document["count"] async for document in cursor}

    async def _member_counts(self, conversation_ids: Sequence[str]) -> dict[str, int]:
        """How many members each of these conversations has, out of an index."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"conversationId": {"$in": list(conversation_ids)}}},
            {"$group": {"_id": "$conversationId", "count": {"$sum": 1}}},
        ]
        return {document["_id"]: document["count"] async for document in self._memberships.aggregate(pipeline)}

    async def rosters(self, conversation_ids: Sequence[str], most: int) -> dict[str, list[str]]:
        """The members of each of these conversations, at most so many of each."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"_id": {"$in": list(conversation_ids)}}},
            _of_each(collections.MEMBERSHIPS, "members", {"$limit": most}, {"$project": {"_id": 0, "userId": 1}}),
            {"$project": {"members": 1}},
        ]
        cursor = self._conversations.aggregate(pipeline)
        return {d["_id"]: [member["userId"] for member in d["members"]] async for d in cursor}

    async def sharing(self, viewer: str, users: Sequence[str]) -> list[str]:
        """Those of these people who are in a conversation with the viewer, or are the viewer; in their order."""
        mine = [d["conversationId"] async for d in self._memberships.find({"userId": viewer}, {"conversationId": 1})]
        query = {"userId": {"$in": list(users)}, "conversationId": {"$in": mine}}
        found = {d["userId"] async for d in self._memberships.find(query, {"_id": 0, "userId": 1})}
        return [user for user in dict.fromkeys(users) if user in found or user == viewer]

    async def channels(
        self, viewer: str, query: str, limit: int, after: Sequence[str] | None
    ) -> tuple[list[Channel], bool]:
        """A page of public channels that are open, by name, after a name and id; and whether there are more.

        Those one of whose words begins with the query.
        """
        condition: dict[str, Any] = {"public": True, "closedAt": None}
        if query:
            condition["words"] = _beginning(query)
        if after is not None:
            name, last_id = after
            condition["$or"] = [{"name": {"$gt": name}}, {"name": name, "_id": {"$gt": last_id}}]
        cursor = self._conversations.find(condition, WITHOUT_CHANGE).sort([("name", 1), ("_id", 1)]).limit(limit + 1)
        found = [document async for document in cursor]
        ids = [document["_id"] for document in found[:limit]]
        mine = await self.memberships(viewer, ids)
        counts = await self._member_counts(ids)
        shown = [
            Channel(
                id=document["_id"],
                name=document["name"],
                created_at=document["createdAt"],
                member_count=counts.get(document["_id"], 0),
                joined=document["_id"] in mine,
            )
            for document in found[:limit]
        ]
        return shown, len(found) > limit

    async def audit(
        self, conversation_id: str, limit: int, cursor: tuple[datetime, str] | None
    ) -> tuple[list[AuditEntry], tuple[datetime, str] | None]:
        """A page of who changed what, newest first, and where the next one begins."""
        query: dict[str, Any] = {"conversationId": conversation_id}
        if cursor is not None:
            at, last_id = cursor
            query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": last_id}}]
        found = [d async for d in self._audit.find(query).sort([("at", -1), ("_id", -1)]).limit(limit + 1)]
        more = len(found) > limit
        for document in found:
            if "roles" in document:
                document["roles"] = dict(document["roles"])
        people = {document["_id"]: _concerned(document) for document in found[:limit]}
        profiles = await self._profiles(set().union(*people.values()))
        entries = []
        for document in found[:limit]:
            names = {user: profiles[user].user_name for user in people[document["_id"]] if user in profiles}
            entries.append(AuditEntry.model_validate({**document, "id": document["_id"], "names": names or None}))
        return entries, (entries[-1].at, entries[-1].id) if more else None

    # ----------------------------------------------------------------------------------------------- people

    async def presence(self, user_ids: Sequence[str]) -> dict[str, Stored]:
        """What is kept of these people's presence; nothing of those who never chose and never left."""
        cursor = self._presence.find({"_id": {"$in": list(user_ids)}})
        return {d["_id"]: Stored(d.get("chosen", "online"), d.get("lastSeenAt")) async for d in cursor}

    async def profile(self, user_id: str) -> Profile | None:
        """A person, if their token was ever seen."""
        return await self._profile.ask(user_id)

    async def _read_profiles(self, user_ids: Sequence[str]) -> dict[str, Profile | None]:
        return dict.fromkeys(user_ids) | await self._profiles(user_ids)

    async def people(self, query: str, limit: int, after: str | None) -> tuple[list[Profile], str | None]:
        """People one of whose words begins with the query, by id, and where the next page begins."""
        condition: dict[str, Any] = {}
        if query:
            condition["words"] = _beginning(query)
        if after is not None:
            condition["_id"] = {"$gt": after}
        found = [d async for d in self._users.find(condition).sort("_id", 1).limit(limit + 1)]
        following = found[limit - 1]["_id"] if len(found) > limit else None
        return [_profile(document) for document in found[:limit]], following

    async def _profiles(self, user_ids: Iterable[str]) -> dict[str, Profile]:
        found = await self._users.find({"_id": {"$in": list(user_ids)}}).to_list(None)
        return {document["_id"]: _profile(document) for document in found}


def _of_each(collection: collections.Collection, name: str, *stages: dict[str, Any]) -> dict[str, Any]:
    """What these stages make of a collection's documents about each conversation, as a list with that name."""
    return {
        "$lookup": {
            "from": collection.name,
            "localField": "_id",
            "foreignField": "conversationId",
            "pipeline": list(stages),
            "as": name,
        }
    }


def _count_unread(name: str, mentioned: dict[str, Any], viewer: str) -> dict[str, Any]:
    """Counts, beside a membership, the messages above its mark that are such mentions, out of their small index."""
    others = {"senderId": {"$ne": viewer}, "isDeleted": {"$ne": True}}
    return {
        "$lookup": {
            "from": collections.MESSAGES.name,
            "localField": "conversationId",
            "foreignField": "conversationId",
            "let": {"read": "$lastReadSeq"},
            "pipeline": [
                {"$match": {**mentioned, **others, "$expr": {"$gt": ["$seq", "$$read"]}}},
                {"$count": "count"},
            ],
            "as": name,
        }
    }


def _beginning(query: str) -> dict[str, str]:
    """What begins with the query. No name has a NUL (their readers see to it), and MongoDB takes no such expression."""
    return {"$regex": "^" + re.escape(query.casefold().replace("\0", ""))}


def _profile(document: dict[str, Any]) -> Profile:
    return Profile(user_id=document["_id"], user_name=document["userName"], avatar=document["avatar"])


def _concerned(entry: dict[str, Any]) -> set[str]:
    """Everybody of whom an entry of the audit trail tells."""
    return {entry["actorId"], *(entry.get("userIds") or ()), *(entry.get("roles") or ())}


def _member(document: dict[str, Any], profiles: dict[str, Profile]) -> Member:
    user_id = document["userId"]
    known = profiles.get(user_id)
    return Member(
        user_id=user_id,
        user_name=known.user_name if known else user_id,
        avatar=known.avatar if known else None,
        role=document["role"],
        last_read_seq=document["lastReadSeq"],
        joined_at=document["joinedAt"],
    )

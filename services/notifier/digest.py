"""What somebody has not read and no mail has told them of: mentions, and what was written to them alone.

The ledger, `digests`, has one document for each person and conversation: up to which message something may be worth a mail
(`wantedSeq`), and up to which a mail has told of it, or none needs to (`mailedSeq`). What is in a mail is read when it is
written, so that it is what is unread then. A mail on its way is noted with its person (`emails`, `sending`) before it is
handed over:

    prepared   it has an id, and bounds; it may be sent, also again
    handing    the mail server is about to take it, or has: nobody can tell, so it counts as sent

So nobody gets two mails for the same messages. One is lost only where we die, or the line breaks, in that very moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import uuid_utils
from pymongo import UpdateOne

from contracts import collections
from contracts.notifying import Delivery
from contracts.shape import now
from services.mongo import Database
from services.notifier.letter import Line, Part

SHOWN = 10  # messages of one conversation
CONVERSATIONS = 20  # in one mail; those that were noted first, the others in the next
# After which a look that was due is taken for lost, with the data of the broker. If it is only late there are two, and the
# second one finds nothing.
OVERDUE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Sending:
    """A mail that is prepared: its id, and for each conversation up to which message it goes."""

    id: str
    bounds: Mapping[str, int]


class Unread(NamedTuple):
    """What a mail is to say: its parts, for each of these how far it goes, and whether there is more for another one."""

    parts: list[Part]
    bounds: dict[str, int]
    more: bool


class Digests:
    """Reads and keeps the ledger."""

    def __init__(self, database: Database) -> None:
        self._digests = database[collections.DIGESTS.name]
        self._emails = database[collections.EMAILS.name]
        self._messages = database[collections.MESSAGES.name]
        self._memberships = database[collections.MEMBERSHIPS.name]
        self._conversations = database[collections.CONVERSATIONS.name]

    async def note(self, delivery: Delivery) -> bool:
        """Something may be worth a mail. Returns whether its person wants mails, and none is due yet."""
        place = {"userId": delivery.user_id, "conversationId": delivery.conversation_id}
        await self._digests.update_one(place, {"$max": {"wantedSeq": delivery.seq}}, upsert=True)
        wanted = {"_id": delivery.user_id, "digest": True}
        person = await self._emails.find_one(wanted, {"dueAt": 1})
        return person is not None and ("dueAt" not in person or person["dueAt"] < now() - OVERDUE)

    async def is_due(self, user_id: str, moment: datetime) -> None:
        """A mail will be looked at then; until that, no other is."""
        await self._emails.update_one({"_id": user_id}, {"$set": {"dueAt": moment}})

    async def begin(self, user_id: str) -> dict[str, Any] | None:
        """Where this person wants their mails, if they do. What is noted from now on will be due later."""
        await self._emails.update_one({"_id": user_id}, {"$unset": {"dueAt": ""}})
        person: dict[str, Any] | None = await self._emails.find_one({"_id": user_id, "digest": True})
        sending = (person or {}).get("sending")
        if sending is not None and sending["state"] == "handing":
            await self.finish(user_id, _sending(sending))
        return person

    async def prepare(self, user_id: str) -> tuple[Sending, Unread] | None:
        """What a mail is to say now, noted under an id; None where there is nothing. One that was prepared goes on."""
        person = await self._emails.find_one({"_id": user_id}) or {}
        if (noted := person.get("sending")) is not None:
            sending = _sending(noted)
            unread = await self._unread(user_id, sending.bounds)
            if unread.parts:
                return sending, unread
            await self.drop(user_id, sending)  # all of it was read meanwhile
        unread = await self._unread(user_id, None)
        if not unread.parts:
            return None
        sending = Sending(uuid_utils.uuid7().hex, unread.bounds)
        noted = {"id": sending.id, "state": "prepared", "bounds": [list(bound) for bound in unread.bounds.items()]}
        claimed = await self._emails.update_one(
            {"_id": user_id, "sending": {"$exists": False}}, {"$set": {"sending": noted}}
        )
        if not claimed.modified_count:
            return None  # another look at the same has
        return await self.prepare(user_id)  # which sees what another look told of since this one has read

    async def hand_over(self, user_id: str, sending: Sending) -> bool:
        """The mail server is about to get it. Returns False where somebody else is doing so, or has."""
        result = await self._emails.update_one(
            {"_id": user_id, "digest": True, "sending.id": sending.id, "sending.state": "prepared"},
            {"$set": {"sending.state": "handing"}},
        )
        return bool(result.modified_count)

    async def take_back(self, user_id: str, sending: Sending) -> None:
        """The mail server has said that it did not take it."""
        await self._emails.update_one(
            {"_id": user_id, "sending.id": sending.id}, {"$set": {"sending.state": "prepared"}}
        )

    async def finish(self, user_id: str, sending: Sending) -> None:
        """No other mail tells of these. In this order, so that it is done again after a crash in between."""
        await self._advance(user_id, sending.bounds)
        await self.drop(user_id, sending)

    async def drop(self, user_id: str, sending: Sending) -> None:
        """Forget that it was prepared."""
        await self._emails.update_one({"_id": user_id, "sending.id": sending.id}, {"$unset": {"sending": ""}})

    async def switch_off(self, user_id: str, address: str) -> None:
        """This address does not exist, says its mail server: nothing more is sent there."""
        await self._emails.update_one(
            {"_id": user_id, "address": address}, {"$set": {"digest": False, "refusedAt": now()}}
        )

    async def _unread(self, user_id: str, bounds: Mapping[str, int] | None) -> Unread:
        """What is unread now, of what is noted (within these bounds, if there are), and how far it goes."""
        noted = {"userId": user_id, "$expr": {"$gt": ["$wantedSeq", {"$ifNull": ["$mailedSeq", 0]}]}}
        parts: list[Part] = []
        reached: dict[str, int] = {}
        over: dict[str, int] = {}
        more = False
        async for document in self._digests.find(noted, sort=[("_id", 1)]):
            conversation = document["conversationId"]
            last = document["wantedSeq"] if bounds is None else bounds.get(conversation, 0)
            if len(parts) == CONVERSATIONS or not last:
                more = True
                continue
            part = await self._part(user_id, conversation, document.get("mailedSeq", 0), last)
            if part is None:
                over[conversation] = last
            else:
                parts.append(part)
                reached[conversation] = last
        await self._advance(user_id, over)  # else it would be looked at again for ever
        return Unread(parts, reached, more)

    async def _advance(self, user_id: str, bounds: Mapping[str, int]) -> None:
        """No mail tells of these any more."""
        if bounds:
            await self._digests.bulk_write(
                [
                    UpdateOne({"userId": user_id, "conversationId": conversation}, {"$max": {"mailedSeq": seq}})
                    for conversation, seq in bounds.items()
                ]
            )

    async def _part(self, user_id: str, conversation_id: str, mailed: int, last: int) -> Part | None:
        pair = {"conversationId": conversation_id, "userId": user_id}
        member = await self._memberships.find_one(pair, {"lastReadSeq": 1})
        conversation = await self._conversations.find_one({"_id": conversation_id}, {"type": 1, "name": 1})
        after = max(mailed, member["lastReadSeq"] if member else last)
        if after >= last or conversation is None:
            return None
        direct = conversation["type"] == "direct"
        wanted = {
            "conversationId": conversation_id,
            "seq": {"$gt": after, "$lte": last},
            "senderId": {"$ne": user_id},
            "isDeleted": {"$ne": True},
            **({} if direct else {"$or": [{"mentions": user_id}, {"mentionAll": True}]}),
        }
        count = await self._messages.count_documents(wanted)
        found = self._messages.find(wanted, {"senderName": 1, "content": 1, "createdAt": 1}).sort("seq", 1).limit(SHOWN)
        lines = [Line(one["senderName"], one["content"], one["createdAt"]) async for one in found]
        if not lines:
            return None
        return Part(conversation_id, None if direct else conversation.get("name") or "…", lines, count - len(lines))


def _sending(noted: Mapping[str, Any]) -> Sending:
    return Sending(noted["id"], {conversation: seq for conversation, seq in noted["bounds"]})

"""Replies: what a message quotes of the one that it replies to, and how many replies that one has."""

from collections.abc import Collection, Sequence
from typing import Any

from pymongo import UpdateOne

from contracts import collections
from contracts.commands import SendMessage
from contracts.limits import PREVIEW_LENGTH
from services.mongo import Database

Quotes = dict[tuple[str, str], dict[str, Any]]  # by conversation and message
NONE = {"count": 0, "lastSeq": 0}


async def quotes(database: Database, commands: Sequence[SendMessage]) -> Quotes:
    """What each of these messages that are replies quotes, as it is stored; nothing for a message that is not there."""
    wanted = [command.reply_to for command in commands if command.reply_to is not None]
    if not wanted:
        return {}
    fields = {"conversationId": 1, "seq": 1, "senderId": 1, "senderName": 1, "content": 1, "isDeleted": 1}
    cursor = database[collections.MESSAGES.name].find({"_id": {"$in": wanted}}, fields)
    return {(document["conversationId"], document["_id"]): _quote(document) async for document in cursor}


def _quote(document: dict[str, Any]) -> dict[str, Any]:
    quote = {
        "messageId": document["_id"],
        "seq": document["seq"],
        "senderId": document["senderId"],
        "senderName": document["senderName"],
        "preview": document["content"][:PREVIEW_LENGTH],
    }
    return quote | {"preview": "", "isDeleted": True} if document.get("isDeleted") else quote


async def count_replies(database: Database, parents: Collection[tuple[str, str]]) -> None:
    """Count the replies to these messages, of which each is named by its conversation and its id.

    Only those above `lastSeq` are looked at, so a long thread costs no more than a short one. `count` belongs to
    `lastSeq`, since nothing is ever stored below a seq that can be seen; both only rise, whoever writes them and however
    often.
    """
    messages = database[collections.MESSAGES.name]
    found = messages.find({"_id": {"$in": [message_id for _, message_id in parents]}}, {"replies": 1})
    known = {document["_id"]: document.get("replies", NONE) async for document in found}
    above = [
        {"conversationId": conversation_id, "replyTo": message_id, "seq": {"$gt": known[message_id]["lastSeq"]}}
        for conversation_id, message_id in parents
        if message_id in known  # else it was purged meanwhile
    ]
    if not above:
        return
    added = messages.aggregate(
        [
            {"$match": {"$or": above}},
            {
                "$group": {
                    "_id": {"conversationId": "$conversationId", "messageId": "$replyTo"},
                    "count": {"$sum": 1},
                    "lastSeq": {"$max": "$seq"},
                }
            },
        ]
    )
    writes = [
        UpdateOne(
            {"_id": new["_id"]["messageId"], "conversationId": new["_id"]["conversationId"]},
            {
                "$max": {
                    "replies.count": known[new["_id"]["messageId"]]["count"] + new["count"],
                    "replies.lastSeq": new["lastSeq"],
                }
            },
        )
        async for new in added
    ]
    if writes:
        await messages.bulk_write(writes, ordered=False)


async def empty_previews(database: Database, conversation_id: str, message_id: str) -> None:
    """Show nothing more of a deleted message in the replies to it. Repeating it changes nothing."""
    await database[collections.MESSAGES.name].update_many(
        # Replies that were stored before there were quotes have none.
        {"conversationId": conversation_id, "replyTo": message_id, "reply": {"$exists": True}},
        {"$set": {"reply.preview": "", "reply.isDeleted": True}},
    )

"""Whoever searches finds what was said to them, all of it, newest first, and nothing else."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.commands import IndexMessages
from contracts.errors import Refusal
from contracts.shape import now
from contracts.words import BLOCK
from services.gateway.search import MongoSearch, Place, Query, words_searched
from services.mongo import Database
from services.persister import search_index
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, new_id, store_conversation
from tests.support.faults import Fault
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
BEGIN = now() - timedelta(days=1)


async def said(database: Database, *contents: str, sender: str = "alice", start: int = 0, **fields: Any) -> str:
    """A conversation of Alice and Bob where this was said, a second each; not indexed."""
    cid = await store_conversation(database, {"alice": "admin", "bob": "member"}, name="Room")
    documents = [
        {
            "_id": new_id(),
            "conversationId": cid,
            "seq": seq,
            "senderId": sender,
            "senderName": sender.title(),
            "senderAvatar": None,
            "content": content,
            "createdAt": BEGIN + timedelta(seconds=start + seq),
            **fields,
        }
        for seq, content in enumerate(contents, 1)
    ]
    if documents:
        await database.messages.insert_many(documents)
    return cid


async def index_all(database: Database, conversation_id: str, blocks: Sequence[int]) -> None:
    for block in blocks:
        await search_index.index(database, make_command(IndexMessages, conversation_id=conversation_id, block=block))


async def found(database: Database, text: str, user: str = "alice", page: int = 100, **fields: Any) -> list[str]:
    """The contents that somebody finds, page after page."""
    search, place, contents = MongoSearch(database), None, []
    while True:
        items, place = await search.find(user, Query(words_searched(text), **fields), page, place)
        assert len(items) == page or place is None
        contents += [item.message.content for item in items]
        if place is None:
            return contents


# ------------------------------------------------------------------------------------------------ what matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("ete", ["Un ÉTÉ chaud", "e\u0301te\u0301 aussi", "eternal"]),
        ("été chaud", ["Un ÉTÉ chaud"]),
        ("chau ét", ["Un ÉTÉ chaud"]),
        ("haud", []),
        ("strasse", ["Hauptstraße? Straße!"]),
        ("STRAß", ["Hauptstraße? Straße!"]),
        ("-ete", ["Un ÉTÉ chaud", "e\u0301te\u0301 aussi", "eternal"]),
        ('"ete" \0 chaud OR', []),
        ("a.b", ["a b"]),
        ("мир", ["Война и Мир"]),
    ],
)
async def test_words_are_found_by_their_beginnings_whatever_their_case_and_accents(
    database: Database, text: str, matches: list[str]
) -> None:
    contents = ["eternal", "e\u0301te\u0301 aussi", "Un ÉTÉ chaud", "Hauptstraße? Straße!", "a b", "axb", "Война и Мир"]
    await said(database, *contents)
    assert sorted(await found(database, text)) == sorted(matches)
    # The same from the index: as many others before them as fill the block.
    await database.messages.delete_many({})
    cid = await said(database, *contents, *["filler"] * (BLOCK - len(contents)))
    await index_all(database, cid, [0])
    assert await database.search.count_documents({"conversationId": cid}) == 1
    assert sorted(await found(database, text)) == sorted(matches)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\u00f6" * 200, "o" * 200),
        ("\u00df" * 100, "s" * 200),
        ("x\u0301" * 100, "X" * 100),
        ("ffi" * 200, "\ufb03" * 200),
    ],
    ids=["umlauts", "sharp", "marks", "ligatures"],
)
async def test_a_word_may_be_as_long_as_a_search(database: Database, content: str, text: str) -> None:
    (word,) = words_searched(text)
    await said(database, content, word[:-1], f"a{word}")
    assert await found(database, text) == [content]


async def test_sender_date_and_conversation_narrow_it(database: Database) -> None:
    one = await said(database, "hello 1", "hello 2", "hello 3")
    other = await said(database, "hello 4", sender="bob", start=10)
    assert await found(database, "hello") == ["hello 4", "hello 3", "hello 2", "hello 1"]
    assert await found(database, "hello", sender_id="bob") == ["hello 4"]
    assert await found(database, "hello", conversation_id=one) == ["hello 3", "hello 2", "hello 1"]
    assert await found(database, "hello", conversation_id=other, sender_id="alice") == []
    two = BEGIN + timedelta(seconds=2)
    assert await found(database, "hello", after=two, before=BEGIN + timedelta(seconds=3)) == ["hello 2"]


async def test_nobody_finds_what_was_not_said_to_them(database: Database) -> None:
    cid = await said(database, *["secret"] * BLOCK, "secret")
    await index_all(database, cid, [0])
    deleted = await said(database, "secret")
    await database.conversations.update_one({"_id": deleted}, {"$set": {"deletedAt": now()}})
    assert len(await found(database, "secret")) == BLOCK + 1
    assert await found(database, "secret", user="third") == []
    with pytest.raises(Refusal) as refused:
        await found(database, "secret", user="third", conversation_id=cid)
    assert refused.value.code == "NOT_A_MEMBER"
    await database.memberships.delete_one({"conversationId": cid, "userId": "bob"})
    assert await found(database, "secret", user="bob") == []


async def test_deleted_messages_are_not_found(database: Database) -> None:
    await said(database, "gone with the wind", isDeleted=True)
    assert await found(database, "wind") == []


# --------------------------------------------------------------------------------------------- order and pages


@pytest.mark.parametrize("indexed", ["all", "some", "none"])
async def test_pages_have_each_match_once_newest_first_however_much_is_indexed(
    database: Database, indexed: str
) -> None:
    rnd = random.Random(indexed)
    vocabulary = [f"word{n}" for n in range(200)]
    documents: list[tuple[datetime, str, str]] = []
    for at in range(4):
        contents = [" ".join(rnd.choices(vocabulary, k=5)) + f" {at}-{n}" for n in range(3 * BLOCK + 10 * at)]
        cid = await said(database, *contents, start=at * 100)
        full = range(len(contents) // BLOCK)
        await index_all(database, cid, {"all": full, "some": [1], "none": []}[indexed])
    async for document in database.messages.find():
        documents.append((document["createdAt"], document["_id"], document["content"]))
    documents.sort(reverse=True)
    for text in ("word7 word1", "word1", "word199", "nothing"):
        words = text.split()
        expected = [
            content
            for _, _, content in documents
            if all(any(part.startswith(word) for part in content.split()) for word in words)
        ]
        assert await found(database, text, page=7) == expected
    assert any("word199" in content for _, _, content in documents)


async def test_a_snippet_shows_the_place_and_counts_as_browsers_do(database: Database) -> None:
    await said(database, "🙂" * 100 + " needles and a Needle " + "x" * 300)
    ((item,), _) = await MongoSearch(database).find("bob", Query(["needle"]), 10, None)
    units = item.snippet.encode("utf-16-le")
    shown = [units[2 * start : 2 * end].decode("utf-16-le") for start, end in item.highlights]
    assert shown == ["needles", "Needle"]
    assert len(item.snippet) <= 160
    assert (item.conversation_name, item.message.content[:2]) == ("Room", "🙂🙂")


# ------------------------------------------------------------------------------------------------- the index


async def test_the_last_message_of_a_block_has_it_indexed(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database)
    async with Persister(settings, database) as persister:
        await tap.publish(*(make_message(cid, f"hello {n}") for n in range(1, BLOCK + 3)))
        await persister.all_done(tap)
    (entry,) = [entry async for entry in database.search.find()]
    assert (entry["conversationId"], entry["block"], entry["words"].split()[-1]) == (cid, 0, "hello")
    assert await found(database, f"hello {BLOCK}") == [f"hello {BLOCK}"]
    assert await found(database, f"hello {BLOCK + 2}") == [f"hello {BLOCK + 2}"]


async def test_a_death_at_any_step_of_indexing_leaves_nothing_out(
    settings: Settings, database: Database, tap: Tap
) -> None:
    at = 0
    while True:
        at += 1
        cid = await said(database, *(f"hello {n}" for n in range(1, BLOCK)))
        persister = Persister(settings, database, Fault("dies", at))
        async with persister:
            await tap.publish(make_message(cid, "the last one"))
            died = await persister.acknowledged_or_faulty(2)
        if died:
            async with Persister(settings, database) as following:
                await following.all_done(tap)
        assert await database.search.count_documents({"conversationId": cid}) == 1, at
        assert await found(database, "last", conversation_id=cid) == ["the last one"]
        if not died:
            assert at > 5
            return


async def test_a_block_is_indexed_again_with_what_was_edited(database: Database) -> None:
    cid = await said(database, *["before"] * BLOCK)
    await index_all(database, cid, [0])
    await database.messages.update_one({"conversationId": cid, "seq": 5}, {"$set": {"content": "afterwards"}})
    for command in search_index.follow_ups(make_message(cid), cid, 5, edited=True):
        await search_index.index(database, command)
    assert await found(database, "afterwards") == ["afterwards"]


async def test_what_is_not_full_or_not_there_has_no_entry(database: Database) -> None:
    cid = await said(database, *["hello"] * (BLOCK - 1))
    await index_all(database, cid, [0, 1])
    assert await database.search.count_documents({}) == 0


async def test_a_page_is_found_by_looking_into_few_messages(database: Database) -> None:
    cid = await said(database, *(f"only{n} hello" for n in range(20 * BLOCK)))
    await index_all(database, cid, range(20))
    await database.command("profile", 2)
    assert await found(database, "only777") == ["only777 hello"]
    items, place = await MongoSearch(database).find("alice", Query(["hello"]), 10, None)
    assert (len(items), isinstance(place, Place)) == (10, True)
    await database.command("profile", 0)
    reads = [d async for d in database["system.profile"].find({"ns": {"$regex": "messages$"}, "op": "query"})]
    assert all("COLLSCAN" not in str(read["planSummary"]) for read in reads)
    one, newest = [read["docsExamined"] for read in sorted(reads, key=lambda read: read["ts"])]
    assert one <= BLOCK
    assert newest <= 16 * BLOCK

"""Searching a long conversation, and what being searchable costs each message, beside MongoDB's own text index."""

import random
import time
from collections.abc import AsyncIterator
from itertools import accumulate
from typing import Any, cast
from urllib.parse import quote

from pymongo.asynchronous.database import AsyncDatabase

from bench import seeding
from bench.processes import CpuMeter
from bench.report import Result, latencies, percentile
from bench.rest import Rest
from bench.target import Target
from contracts import collections
from contracts.commands import IndexMessages, Origin
from contracts.conversation import Profile
from contracts.shape import now
from contracts.words import BLOCK
from services.persister import search_index

SEARCHES = 200
INSERTED, AT_ONCE = 20_000, 20  # as a persister inserts under load
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS, RARE = 30_000, 20_000  # of the vocabulary; by rank, as often as words of a language are (Zipf)


class Talk:
    """Contents with words as frequent as those of a language."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        length = self._random.randint
        self.words = ["".join(self._random.choices(LETTERS, k=length(3, 9))) for _ in range(WORDS)]
        self._weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))

    def content(self) -> str:
        """Four to sixteen words."""
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=self._random.randint(4, 16)))


async def search(target: Target, messages: int) -> Result:
    """The newest 20 matches of a frequent word, of a rare one, of two and of none, in a conversation of so many."""
    result = Result(f"Search: a conversation of {messages:,}")
    talk = Talk()
    people = await target.people(2)
    conversation_id = await target.room("bench search", people)
    async with seeding.database(target) as db:
        for name, cost in [(name, cost) async for name, cost in _costs(target, db, talk)]:
            result.rows.append((f"MongoDB's CPU a message, {name}", f"{cost:,.0f} µs"))
            result.figures[f"MongoDB's CPU µs a message, {name}"] = cost
        await seeding.messages(target, conversation_id, messages, people[0], talk.content)
        meter = CpuMeter(target.pids)
        meter.start()
        for block in range(messages // BLOCK):
            await search_index.index(cast(Any, db), _index(conversation_id, block))
        used = meter.stop()
        for name, process in (("MongoDB", "mongodb"), ("Python", "load generator")):
            if process in used:
                cost = used[process] * 1e6 / messages
                result.rows.append((f"indexing a block: CPU a message, {name}", f"{cost:,.1f} µs"))
                result.figures[f"indexing blocks: CPU µs a message, {name}"] = cost
        stats = await db.command("collStats", collections.SEARCH.name)
        result.rows.append(("its entries and indexes", f"{(stats['storageSize'] + stats['totalIndexSize']) >> 20} MiB"))
    rare, common = talk.words[RARE], talk.words[50]
    url, _ = target.urls[0]
    meter.start()
    async with Rest(url, people[0].token) as rest:
        for name, query in {"frequent": common, "rare": rare, "both": f"{common} {rare}", "none": "nowhere"}.items():
            delays = []
            for _ in range(SEARCHES // 4):
                start = time.perf_counter()
                page = await rest.get(f"/api/search?q={quote(query)}&conversationId={conversation_id}")
                delays.append(time.perf_counter() - start)
                seqs = [item["message"]["seq"] for item in page["items"]]
                if seqs != sorted(seqs, reverse=True) or (name == "frequent" and len(seqs) != 20):
                    result.faults.append(f"the matches of {query} are not the newest first")
            result.rows += latencies(f"search, {name}", delays)
            result.figures[f"search of {messages:,}, {name}, p50, ms"] = percentile(delays, 0.5) * 1000
    result.cpu, result.unit, result.count = meter.stop(), "search", SEARCHES
    return result


def _index(conversation_id: str, block: int) -> IndexMessages:
    return IndexMessages(
        id="0" * 32,
        origin=Origin(gateway_id="bench"),
        actor=Profile(user_id="bench", user_name="Bench", avatar=None),
        expires_at=now(),
        conversation_id=conversation_id,
        block=block,
    )


async def _costs(target: Target, db: AsyncDatabase[seeding.Document], talk: Talk) -> AsyncIterator[tuple[str, float]]:
    """CPU microseconds of an inserted message: with the indexes that there are, and with a text index beside them."""
    for name in ("without a text index", "with a text index"):
        scratch = db[f"bench {name}"]
        for index in collections.MESSAGES.indexes:
            only: dict[str, Any] = {"partialFilterExpression": index.only} if index.only else {}
            await scratch.create_index(list(index.keys), unique=index.unique, **only)
        if name == "with a text index":
            await scratch.create_index([("conversationId", 1), ("content", "text")], default_language="none")
        meter = CpuMeter(target.pids)
        meter.start()
        for first in range(1, INSERTED + 1, AT_ONCE):
            await scratch.insert_many(
                [
                    {"conversationId": f"c{seq % 10}", "seq": seq, "senderId": "u", "tempId": f"t{seq}"}
                    | {"content": talk.content(), "createdAt": now()}
                    for seq in range(first, first + AT_ONCE)
                ]
            )
        used = meter.stop()
        await scratch.drop()
        if "mongodb" in used:
            yield name, used["mongodb"] * 1e6 / INSERTED

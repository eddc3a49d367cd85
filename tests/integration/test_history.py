"""What is stored, as a gateway reads it: pages that meet, bounds that are kept, and nothing that is not the reader's."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from contracts.errors import ErrorCode, Refusal
from contracts.message import Message
from services import mongo
from services.gateway.history import History, reading
from services.mongo import Database
from services.persister.messages import send_all
from services.persister.rooms import Rooms
from services.persister.settings import Settings
from tests.support.builders import make_message, new_id
from tests.support.persister import note, talk
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration
Cursor = tuple[datetime, str] | None


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


def seqs(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages]


async def test_pages_backwards_meet_and_end(database: Database, history: History) -> None:
    cid = await talk(database, 7)
    assert seqs(await history.newest(cid, 3)) == [5, 6, 7]
    assert seqs(await history.newest(cid, 3, below=5)) == [2, 3, 4]
    assert seqs(await history.newest(cid, 3, below=2)) == [1]
    assert await history.newest(cid, 3, below=1) == []


async def test_pages_forwards_meet_and_end(database: Database, history: History) -> None:
    cid = await talk(database, 7)
    assert seqs(await history.after(cid, 0, 3)) == [1, 2, 3]
    assert seqs(await history.after(cid, 3, 3)) == [4, 5, 6]
    assert seqs(await history.after(cid, 6, 3)) == [7]
    assert await history.after(cid, 7, 3) == []


async def test_what_was_missed_lies_between_its_bounds_and_a_replay_has_its_last(
    database: Database, history: History
) -> None:
    cid = await talk(database, 5)
    assert seqs(await history.missed(cid, 1, 5)) == [2, 3, 4]
    assert seqs(await history.missed(cid, 0, 1)) == []
    assert [message.seq for message in await history.replay(cid, 3)] == [4, 5]
    assert [message.seq for message in await history.replay(cid, 1, 3)] == [2, 3]
    assert await history.replay(cid, 9) == []


async def test_only_this_conversation_is_read(database: Database, history: History) -> None:
    cid, _ = await talk(database, 2), await talk(database, 3)
    for read in (history.newest(cid, 10), history.after(cid, 0, 10), history.missed(cid, 0, 9)):
        assert {message.conversation_id for message in await read} == {cid}
    replayed = [Message.decode(message.body) for message in await history.replay(cid, 0)]
    assert [message.conversation_id for message in replayed] == [cid, cid]


async def test_a_temp_id_is_shown_to_its_sender_only(database: Database, history: History) -> None:
    cid = await talk(database, 4)
    reads: list[Callable[[str | None], Awaitable[list[Message]]]] = [
        lambda viewer: history.newest(cid, 10, viewer=viewer),
        lambda viewer: history.after(cid, 0, 10, viewer=viewer),
    ]
    for read in reads:
        assert [message.temp_id for message in await read("alice")] == ["t1", None, "t3", None]
        assert [message.temp_id for message in await read("bob")] == [None, "t2", None, "t4"]

    first, second, *_ = await history.newest(cid, 10)
    assert (await history.message(cid, first.id, "alice")).temp_id == "t1"
    assert (await history.message(cid, second.id, "alice")).temp_id is None
    assert all(b"tempHash" not in message.encode() for message in await history.newest(cid, 10, viewer="alice"))


async def test_what_was_missed_keeps_the_temp_id_for_its_sender(database: Database, history: History) -> None:
    cid = await talk(database, 4)
    assert [message.temp_id for message in await history.missed(cid, 0, 5)] == ["t1", "t2", "t3", "t4"]


async def test_a_message_that_is_not_there_is_not_found(database: Database, history: History) -> None:
    cid, other = await talk(database, 1), await talk(database, 1)
    (elsewhere,) = await history.newest(other, 1)
    for message_id in (new_id(), elsewhere.id):
        with pytest.raises(Refusal) as refusal:
            await history.message(cid, message_id, "alice")
        assert refusal.value.code == ErrorCode.NOT_FOUND


async def test_a_thread_is_read_in_order_and_in_pages(database: Database, history: History) -> None:
    cid = await talk(database, 2)
    first, second = await history.newest(cid, 2)
    for target in (first, second, first, first):
        outcomes = await send_all(database, Rooms(), [make_message(cid, "r", reply_to=target.id, temp_id=new_id())])
        await note(database, outcomes.values())
    assert seqs(await history.replies(cid, first.id, 0, 2, "alice")) == [3, 5]
    page = await history.replies(cid, first.id, 5, 2, "alice")
    assert seqs(page) == [6]
    assert page[0].temp_id is not None
    assert [message.temp_id for message in await history.replies(cid, first.id, 0, 9, "bob")] == [None] * 3
    assert seqs(await history.replies(cid, new_id(), 0, 9, "alice")) == []
    shown = {message.seq: message.replies for message in await history.newest(cid, 9)}
    assert [(r.count, r.last_seq) for r in shown.values() if r is not None] == [(3, 6), (1, 4)]


async def test_a_database_that_is_away_is_unavailable(
    settings: Settings, mongo_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "TIMEOUT_MS", 100)
    client, distant = mongo.connect(settings.model_copy(update={"mongodb_url": mongo_proxy.url}), "test")
    await mongo_proxy.refuse()
    with pytest.raises(Refusal) as refusal:
        async with reading():
            await History(distant).message("c", "m", "alice")
    assert refusal.value.code == ErrorCode.UNAVAILABLE
    await asyncio.to_thread(client.close)

"""The client of MongoDB; and a stored message is written as its model would write it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.message import Attachment
from services import mongo
from services.mongo import encode_message, to_message
from services.persister.settings import Settings

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)
PLAIN: dict[str, Any] = {
    "_id": "m1",
    "conversationId": "c1",
    "seq": 7,
    "senderId": "alice",
    "senderName": "Alice",
    "senderAvatar": None,
    "content": 'Bonjour \u2028 "hello" 😀',
    "createdAt": MOMENT,
}
SOUND = Attachment(name="a.ogg", url="/a.ogg", type="audio/ogg", size=3, duration_ms=4, waveform=[0.5, 1.0])
PICTURE = Attachment(id="f1", name="a.png", url="https://example.org/a.png", type="image/png", size=3)
RICH = {
    **PLAIN,
    "tempId": "t1",
    "tempHash": "h",
    "replyTo": "m0",
    "attachments": [SOUND.model_dump(), PICTURE.model_dump()],
    "editedAt": MOMENT,
    "isDeleted": True,
    "reactions": {"👍": ["bob"]},
    "mentions": ["bob"],
    "changeSeq": 3,
    "change": {"kind": "edited", "at": MOMENT, "edits": ["e1"]},
}


@pytest.mark.parametrize("document", [PLAIN, RICH], ids=["plain", "rich"])
def test_both_ways_of_writing_a_message_are_equal(document: dict[str, Any]) -> None:
    assert json.loads(encode_message(document)) == json.loads(to_message(document).encode())


def test_a_temp_id_is_for_its_sender_alone() -> None:
    assert to_message(RICH, "alice").temp_id == "t1"
    assert to_message(RICH, "bob").temp_id is None
    assert b"t1" not in encode_message(RICH)


def test_the_persisters_notes_are_for_nobody() -> None:
    assert not {"tempHash", "change"} & set(json.loads(encode_message(RICH)))


async def test_an_index_may_take_longer_to_build_than_anything_else_may_to_answer() -> None:
    def longest(*, answers_late: bool) -> float | None:
        client, _ = mongo.connect(Settings(), "test", answers_late=answers_late)
        try:
            timeout: float | None = client.delegate.options.pool_options.socket_timeout
            return timeout
        finally:
            client.close()

    assert longest(answers_late=False) == 10
    assert longest(answers_late=True) is None

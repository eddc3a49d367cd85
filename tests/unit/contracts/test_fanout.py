"""Fan-out: header and data, two lines each, the data passed on unread."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import fanout
from contracts.errors import ErrorCode

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
CREATED = fanout.MessageCreated(
    conversation_id="c1",
    seq=7,
    message_id="m1",
    sender_id="alice",
    created_at=MOMENT,
    gateway_id="g1",
    temp_id="t1",
)
ITEMS: list[tuple[fanout.Item, bytes]] = [
    (CREATED, b'{"id":"m1"}'),
    (
        fanout.ConversationUpdated(
            conversation_id="c1", update_type="member_removed", audience=["alice"], removed=["bob"]
        ),
        b'{"type":"conversation_updated"}',
    ),
    (fanout.Notification(id="c1:7/0", conversation_id="c1", unread={"bob": 2}), b'{"kind":"message"}'),
    (fanout.Typing(conversation_id="c1", user_id="bob", user_name="Bob", active=True), fanout.NULL),
    (fanout.Reply(command_id="0" * 32, code=ErrorCode.TIMEOUT, detail="Too late."), fanout.NULL),
]


def test_pack_and_unpack():
    assert list(fanout.unpack(fanout.pack(ITEMS))) == ITEMS


def test_nothing():
    assert fanout.pack([]) == b""
    assert list(fanout.unpack(b"")) == []


def test_data_is_passed_on_unread():
    body = CREATED.encode() + b"\nnot JSON at all"
    assert list(fanout.unpack(body)) == [(CREATED, b"not JSON at all")]


def test_an_unknown_kind_is_skipped_with_its_data():
    newer = b'{"kind":"from.the.future","x":1}\n{"kind":"probe"}\n'
    assert list(fanout.unpack(newer + fanout.pack(ITEMS[:1]))) == ITEMS[:1]


def test_a_malformed_item_of_a_known_kind_is_an_error():
    with pytest.raises(ValidationError, match="conversationId"):
        list(fanout.unpack(b'{"kind":"typing"}\nnull'))


def test_a_header_has_no_line_break():
    typing = fanout.Typing(conversation_id="c1", user_id="bob", user_name="B\nob", active=False)
    assert list(fanout.unpack(fanout.pack([(typing, fanout.NULL)]))) == [(typing, fanout.NULL)]


def created(count: int) -> list[tuple[fanout.Item, bytes, str | None]]:
    """Messages of two conversations, sent at two gateways."""
    return [
        (
            CREATED.model_copy(update={"conversation_id": f"c{n % 2}", "gateway_id": f"g{n % 2}", "seq": n}),
            b'{"n":%d}' % n,
            None,
        )
        for n in range(count)
    ]


def test_several_messages_have_an_index_by_which_all_are_passed_over() -> None:
    messages = created(fanout.INDEXED)
    (body,) = fanout.pack_all(messages, 10_000)
    items = [(item, data) for item, data, _ in messages]
    assert list(fanout.unpack(body)) == items
    seen: list[fanout.Index] = []

    def looks(index: fanout.Index) -> bool:
        seen.append(index)
        return len(seen) > 1

    headers: list[dict[str, Any]] = []

    def notes(header: dict[str, Any]) -> bool:
        headers.append(header)
        return True

    assert list(fanout.unpack(body, notes, looks)) == []
    assert headers == [], "not even their headers are looked at"
    assert list(fanout.unpack(body, notes, looks)) == items
    assert headers == [json.loads(item.encode()) for item, _ in items]
    assert seen == 2 * [fanout.Index(["c0", "c1"], ["g0", "g1"], [])]
    # Who knows no index skips it, as all that is not known yet.
    assert list(fanout.unpack(body.replace(b'"index"', b'"other"'))) == items


def test_several_notifications_have_an_index_of_their_people() -> None:
    told = [fanout.Notification(id=f"c1:{n}", conversation_id="c1", unread={"bob": n, f"u{n}": 1}) for n in range(4)]
    (body,) = fanout.pack_all([(item, b"x" * 100, None) for item in told], 10_000)
    index = fanout.Index([], [], ["bob", "u0", "u1", "u2", "u3"])
    assert list(fanout.unpack(body, None, lambda found: found != index)) == []
    assert [item for item, _ in fanout.unpack(body)] == told


def test_an_index_that_is_nearly_as_long_as_the_rest_is_left_out() -> None:
    told = [
        fanout.Notification(id=f"{n}", conversation_id="c1", unread={f"{n}/{i}": 1 for i in range(9)}) for n in "abcd"
    ]
    (body,) = fanout.pack_all([(item, b"{}", None) for item in told], 10_000)
    assert [item for item, _ in fanout.unpack(body, None, lambda _: False)] == told


def test_few_messages_and_other_items_have_none() -> None:
    def never(index: fanout.Index) -> bool:
        raise AssertionError(index)

    few = created(fanout.INDEXED - 1)
    others: list[tuple[fanout.Item, bytes, str | None]] = [(*ITEMS[3], None)]
    for items in (few, created(fanout.INDEXED) + others, others * 9):
        (body,) = fanout.pack_all(items, 10_000)
        assert list(fanout.unpack(body, None, never)) == [(item, data) for item, data, _ in items]
    assert list(fanout.pack_all([], 10_000)) == []


def test_what_is_too_much_for_one_goes_into_several() -> None:
    messages = created(10)
    size = len(fanout.pack([messages[0][:2]]))
    bodies = list(fanout.pack_all(messages, 5 * size + 10))
    assert len(bodies) == 2
    assert [item for body in bodies for item in fanout.unpack(body)] == [(item, data) for item, data, _ in messages]
    assert len(list(fanout.pack_all(messages, 1))) == 10


def test_an_index_that_says_nothing_hides_nothing() -> None:
    for index in (b'{"kind":"index",}', b'{"kind":"index","conversationIds":[]}', b'{"kind":"index","gatewayIds":1'):
        body = index + b"\nnull\n" + fanout.pack(ITEMS[:1])
        assert list(fanout.unpack(body, None, lambda _: False)) == ITEMS[:1]

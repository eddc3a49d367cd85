"""What the profiler notes is read right: carried out alike is one row, and a scan is a fault."""

from typing import Any

import pytest

from bench.plans import Plan, complaint, summarize

NAMES = {"messages { conversationId: 1, seq: 1 }": "conversation_seq"}
BY_SEQ = "IXSCAN { conversationId: 1, seq: 1 }"


def entry(plan: str, returned: int, documents: int, **fields: Any) -> dict[str, Any]:
    common = {
        "op": "query",
        "ns": "palabre.messages",
        "appName": "gateway 01",
        "command": {"find": "messages", "filter": {"conversationId": "c", "seq": {"$gt": 5}}},
        "planSummary": plan,
        "nreturned": returned,
        "keysExamined": documents,
        "docsExamined": documents,
    }
    return {**common, **fields}


def test_operations_that_were_carried_out_alike_are_one_row() -> None:
    update = entry("IDHACK", 0, 1, op="update", command={"q": {"_id": "c"}, "u": {}}, nMatched=1, appName="persister 1")
    plans = summarize([update, entry(BY_SEQ, 50, 50), entry(BY_SEQ, 3, 3)], NAMES)
    assert plans == [
        Plan("gateway", "find messages", "conversation_seq", 2, 53, 53, 53),
        Plan("persister", "update messages", "_id_", 1, 1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (entry(BY_SEQ, 50, 50), None),
        (entry(BY_SEQ, 0, 2), None),  # one for each value that is asked for may be looked at in vain
        (entry(BY_SEQ, 1, 100), "examines 100 documents for 1"),
        (entry("COLLSCAN", 1, 1), "scans the collection"),
    ],
)
def test_what_would_cost_more_with_more_stored_is_a_fault(operation: dict[str, Any], why: str | None) -> None:
    assert (complaint(operation) is None) == (why is None)
    assert (why or "") in (complaint(operation) or "")

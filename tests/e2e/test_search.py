"""Searching over REST, and from a match to its place."""

import pytest

from tests.e2e.conftest import Two

pytestmark = pytest.mark.e2e


async def test_a_match_leads_to_its_place(two: Two) -> None:
    for number in range(1, 10):
        await two.alice.send(two.cid, f"needle number {number}" if number == 5 else f"hay {number}")
    answer = await two.bob_rest.http.get("/api/search", params={"q": "NEEDLE", "conversationId": two.cid})
    (item,) = answer.json()["items"]
    assert (item["message"]["seq"], item["conversationId"], item["highlights"]) == (5, two.cid, [[0, 6]])
    assert item["conversationName"].startswith("Room ")
    page = await two.bob_rest.messages(two.cid, aroundSeq=item["message"]["seq"], limit=4)
    assert [m["seq"] for m in page["items"]] == [3, 4, 5, 6]
    assert (page["hasMore"], page["hasMoreBefore"], page["hasMoreAfter"]) == (True, True, True)
    ends = await two.bob_rest.messages(two.cid, aroundSeq=1, limit=100)
    assert ([m["seq"] for m in ends["items"]], ends["hasMoreBefore"], ends["hasMoreAfter"]) == (
        list(range(1, 10)),
        False,
        False,
    )
    beyond = await two.bob_rest.messages(two.cid, aroundSeq=99, limit=4)
    assert ([m["seq"] for m in beyond["items"]], beyond["hasMoreAfter"]) == ([8, 9], False)


async def test_pages_of_matches(two: Two) -> None:
    for number in range(5):
        await two.alice.send(two.cid, f"page {number}")
    found: list[str] = []
    cursor = None
    while True:
        query: dict[str, str | int] = {
            "q": "page",
            "limit": 2,
            "conversationId": two.cid,
            **({"cursor": cursor} if cursor else {}),
        }
        answer = (await two.alice_rest.http.get("/api/search", params=query)).json()
        found += [item["message"]["content"] for item in answer["items"]]
        cursor = answer["nextCursor"]
        if cursor is None:
            break
    assert found == [f"page {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"q": ""}, 422),
        ({"q": '"-*\0 🙂'}, 422),
        ({"q": "o" * 200}, 200),
        ({"q": "x" * 201}, 422),
        ({"q": " ".join("abcdefghijk")}, 422),
        ({"q": "x", "cursor": "x"}, 422),
        ({"q": "x", "after": "yesterday"}, 422),
        ({"q": "x", "after": "0001-01-01T00:00:00+14:00"}, 422),
        ({"q": "x", "limit": 101}, 422),
        ({"q": "x", "conversationId": "of-others"}, 404),
        ({"q": "(a+)+$ $where {$gt:1}", "after": "2020-01-01T00:00:00Z"}, 200),
    ],
)
async def test_hostile_queries_are_answered(two: Two, query: dict[str, str], status: int) -> None:
    answer = await two.alice_rest.http.get("/api/search", params=query)
    assert (answer.status_code, "stack" in answer.text) == (status, False)


async def test_searching_is_limited(two: Two) -> None:
    codes = [(await two.bob_rest.http.get("/api/search", params={"q": "x"})).status_code for _ in range(14)]
    assert (codes[0], 429 in codes) == (200, True)

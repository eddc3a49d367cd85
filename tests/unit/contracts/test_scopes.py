"""The table of scopes: complete, and read as it is written."""

import pytest

from contracts import scopes
from contracts.errors import ErrorCode, Refusal
from contracts.frames import CLIENT_FRAMES
from contracts.scopes import ROWS, SCOPES, Row, check_call, check_frame, granted


def test_every_frame_is_in_one_row() -> None:
    assert sorted(frame for row in ROWS for frame in row.frames) == sorted(CLIENT_FRAMES)


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        (None, None),  # a person
        ("openid profile email", None),  # a person, as providers describe them
        ("messages:read", {"messages:read"}),
        ("messages:write  messages:read", {"messages:read", "messages:write"}),
        ("openid messages:read", {"messages:read"}),
        ("", set()),
        ("messages:raed", set()),  # a mistake makes nobody mighty
        ("MESSAGES:READ", set()),
        ("profile email", set()),
    ],
)
def test_what_a_claim_grants(claim: str | None, scopes: set[str] | None) -> None:
    assert granted(claim) == scopes


def test_what_is_in_no_row_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scopes._CALLS, "GET /api/secret", None)
    everything = frozenset(SCOPES)
    for method, path in (("GET", "/api/unheard-of"), ("GET", "/api/secret"), ("POST", "/api/me")):
        with pytest.raises(Refusal, match="for people") as refused:
            check_call(everything, method, path)
        assert refused.value.code is ErrorCode.FORBIDDEN
        check_call(None, method, path)
    with pytest.raises(Refusal):
        check_frame(everything, "dance")


def test_what_is_lacking_is_named() -> None:
    with pytest.raises(Refusal, match="lacks messages:read and messages:write"):
        check_frame(frozenset(), "add_reaction")


def test_the_table_shows_who_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "ROWS", (Row("give tokens", None, calls=("POST /api/tokens",)),))
    assert "| give tokens | people only |  | `POST /api/tokens` |" in scopes.table()

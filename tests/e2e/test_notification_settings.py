"""What somebody wants to be told of, over REST."""

import pytest

from tests.e2e.conftest import Two

pytestmark = pytest.mark.e2e
GENERAL = "/api/notification-settings"
NIGHT = {"from": "22:00", "to": "07:00", "timeZone": "Europe/Paris", "days": ["mon", "tue"]}


async def test_settings_are_stored_and_read_anywhere(two: Two) -> None:
    http = two.alice_rest.http
    assert (await http.get(GENERAL)).json() == {"level": "all", "doNotDisturb": None}
    wanted = {"level": "mentions", "doNotDisturb": NIGHT}
    put = await http.put(GENERAL, json=wanted)
    assert (put.status_code, put.json()) == (200, wanted)
    assert (await http.get(GENERAL)).json() == wanted
    assert (await two.bob_rest.http.get(GENERAL)).json()["level"] == "all"
    assert (await http.put(GENERAL, json={})).json() == {"level": "all", "doNotDisturb": None}
    assert (await http.get(GENERAL)).json() == {"level": "all", "doNotDisturb": None}


async def test_a_conversation_has_a_level_of_its_own(two: Two) -> None:
    http, path = two.bob_rest.http, f"/api/conversations/{two.cid}/notification-settings"
    assert (await http.get(path)).json() == {"conversationId": two.cid, "level": None}
    for level in ("nothing", "mentions", None):
        put = await http.put(path, json={"level": level})
        assert (put.status_code, put.json()) == (200, {"conversationId": two.cid, "level": level})
        assert (await http.get(path)).json() == put.json()
    assert (await two.alice_rest.http.get(path)).json()["level"] is None


async def test_what_is_wrong_is_named(two: Two) -> None:
    http = two.alice_rest.http
    path = f"/api/conversations/{two.cid}/notification-settings"
    for body, field in (
        ({"level": "some"}, "level"),
        ({"doNotDisturb": NIGHT | {"timeZone": "Paris"}}, "timeZone"),
        ({"doNotDisturb": NIGHT | {"from": "25:00"}}, "from"),
        ({"doNotDisturb": NIGHT | {"days": []}}, "days"),
    ):
        refused = await http.put(GENERAL, json=body)
        assert refused.status_code == 422
        assert field in refused.json()["detail"]
    assert (await http.put(path, json={})).status_code == 422
    for unknown in ("GET", "PUT"):
        answer = await http.request(unknown, "/api/conversations/elsewhere/notification-settings", json={"level": None})
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_A_MEMBER")

"""Webhooks from making one over REST to the receiver, which verifies with the code of the documentation."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.webhooks import Webhook
from services.gateway.settings import Settings
from services.tokens import sign
from tests.e2e.conftest import Two
from tests.support.eventually import eventually
from tests.support.receiver import Call, Receiver
from tests.support.system import JWT_SECRET, System

pytestmark = pytest.mark.e2e
PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
CODE = dict(re.findall(r"```(python|js)\n(.*?)```", PAGE, re.S))
HOOKS = "/api/webhooks"
NODE = """
import { verify } from "./verify.mjs";
import { readFileSync } from "node:fs";
const { secret, headers, body } = JSON.parse(readFileSync(0));
process.exitCode = verify(secret, headers, Buffer.from(body, "base64")) ? 0 : 3;
"""


def verified_by_python(secret: str, call: Call) -> bool:
    names: dict[str, Any] = {}
    exec(CODE["python"], names)  # noqa: S102 - the documentation is ours
    return bool(names["verify"](secret, call.headers, call.body))


def verified_by_node(folder: Path, secret: str, call: Call) -> bool:
    (folder / "verify.mjs").write_text(CODE["js"])
    (folder / "main.mjs").write_text(NODE)
    given = {"secret": secret, "headers": call.headers, "body": base64.b64encode(call.body).decode()}
    node = shutil.which("node") or next(Path(__file__).parents[2].glob(".venv/bin/node"), None)
    assert node is not None, "the page is built with it, so it is there"
    ended = subprocess.run([node, folder / "main.mjs"], input=json.dumps(given).encode(), check=False)
    assert ended.returncode in (0, 3)
    return ended.returncode == 0


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def make(http: httpx.AsyncClient, url: str, cid: str | None, **fields: Any) -> dict[str, Any]:
    answer = await http.post(HOOKS, json={"url": url, "conversationId": cid, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def log(http: httpx.AsyncClient, hook_id: str, count: int) -> list[dict[str, Any]]:
    """The log, once it has so many entries."""

    async def complete() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (
            (await http.get(f"{HOOKS}/{hook_id}/deliveries")).raise_for_status().json()["items"]
        )
        assert len(items) == count
        return items

    found: list[dict[str, Any]] = await eventually(complete)
    return found


async def test_a_webhook_from_its_making_to_its_end(two: Two, receiver: Receiver, tmp_path: Path) -> None:
    http = two.alice_rest.http
    made = await make(http, receiver.url, two.cid, description="Build", events=["chat.message.created.v1"])
    secret = made.pop("secret")
    assert Webhook.model_validate_json(json.dumps(made)).active
    assert (await http.get(f"{HOOKS}/{made['id']}")).json() == made, "the secret is shown once"
    assert (await http.get(HOOKS, params={"conversationId": two.cid})).json()["items"] == [made]

    await two.bob.send(two.cid, "é hello")
    (call,) = await receiver.called(1)
    event = json.loads(call.body)
    assert (event["type"], event["data"]["content"]) == ("chat.message.created.v1", "é hello")
    changed = Call(call.line, call.headers, call.body + b" ")
    old = Call(call.line, {**call.headers, "webhook-timestamp": "1614265330"}, call.body)
    for check in (verified_by_python, lambda key, one: verified_by_node(tmp_path, key, one)):
        assert check(secret, call)
        assert not check(secret, changed)
        assert not check(secret, old)
        assert not check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", call)

    (entry,) = await log(http, made["id"], 1)
    assert (entry["id"], entry["eventId"]) == (call.headers["webhook-id"], event["id"])
    assert (entry["status"], entry["attempts"][0]["status"]) == ("delivered", 200)
    assert (await http.get(f"{HOOKS}/{made['id']}/deliveries/{entry['id']}")).json() == entry
    assert (await http.get(f"{HOOKS}/{made['id']}/deliveries?status=failed")).json()["items"] == []

    again = await http.post(f"{HOOKS}/{made['id']}/deliveries/{entry['id']}/redeliver")
    assert (again.status_code, again.json()) == (202, {"deliveryId": entry["id"]})
    await receiver.called(2)
    assert receiver.calls[1].body == call.body
    assert receiver.ids[0] == receiver.ids[1]

    rotated = await http.post(f"{HOOKS}/{made['id']}/rotate-secret")
    fresh = rotated.raise_for_status().json()["secret"]
    ping = await http.post(f"{HOOKS}/{made['id']}/ping")
    await receiver.called(3)
    assert receiver.ids[2] == ping.json()["deliveryId"]
    for key in (secret, fresh):
        assert verified_by_python(key, receiver.calls[2])
        assert verified_by_node(tmp_path, key, receiver.calls[2])
    first, second = await log(http, made["id"], 2), await http.get(f"{HOOKS}/{made['id']}/deliveries?limit=1")
    rest = await http.get(f"{HOOKS}/{made['id']}/deliveries", params={"cursor": second.json()["nextCursor"]})
    assert [item["id"] for item in [*second.json()["items"], *rest.json()["items"]]] == [item["id"] for item in first]

    paused = await http.patch(f"{HOOKS}/{made['id']}", json={"active": False, "description": "Later"})
    assert (paused.json()["pauseReason"], paused.json()["description"]) == ("by_hand", "Later")
    goes_on = (await http.patch(f"{HOOKS}/{made['id']}", json={"active": True})).json()
    assert goes_on["active"]
    assert "pauseReason" not in goes_on

    assert (await http.delete(f"{HOOKS}/{made['id']}")).status_code == 204
    for path in ("", "/deliveries"):
        assert (await http.get(f"{HOOKS}/{made['id']}{path}")).status_code == 404
    await two.bob.send(two.cid, "nobody hears")
    assert len(receiver.calls) == 3


async def test_who_may_and_what_is_wrong(two: Two, receiver: Receiver) -> None:
    alice, bob = two.alice_rest.http, two.bob_rest.http
    made = await make(alice, receiver.url, two.cid)
    asked = {"url": receiver.url, "conversationId": two.cid}
    assert (await bob.post(HOOKS, json=asked)).status_code == 403, "he is no admin"
    assert (await bob.get(f"{HOOKS}/{made['id']}")).status_code == 403
    assert (await bob.delete(f"{HOOKS}/{made['id']}")).status_code == 403
    assert (await alice.post(HOOKS, json=asked | {"conversationId": "elsewhere"})).json()["code"] == "NOT_A_MEMBER"
    assert (await alice.post(HOOKS, json={"url": receiver.url})).status_code == 403, "of all conversations"
    assert (await alice.get(HOOKS)).status_code == 422
    assert (await alice.get(f"{HOOKS}/unknown")).json()["code"] == "NOT_FOUND"
    for field, value in (
        ("url", "ftp://example.com/"),
        ("url", "https://"),
        ("url", "https://user:password@example.com/"),
        ("url", "https://example.com:99999/"),
        ("url", "https://exa mple.com/"),
        ("url", "https://example.com/\nx"),
        ("events", ["chat.unheard.of.v1"]),
        ("events", ["chat.read.updated.v1"]),
        ("description", "x" * 201),
    ):
        for refused in (
            await alice.post(HOOKS, json=asked | {field: value}),
            await alice.patch(f"{HOOKS}/{made['id']}", json={field: value}),
        ):
            assert (refused.status_code, field in refused.json()["detail"]) == (422, True), (field, value)
    assert (await alice.patch(f"{HOOKS}/{made['id']}", json={})).status_code == 422
    too_long = await alice.post(f"{HOOKS}/{made['id']}/rotate-secret", json={"overlapSeconds": 10**7})
    assert too_long.status_code == 422
    assert (await alice.post(f"{HOOKS}/{made['id']}/deliveries/unknown/redeliver")).status_code == 404


async def test_an_administrator_hears_all_conversations(two: Two, system: System, receiver: Receiver) -> None:
    settings = Settings(auth_dev=True, jwt_secret=SecretStr(JWT_SECRET))
    scopes = ["deployment:admin", "messages:read", "webhooks:write"]
    token = sign(settings, "ops", "Ops", timedelta(minutes=5), scopes)
    url = system.gateways[0].url
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        made = await make(http, receiver.url, None)
        await two.alice.send(two.cid, "to everybody")

        def heard() -> bool:
            events = [json.loads(call.body) for call in receiver.calls]
            return any(e["subject"] == two.cid and e["type"] == "chat.message.created.v1" for e in events)

        await eventually(heard)
        assert made["id"] in [item["id"] for item in (await http.get(HOOKS)).json()["items"]]
        assert (await two.alice_rest.http.get(f"{HOOKS}/{made['id']}")).status_code == 404
        assert (await http.delete(f"{HOOKS}/{made['id']}")).status_code == 204

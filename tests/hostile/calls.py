"""Calls that nobody thought of, made by schemathesis out of the OpenAPI document; each answer is held against it.

https://schemathesis.readthedocs.io: values that fit the described shapes, values that do not, and at the edges of both.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from services.gateway.app import create_app
from services.gateway.settings import Settings
from tests.support.chat_client import Rest

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


class Bearer(requests.auth.AuthBase):
    """Puts the token in last, also where it was left out to see whether that is refused: then nothing else is tried."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def operations() -> dict[str, APIOperation]:
    """Those of the document, by method and path."""
    document = create_app(Settings(auth_dev=True)).openapi()
    results = schemathesis.openapi.from_dict(document).get_all_operations()
    return {operation.label: operation for operation in (result.ok() for result in results if isinstance(result, Ok))}


async def things(url: str, token: str) -> dict[str, str]:
    """The ids of a new public channel of the caller's, with a message and a webhook, as paths name them."""
    async with Rest(url, token) as rest:
        body = {"type": "channel", "name": "room", "memberIds": ["somebody"], "public": True}
        room = (await rest.http.post("/api/conversations", json=body)).json()["id"]
        message = (await rest.send(room, "hello"))["id"]
        hook = {"conversationId": room, "url": "http://127.0.0.1:9/", "events": []}
        webhook = (await rest.http.post("/api/webhooks", json=hook)).json()["id"]
        delivery = (await rest.http.post(f"/api/webhooks/{webhook}/ping")).json()["deliveryId"]
    return {
        "conversationId": room,
        "messageId": message,
        "userId": "somebody",
        "emoji": "👍",
        "webhookId": webhook,
        "deliveryId": delivery,
    }


def examine(
    operation: APIOperation, url: str, token: str, ids: Mapping[str, str], examples: int, start: int = 0
) -> Counter[int]:
    """Make so many calls; `ids` are those of what there is, which stand in the path of some. Blocks.

    Returns how often it was answered with which status.

    Raises:
        AssertionError: with the call, when an answer is not as it is described.
    """
    there = {name: value for name, value in ids.items() if f"{{{name}}}" in operation.path}
    asked = {name: value for name, value in ids.items() if name in [part.name for part in operation.query]}
    kinds = [operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)]
    if there or asked:
        kinds.insert(0, operation.as_strategy(path_parameters=there or None, query=asked or None))

    seen: Counter[int] = Counter()
    with requests.Session() as session:
        session.trust_env = False
        session.auth = Bearer(token)

        # What is found is shown as it is: to shrink it would take longer than everything else.
        @seed(start)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(kinds))
        def call(case: Any) -> None:
            answer = case.call(base_url=url, session=session, timeout=30)
            seen[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        call()
    return seen

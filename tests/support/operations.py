"""The calls that a gateway describes in its OpenAPI document, and the conversations in which tests try them."""

import asyncio
from typing import Any

import httpx

from services.gateway.app import create_app
from services.gateway.settings import Settings
from tests.support.chat_client import Rest

METHODS = {"get", "put", "post", "patch", "delete"}
CONVERSATION = "/api/conversations/{conversationId}"
MESSAGE = CONVERSATION + "/messages/{messageId}"
WEBHOOK = "/api/webhooks/{webhookId}"
DELIVERY = WEBHOOK + "/deliveries/{deliveryId}"

Operation = tuple[str, str]  # method and path


def described() -> set[Operation]:
    """Every call of the OpenAPI document."""
    paths = create_app(Settings(auth_dev=True)).openapi()["paths"]
    return {(method, path) for path, calls in paths.items() for method in calls if method in METHODS}


async def unhurried(rest: Rest, method: str, path: str, **more: Any) -> httpx.Response:
    """One call, as soon as the limit of rates lets it through."""
    async with asyncio.timeout(30):
        while True:
            answer = await rest.http.request(method, path, **more)
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]) / 5)

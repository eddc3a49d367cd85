"""Every answer is one that the OpenAPI document describes, whatever is called; `make fuzz ARGS="--calls 1000"` goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import uuid4

import pytest

from tests.hostile.calls import examine, operations, things
from tests.support.chat_client import Rest
from tests.support.logs import Logs, other_gateway
from tests.support.system import Process, System

pytestmark = pytest.mark.e2e
OPERATIONS = operations()
EXAMPLES = 20
RARELY = {  # where hardly any body of the described shape is good
    "POST /api/conversations",
    "PATCH /api/conversations/{conversationId}",
    "PATCH /api/conversations/{conversationId}/me",
    "POST /api/conversations/{conversationId}/messages",
    "POST /api/push/subscriptions",  # not offered by this deployment
    "POST /api/webhooks",
}


class Caller(NamedTuple):
    """Somebody at a gateway without limits of rates."""

    gateway: Process
    token: str


@pytest.fixture(scope="module")
async def caller(system: System) -> AsyncIterator[Caller]:
    logs = Logs(())
    async with other_gateway(system, logs, RATE_LIMITS="0") as gateway, Rest(gateway.url) as rest:
        yield Caller(gateway, await rest.login(f"Caller {uuid4().hex[:6]}"))
    assert logs.faults() == []


@pytest.mark.parametrize("label", OPERATIONS)
async def test_answers_are_as_described(caller: Caller, label: str) -> None:
    ids = await things(caller.gateway.url, caller.token)
    seen = await asyncio.to_thread(examine, OPERATIONS[label], caller.gateway.url, caller.token, ids, EXAMPLES)
    assert min(seen) < 300 or label in RARELY, seen

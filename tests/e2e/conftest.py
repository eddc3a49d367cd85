"""Two people, each on a gateway of their own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.support.chat_client import ChatClient, Rest
from tests.support.system import System


@dataclass
class Two:
    """Alice on the first gateway, Bob on the second, and a group of both."""

    alice: ChatClient
    bob: ChatClient
    alice_rest: Rest
    bob_rest: Rest
    cid: str


@pytest.fixture
async def two(system: System) -> AsyncIterator[Two]:
    """Two people who have not joined their group yet."""
    unique = uuid4().hex[:6]
    one, other = system.gateways
    async with Rest(one.url) as alice_rest, Rest(other.url) as bob_rest:
        alice_token = await alice_rest.login(f"Alice {unique}")
        bob_token = await bob_rest.login(f"Bob {unique}")
        async with (
            ChatClient.connect(one.ws, alice_token) as alice,
            ChatClient.connect(other.ws, bob_token) as bob,
        ):
            conversation = await alice_rest.create_conversation([bob_rest.user_id], f"Room {unique}")
            yield Two(alice, bob, alice_rest, bob_rest, conversation["id"])

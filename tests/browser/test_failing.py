"""What the page asks for does not always come: it asks again, though not at once, and only what is missing is missing."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Arrive
from tests.browser.test_page import a_room

pytestmark = pytest.mark.e2e


async def test_members_who_cannot_be_loaded_are_asked_for_in_a_while(arrive: Arrive, unique: str) -> None:
    alice = await arrive(f"Alice {unique}")
    alice.may_lose_network = True
    # More than the list of conversations names.
    rest, cid = await a_room(alice, [f"Guest {number} {unique}" for number in range(12)], f"Room {unique}")
    async with rest:
        # The browser refuses by itself, as quickly as one may ask.
        network = await alice.context.new_cdp_session(alice.page)
        await network.send("Network.enable")
        await network.send("Network.setBlockedURLs", {"urls": [f"*/conversations/{cid}", f"*/{cid}/members*"]})
        await alice.sign_in()
        await alice.open(f"Room {unique}")
        await alice.write("hello")
        await alice.sees_sent("hello")
        assert 1 <= len([url for url in alice.requests if f"/{cid}/members" in url]) < 10
        async with alice.page.expect_response(re.compile(rf"/api/conversations/{cid}/members")):
            await network.send("Network.setBlockedURLs", {"urls": []})
        members = (await rest.http.get(f"/api/conversations/{cid}/members")).json()["items"]
        assert len(members) == 13
        await alice.composer.press_sequentially(f"@{members[-1]['userName']}")
        await expect(alice.page.get_by_role("option", name=members[-1]["userName"])).to_be_visible()

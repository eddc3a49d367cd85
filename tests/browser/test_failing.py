"""What the page asks for does not always come: it asks again, though not at once, and only what is missing is missing."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Arrive
from tests.browser.test_changing import act
from tests.browser.test_page import a_room
from tests.browser.test_talking import two_in_a_group

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
        # One of the last, and not she, who may be among those: all have come in the same moment.
        *_, guest = (member["userName"] for member in members if member["userName"] != alice.name)
        await alice.composer.press_sequentially(f"@{guest}")
        await expect(alice.page.get_by_role("option", name=guest)).to_be_visible()


async def test_a_search_for_people_that_fails_does_not_say_that_there_is_nobody(arrive: Arrive, unique: str) -> None:
    alice = await arrive(f"Alice {unique}")
    alice.may_lose_network = True
    await alice.sign_in()
    users = re.compile(r"/api/users\?")
    await alice.page.route(users, lambda route: route.abort())
    await alice.page.get_by_role("button", name="New conversation").first.click()
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    await expect(dialog.get_by_role("status")).to_have_text("That did not work: the server cannot be reached.")
    await alice.page.unroute(users)
    await dialog.get_by_role("combobox", name="People").fill(f"Zoe {unique}")
    await expect(dialog.get_by_role("status")).to_have_text("Nobody of that name has been here yet.")


async def test_a_link_to_what_one_was_never_in_says_so(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await bob.sign_in()
    rest, cid = await a_room(bob, [], f"Room {unique}")
    async with rest:
        await alice.sign_in()
        await alice.page.evaluate("id => { location.hash = `#/c/${id}` }", cid)
        told = alice.page.get_by_role("alert")
        await expect(told).to_contain_text("There is no such conversation, or you are not in it.")
        await expect(told).not_to_contain_text("You are no longer")
        await alice.shot("unknown")


async def test_a_part_of_the_page_that_cannot_be_fetched_fails_alone(arrive: Arrive, unique: str) -> None:
    alice, bob, _ = await two_in_a_group(arrive, unique)
    alice.may_lose_network = True
    await bob.write("hello")
    await alice.sees("hello")
    await alice.composer.fill("not finish")
    problem = alice.page.get_by_role("dialog", name="This could not be opened.")
    parts = re.compile(r"/assets/.*\.js$")
    await alice.page.route(parts, lambda route: route.abort())  # as after a deployment

    async def says_so() -> None:
        await expect(problem).to_contain_text("There may be a newer version of the page")
        await problem.get_by_role("button", name="Close", exact=True).click()
        await expect(problem).to_be_hidden()
        await expect(alice.composer).to_have_value("not finish")
        await expect(alice.nav).to_be_visible()

    for opening in ("Search messages", "Emoji", "Search messages"):
        await alice.page.get_by_role("button", name=opening, exact=True).click()
        await says_so()
    await act(alice, "hello", "React")
    picker = alice.page.get_by_role("dialog", name="React")
    await picker.get_by_role("button", name="More emoji").click()
    await expect(problem).to_be_visible()
    await alice.page.keyboard.press("Escape")
    await expect(problem).to_be_hidden()
    await expect(picker.get_by_role("button", name="More emoji")).to_be_visible()
    await alice.page.keyboard.press("Escape")
    await expect(picker).to_be_hidden()

    await alice.context.set_offline(True)
    await alice.page.get_by_role("button", name="Public channels").click()
    await expect(problem).to_contain_text("You are offline")
    again = problem.get_by_role("button", name="Load it again")
    await expect(again).to_be_disabled()
    await alice.shot("not-fetched")
    await alice.check_accessibility()
    await alice.context.set_offline(False)
    await alice.page.unroute(parts)
    await again.click()
    await expect(alice.composer).to_have_value("not finish")
    await alice.page.get_by_role("button", name="Public channels").click()
    await expect(alice.page.get_by_role("dialog", name="Public channels")).to_be_visible()

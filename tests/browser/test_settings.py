"""Muting, archiving, pinning and closing: for oneself, and for everybody."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_changing import act
from tests.browser.test_talking import two_in_a_group
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e


async def choose(person: Person, item: str | re.Pattern[str]) -> None:
    """Something of the conversation's menu."""
    await person.page.get_by_role("button", name="More about this conversation").click()
    menu = person.page.get_by_role("list", name="More about this conversation")
    await menu.get_by_role("button", name=item).click()


def link(person: Person, room: str) -> Locator:
    """The conversation in the list."""
    return person.nav.get_by_role("link", name=room)


async def test_a_muted_conversation_tells_nothing_and_is_not_counted(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await choose(bob, "Mute")
    await expect(link(bob, room).get_by_role("img", name="Muted")).to_be_visible()
    await bob.look_away()
    await alice.write("psst")
    await bob.sees("psst")
    await expect(link(bob, room)).to_contain_text("1 unread message")
    await expect(bob.page).to_have_title(re.compile(rf"^{room}"))
    await bob.shot("muted")
    await bob.look_back()
    await bob.page.reload()
    await expect(link(bob, room).get_by_role("img", name="Muted")).to_be_visible()
    await choose(bob, "Unmute")
    await bob.look_away()
    await alice.write("hey")
    await expect(bob.page).to_have_title(re.compile(r"^\(1\) "))


async def test_an_archived_conversation_is_out_of_the_list_until_somebody_writes(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write("old")
    await bob.sees("old")
    await choose(bob, "Archive")
    await expect(link(bob, room)).to_have_count(0)
    await bob.page.goto(f"{bob.url}/#/")
    await bob.page.reload()
    await bob.nav.get_by_role("button", name="Archived conversations").click()
    await expect(link(bob, room)).to_be_visible()
    await bob.shot("archived")
    await bob.check_accessibility()
    await bob.nav.get_by_role("button", name="Back to all conversations").click()
    await expect(link(bob, room)).to_have_count(0)
    await alice.write("news")
    await expect(link(bob, room)).to_contain_text("news")
    await bob.open(room)
    await choose(bob, "Archive")
    await choose(bob, "Take out of the archive")
    await expect(link(bob, room)).to_be_visible()


async def test_what_is_pinned_is_seen_by_both_and_leads_to_its_place(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    for number in range(30):
        await alice.write(f"m{number} of many")
    await bob.sees("m29 of many")
    await bob.log.press("Home")
    await act(alice, "m29 of many", "Pin")
    await expect(alice.message("m29 of many").get_by_role("img", name="Pinned")).to_have_count(1)
    await choose(bob, "Pinned messages (1)")
    dialog = bob.page.get_by_role("dialog", name="Pinned messages")
    await expect(dialog.get_by_role("button", name="Unpin")).to_have_count(0)
    await bob.shot("pins")
    await bob.check_accessibility()
    await dialog.get_by_role("button", name=re.compile("m29 of many")).click()
    await expect(bob.message("m29 of many")).to_be_in_viewport()
    await expect(bob.message("m29 of many").get_by_role("img", name="Pinned")).to_have_count(1)
    await expect(bob.message("m29 of many").get_by_role("button", name="Unpin")).to_have_count(0)
    await choose(alice, "Pinned messages (1)")
    hers = alice.page.get_by_role("dialog", name="Pinned messages")
    await hers.get_by_role("button", name="Unpin").click()
    await expect(hers).to_contain_text("Nothing is pinned here.")
    await expect(bob.message("m29 of many").get_by_role("img", name="Pinned")).to_have_count(0)


async def test_a_closed_conversation_is_read_and_opened_again(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await bob.write("last words")
    await alice.sees("last words")
    await choose(alice, "Close for everybody")
    await alice.page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
    for person in (alice, bob):
        await expect(person.page.get_by_text("This conversation is closed.")).to_be_visible()
        await expect(person.composer).to_have_count(0)
    mine = bob.message("last words")
    await expect(mine.get_by_role("button", name="Delete")).to_have_count(1)
    await expect(mine.get_by_role("button", name=re.compile("^(React|Reply|Edit)$"))).to_have_count(0)
    await expect(bob.page.get_by_role("button", name="Open it again")).to_have_count(0)
    await bob.shot("closed")
    await bob.check_accessibility()
    await alice.page.get_by_role("button", name="Open it again").click()
    await asyncio.gather(alice.composer.wait_for(), bob.composer.wait_for())
    await bob.write("and on")
    await alice.sees("and on")


async def test_what_comes_too_late_for_a_closed_conversation_says_why_it_was_not_sent(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    bob.may_lose_network = True
    await bob.context.set_offline(True)
    await bob.write("from the tunnel")
    await choose(alice, "Close for everybody")
    await alice.page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
    await expect(alice.page.get_by_text("This conversation is closed.")).to_be_visible()
    await bob.context.set_offline(False)
    failure = bob.message("from the tunnel").get_by_role("alert")
    await expect(failure).to_contain_text("Not sent: it is not allowed here, or not any more.", timeout=30_000)
    await bob.shot("not-sent")
    await bob.check_accessibility()
    await alice.page.get_by_role("button", name="Open it again").click()
    await bob.composer.wait_for()
    await failure.get_by_role("button", name="Try again").click()
    await bob.sees_sent("from the tunnel")
    await alice.sees("from the tunnel")


async def test_a_refused_setting_goes_back_and_says_why(arrive, unique):
    _, bob, room = await two_in_a_group(arrive, unique)
    bob.may_lose_network = True
    await bob.page.route("**/api/conversations/*/me", lambda route: route.abort())
    await choose(bob, "Mute")
    await expect(bob.page.get_by_role("alert").filter(has_text="That did not work")).to_be_visible()
    await expect(link(bob, room).get_by_role("img", name="Muted")).to_have_count(0)


async def test_the_menu_and_the_details_fit_a_phone_in_french_and_in_the_dark(arrive, unique):
    alice = await arrive(f"Alice {unique}", viewport={"width": 390, "height": 780}, locale="fr-FR", color_scheme="dark")
    await alice.sign_in()
    async with Rest(alice.url) as rest:
        await rest.login(alice.name)
        await rest.create_conversation([], f"Balade {unique}", "channel")
    await alice.open(f"Balade {unique}")
    await alice.page.get_by_role("button", name="Plus sur cette conversation").click()
    await expect(alice.page.get_by_role("button", name="Clore pour tout le monde")).to_be_visible()
    await alice.check_accessibility()
    await alice.shot("menu-phone")
    await alice.page.keyboard.press("Escape")
    await alice.page.get_by_role("button", name="Détails et membres").click()
    await alice.page.get_by_role("switch").check()
    await expect(alice.page.get_by_text("Canal public")).to_be_visible()
    await alice.check_accessibility()
    await alice.shot("details-phone")

"""What people are told while they are elsewhere: the list of it, and what they choose to be told of."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_reading import PHONE, conversation_of, say
from tests.browser.test_settings import choose
from tests.browser.test_talking import NOBODY_LOOKS, told_by, two_in_a_group
from tests.support.chat_client import Rest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PATIENCE = 45_000  # milliseconds: what is read within seconds is not kept at all, and the last look comes after 26 s


def bell(person: Person, name: str | re.Pattern[str]) -> Locator:
    """The way to the list, which says how many are unread."""
    return person.nav.get_by_role("button", name=name)


async def settings(person: Person) -> Locator:
    """The dialog, opened."""
    await person.nav.get_by_role("button", name=re.compile("Signed in as")).click()
    await person.nav.get_by_role("button", name="Notification settings").click()
    return person.page.get_by_role("dialog", name="Notification settings")


async def mention(alice: Person, bob: Person, conversation_id: str, words: str) -> None:
    """Without a page."""
    async with Rest(bob.url) as rest:
        await rest.login(bob.name)
        user_id = rest.user_id
    async with Rest(alice.url) as rest:
        await rest.login(alice.name)
        await rest.send(conversation_id, words, mentions=[user_id])


async def test_what_one_was_told_is_kept_and_leads_to_its_place(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    for person in (alice, bob):
        await person.sign_in()
    walk = await conversation_of(alice, [bob], f"Walk {unique}")
    other = await conversation_of(alice, [bob], f"Other {unique}")
    await mention(alice, bob, walk, "are you there?")
    await say(alice, other, "one", "two")
    await bell(bob, re.compile("4 unread notifications")).click(timeout=PATIENCE)  # added twice, too
    listed = bob.page.get_by_role("dialog", name="Notifications")
    entry = listed.get_by_role("button", name=re.compile(f"Unread: {alice.name} mentioned you in Walk {unique}"))
    await expect(entry).to_contain_text("are you there?")
    await expect(listed.get_by_role("button", name=re.compile(f"in Other {unique}"))).to_contain_text("2 messages")
    await bob.shot("notifications")
    await bob.check_accessibility()
    await entry.click()
    await expect(bob.message("are you there?")).to_be_in_viewport()
    # What was read is read here too, and stays so.
    await bob.page.reload()
    await bell(bob, re.compile("notification", re.IGNORECASE)).click()
    await expect(listed.get_by_role("button", name=re.compile("mentioned you"))).to_be_visible()
    await expect(listed.get_by_role("button", name=re.compile("Unread: .* mentioned you"))).to_have_count(0)
    await listed.get_by_role("button", name="Mark all as read").click()
    await expect(listed).to_contain_text("All read")
    await bob.page.reload()
    await expect(bell(bob, "Notifications")).to_be_visible()


async def test_what_comes_while_one_is_here_is_counted_soon(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    for person in (alice, bob):
        await person.sign_in()
    walk = await conversation_of(alice, [bob], f"Walk {unique}")
    await mention(alice, bob, walk, "now")
    await expect(bell(bob, re.compile("unread notification"))).to_be_visible(timeout=PATIENCE)


async def test_quiet_hours_and_the_level_are_kept(arrive, unique):
    bob = await arrive(f"Bob {unique}", timezone_id="Europe/Paris")
    await bob.sign_in()
    dialog = await settings(bob)
    await dialog.get_by_role("radio", name=re.compile("Mentions only")).check()
    await dialog.get_by_role("checkbox", name=re.compile("Do not disturb")).check()
    await dialog.get_by_label("From", exact=True).fill("23:30")
    await dialog.get_by_role("checkbox", name="Sun").uncheck()
    await bob.shot("notification-settings")
    await bob.check_accessibility()
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    await expect(bob.page.get_by_role("button", name="Your account and settings")).to_be_focused()
    await bob.page.reload()
    dialog = await settings(bob)
    await expect(dialog.get_by_role("radio", name=re.compile("Mentions only"))).to_be_checked()
    await expect(dialog.get_by_label("From", exact=True)).to_have_value("23:30")
    await expect(dialog.get_by_role("checkbox", name="Sun")).not_to_be_checked()
    await expect(dialog).to_contain_text("Europe/Paris")


async def test_a_conversation_that_tells_nothing(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await choose(bob, "Notifications…")
    dialog = bob.page.get_by_role("dialog", name=f"Notifications of {room}")
    await expect(dialog.get_by_role("radio", name=re.compile("in general"))).to_be_checked()
    await bob.shot("notifications-of-room")
    await bob.check_accessibility()
    async with bob.page.expect_response(re.compile("notification-settings$")) as answer:
        await dialog.get_by_role("radio", name=re.compile("^Nothing")).check()
    assert (await answer.value).ok
    await bob.page.keyboard.press("Escape")
    await bob.page.goto(f"{bob.url}/#/")
    await expect(bob.log).to_be_hidden()
    other = await conversation_of(alice, [bob], f"Loud {unique}")
    await alice.write("psst")
    await alice.sees_sent("psst")
    await say(alice, other, "hello")
    told = bob.page.get_by_role("region", name="Notifications")
    await expect(told).to_contain_text("hello")
    await expect(told).not_to_contain_text("psst")


async def test_a_conversation_that_is_open_tells_no_more_than_was_chosen(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    other = await conversation_of(alice, [bob], f"Loud {unique}")
    dialog = bob.page.get_by_role("dialog", name=f"Notifications of {room}")
    for level, told in ((re.compile("^Nothing"), []), (re.compile("^Mentions only"), ["listen"])):
        await choose(bob, "Notifications…")
        async with bob.page.expect_response(re.compile("notification-settings$")) as answer:
            await dialog.get_by_role("radio", name=level).check()
        assert (await answer.value).ok
        await bob.page.keyboard.press("Escape")
        await bob.page.evaluate(NOBODY_LOOKS)
        for words in (f"psst {len(told)}", f"@all {len(told)} listen"):
            await alice.write(words)
            await bob.sees(words)
        await say(alice, other, "hello")
        heard = await told_by(bob, len(told) + 1)
        assert sorted(words.rsplit(maxsplit=1)[-1] for words in heard) == sorted([*told, "hello"])
        await bob.look_back()


async def test_the_list_fits_a_phone_in_french_and_in_the_dark(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    bob = await arrive(f"Bob {unique}", **PHONE, locale="fr-FR", color_scheme="dark")
    await alice.sign_in()
    await bob.page.locator("form input").fill(bob.name)
    await bob.page.locator("form button[type=submit]").click()
    walk = await conversation_of(alice, [bob], f"Balade {unique}")
    await mention(alice, bob, walk, "on y va ?")
    await bob.page.get_by_role("button", name=re.compile("notification.? non lue")).click(timeout=PATIENCE)
    listed = bob.page.get_by_role("dialog", name="Notifications")
    await expect(listed).to_contain_text("vous a mentionné", timeout=PATIENCE)
    await bob.check_accessibility()
    await bob.shot("notifications-phone")

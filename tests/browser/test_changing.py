"""Messages that change: what one person does, the other sees, and both see it again after a reload."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_talking import two_in_a_group

pytestmark = pytest.mark.e2e


async def act(person: Person, text: str, name: str) -> None:
    """Press one of the buttons that a message has."""
    message = person.message(text).first  # a reply to it holds its text, too
    await message.get_by_text(text).first.hover()
    await message.get_by_role("button", name=name, exact=True).click()


def reaction(person: Person, text: str, emoji: str) -> Locator:
    """The reactions of one kind on a message."""
    return person.message(text).get_by_role("list").get_by_role("button", name=re.compile(f"^{emoji}"))


async def test_a_reaction_is_put_seen_and_taken_back(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Shall we walk?")
    await bob.sees("Shall we walk?")
    await act(bob, "Shall we walk?", "React")
    await bob.page.get_by_role("dialog", name="React").get_by_role("button", name="👍").click()
    mine, hers = reaction(bob, "Shall we walk?", "👍"), reaction(alice, "Shall we walk?", "👍")
    await expect(mine).to_have_attribute("aria-pressed", "true")
    await expect(hers).to_have_attribute("aria-pressed", "false")
    await expect(hers).to_have_text(f"👍 1{bob.name}")
    await hers.click()
    await expect(mine).to_have_text(f"👍 2You, {alice.name}")
    await alice.shot("reactions")
    await mine.click()
    await expect(hers).to_have_text("👍 1You")
    await alice.page.reload()
    await expect(hers).to_have_text("👍 1You")
    await alice.check_accessibility()


async def test_ones_last_message_is_edited_with_the_arrow_key(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("At nien o'clock")
    await alice.sees_sent("At nien o'clock")
    await alice.composer.press("ArrowUp")
    await expect(alice.composer).to_have_value("At nien o'clock")
    await alice.composer.press("Escape")
    await expect(alice.composer).to_have_value("")
    await alice.composer.press("ArrowUp")
    await alice.write("At nine o'clock")
    for person in (alice, bob):
        await person.sees("At nine o'clock")
        await expect(person.message("At nine o'clock")).to_contain_text("edited")
        await expect(person.message("nien")).to_have_count(0)
    await expect(alice.composer).to_have_value("")
    await bob.page.reload()
    await bob.sees("At nine o'clock")


async def test_a_deleted_message_is_gone_for_both_also_in_the_replies_to_it(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("The code is 4711")
    await bob.sees("The code is 4711")
    await act(bob, "The code is 4711", "Reply")
    await expect(bob.page.get_by_text(f"Reply to {alice.name}")).to_be_visible()
    await bob.write("Better not here")
    await alice.sees("Better not here")
    await expect(alice.message("Better not here")).to_contain_text("The code is 4711")
    await alice.shot("reply")
    hers = bob.log.get_by_role("article", name=re.compile(f"^{alice.name}"))
    await expect(hers.get_by_role("button", name="Reply")).to_have_count(1)
    await expect(hers.get_by_role("button", name="Delete")).to_have_count(0)
    await act(alice, "The code is 4711", "Delete")
    await alice.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for person in (alice, bob):
        await expect(person.log.get_by_role("article").first).to_contain_text("This message was deleted.")
    for person in (alice, bob):
        await person.page.reload()
        await person.sees("Better not here")
        await expect(person.log).not_to_contain_text("4711")


async def test_what_changed_while_one_was_away_is_seen_on_return(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write("one")
    await bob.sees("one")
    bob.may_lose_network = True
    await bob.context.set_offline(True)
    await bob.page.goto("about:blank")
    await alice.composer.press("ArrowUp")
    await alice.write("two")
    await alice.sees("two")
    await bob.context.set_offline(False)
    await bob.page.goto(bob.url)
    await bob.open(room)
    await bob.sees("two")
    await expect(bob.message("one")).to_have_count(0)

"""Messages that change: what one person does, the other sees, and both see it again after a reload."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, expect
from playwright.async_api import TimeoutError as NotReached

from tests.browser.person import Person
from tests.browser.test_reading import PHONE, conversation_of
from tests.browser.test_talking import two_in_a_group
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e
MOST_KINDS = "🍎🍐🍊🍋🍌🍉🍇🍓🍈🍒🍑🥭🍍🥥🥝🍅🍆🥑🥦🥬"  # as many as a message may have


async def act(person: Person, text: str, name: str) -> None:
    """Press one of the buttons that a message has under the pointer; it may move away from there when others read it."""
    message = person.message(text).first  # a reply to it holds its text, too
    async with asyncio.timeout(15):
        while True:
            await message.get_by_text(text).first.hover()
            try:
                return await message.get_by_role("button", name=name, exact=True).click(timeout=3000)
            except NotReached:
                continue


async def press_long(person: Person, text: str) -> Locator:
    """Rest a finger on a message, until what can be done with it is there."""
    words = person.message(text).first.locator(".words")
    await words.tap(trial=True)  # it does not move any more
    box = await words.bounding_box()
    assert box
    touch = await person.context.new_cdp_session(person.page)
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    sheet = person.page.get_by_role("dialog", name="What to do with this message")
    await sheet.wait_for()
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await expect(sheet).to_be_visible()
    return sheet


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
    await expect(hers.get_by_role("button", name="Reply", exact=True)).to_have_count(1)
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


async def test_what_an_edited_message_said_before_is_shown_to_whoever_asks(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("first words")
    for text in ("second words", "third words"):
        await alice.sees_sent("words")
        await alice.composer.press("ArrowUp")
        await alice.write(text)
    await bob.sees("third words")
    await bob.message("third words").get_by_role("button", name="edited").click()
    history = bob.page.get_by_role("dialog", name="What it said before")
    await expect(history.get_by_role("listitem")).to_contain_text(["first words", "second words", "third words"])
    await bob.shot("edits")
    await bob.check_accessibility()
    await bob.page.keyboard.press("Escape")
    await expect(history).to_be_hidden()


async def test_a_finger_that_rests_on_a_message_opens_what_can_be_done(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}", **PHONE)
    for person in (alice, bob):
        await person.sign_in()
    await conversation_of(alice, [bob], f"Walk {unique}")
    for person in (alice, bob):
        await person.open(f"Walk {unique}")
    await alice.write("Who brings bread?")
    await bob.sees("Who brings bread?")
    sheet = await press_long(bob, "Who brings bread?")
    await bob.shot("sheet-phone")
    await bob.check_accessibility()
    await expect(sheet.get_by_role("button", name="Edit", exact=True)).to_have_count(0)
    await sheet.get_by_role("button", name="❤️").tap()
    await expect(reaction(alice, "Who brings bread?", "❤️")).to_have_text(f"❤️ 1{bob.name}")
    sheet = await press_long(bob, "Who brings bread?")
    await sheet.get_by_role("button", name="Reply", exact=True).tap()
    await expect(sheet).to_be_hidden()
    await bob.write("I do")
    await expect(alice.message("I do")).to_contain_text("Who brings bread?")


async def test_any_emoji_is_found_by_name_and_the_keyboard_does_it_all(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Shall we walk?")
    await bob.sees("Shall we walk?")
    tools = bob.message("Shall we walk?").get_by_role("toolbar")
    await tools.get_by_role("button", name="React").focus()
    await bob.page.keyboard.press("ArrowRight")
    await expect(tools.get_by_role("button", name="Reply", exact=True)).to_be_focused()
    await bob.page.keyboard.press("ArrowLeft")
    await bob.page.keyboard.press("Enter")
    picker = bob.page.get_by_role("dialog", name="React")
    await picker.get_by_role("button", name="More emoji").press("Enter")
    await picker.get_by_role("searchbox").fill("hiking boot")
    await expect(picker.get_by_role("gridcell")).to_have_count(1)
    await bob.shot("picker")
    await picker.get_by_role("searchbox").press("Enter")
    await expect(picker).to_be_hidden()
    await expect(reaction(alice, "Shall we walk?", "🥾")).to_have_text(f"🥾 1{bob.name}")


async def test_what_belongs_to_a_message_stays_when_a_keyboard_slides_in(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}", **PHONE)
    for person in (alice, bob):
        await person.sign_in()
    await conversation_of(alice, [bob], f"Walk {unique}")
    for person in (alice, bob):
        await person.open(f"Walk {unique}")
    await alice.write("Shall we walk?")
    await bob.sees("Shall we walk?")
    sheet = await press_long(bob, "Shall we walk?")
    await sheet.get_by_role("button", name="More emoji").tap()
    search = sheet.get_by_role("searchbox")
    await expect(search).to_be_focused()
    await bob.page.set_viewport_size({"width": 390, "height": 420})
    await search.fill("hiking boot")
    await expect(search).to_be_in_viewport(ratio=1)
    await expect(sheet.get_by_role("gridcell")).to_have_count(1)
    await bob.shot("sheet-keyboard")
    await sheet.get_by_role("gridcell").tap()
    await expect(reaction(alice, "Shall we walk?", "🥾")).to_have_text(f"🥾 1{bob.name}")

    await act(alice, "Shall we walk?", "React")
    picker = alice.page.get_by_role("dialog", name="React")
    await alice.page.set_viewport_size({"width": 1280, "height": 400})
    await expect(picker).to_be_in_viewport(ratio=1)
    words = await alice.message("Shall we walk?").locator(".words").bounding_box()
    place = await picker.bounding_box()
    assert words
    assert place
    assert place["y"] + place["height"] < words["y"] < place["y"] + place["height"] + 40
    await alice.page.set_viewport_size({"width": 700, "height": 400})
    await expect(picker).to_have_count(0)


async def test_what_is_refused_is_taken_back_and_said(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("as it was")
    await alice.sees_sent("as it was")
    await bob.sees("as it was")
    async with Rest(alice.url) as rest:
        await rest.login(alice.name)
        [conversation] = (await rest.conversations())["items"]
        for emoji in MOST_KINDS:
            await rest.react(conversation["id"], conversation["lastMessage"]["id"], emoji)
    await expect(reaction(bob, "as it was", "🥬")).to_be_visible()
    await act(bob, "as it was", "React")
    await bob.page.get_by_role("dialog", name="React").get_by_role("button", name="👍").click()
    await expect(bob.page.get_by_role("region", name="Notifications")).to_contain_text("The reaction was not kept")
    await expect(reaction(bob, "as it was", "👍")).to_have_count(0)

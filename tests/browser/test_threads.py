"""Replies, threads and mentions, between two people."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_changing import act, press_long
from tests.browser.test_reading import PHONE, conversation_of, listed, say
from tests.browser.test_talking import two_in_a_group
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e


def thread(person: Person) -> Locator:
    """The thread beside the messages, or over them."""
    return person.page.get_by_role("region", name="Thread", exact=True)


async def test_a_thread_is_opened_written_in_and_counted_live(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Where do we meet?")
    await bob.sees("Where do we meet?")
    await act(bob, "Where do we meet?", "Reply in thread")
    await expect(thread(bob)).to_contain_text("0 replies")
    field = thread(bob).get_by_role("textbox")
    await expect(field).to_be_focused()
    await field.fill("At the mill")
    await field.press("Enter")
    await expect(thread(bob).get_by_role("article").filter(has_text="At the mill")).to_have_count(1)
    counted = alice.message("Where do we meet?").get_by_role("button", name="1 reply")
    await counted.click()
    await expect(thread(alice)).to_contain_text("At the mill")
    await thread(alice).get_by_role("textbox").fill("Good, at nine")
    await thread(alice).get_by_role("textbox").press("Enter")
    await expect(thread(bob)).to_contain_text("Good, at nine")
    for person in (alice, bob):
        await expect(thread(person)).to_contain_text("2 replies")
        first = person.log.get_by_role("article").first
        await expect(first.get_by_role("button", name="2 replies")).to_be_visible()
    await bob.shot("thread")
    await bob.check_accessibility()
    await bob.page.reload()
    await expect(bob.log.get_by_role("article").first.get_by_role("button", name="2 replies")).to_be_visible()


async def test_a_thread_on_a_phone(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}", **PHONE, color_scheme="dark")
    for person in (alice, bob):
        await person.sign_in()
    await conversation_of(alice, [bob], f"Walk {unique}")
    for person in (alice, bob):
        await person.open(f"Walk {unique}")
    await alice.write("Where do we meet?")
    await bob.sees("Where do we meet?")
    sheet = await press_long(bob, "Where do we meet?")
    await sheet.get_by_role("button", name="Reply in thread").tap()
    await thread(bob).get_by_role("textbox").fill("At the mill")
    await thread(bob).get_by_role("button", name="Send").tap()
    await alice.sees("At the mill")
    await expect(thread(bob)).to_contain_text("1 reply")
    await bob.shot("thread-phone")
    await thread(bob).get_by_role("button", name="Close the thread").tap()
    await bob.sees("At the mill")
    await bob.shot("replies-phone")


async def test_a_quote_leads_to_what_it_quotes_however_far_that_is(arrive, generous, unique):
    alice, bob = [await arrive(f"{name} {unique}", generous.gateways[0].url) for name in ("Alice", "Bob")]
    for person in (alice, bob):
        await person.sign_in()
    walk = await conversation_of(alice, [bob], f"Walk {unique}")
    await alice.open(f"Walk {unique}")
    await alice.write("The very first")
    await alice.sees_sent("The very first")
    await act(alice, "The very first", "Reply")
    await say(bob, walk, *[f"in between {at}" for at in range(130)])
    await alice.write("An answer at last")
    await alice.sees_sent("An answer at last")
    await bob.open(f"Walk {unique}")
    quote = bob.message("An answer at last").get_by_title("Go to this message")
    await expect(quote).to_contain_text("The very first")
    await quote.click()
    first = bob.log.get_by_role("article").filter(has_not_text="An answer").filter(has_text="The very first")
    await expect(first).to_be_in_viewport()


async def test_who_is_mentioned_is_completed_marked_and_told(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await bob.page.goto(f"{bob.url}/#/")
    await expect(bob.log).to_be_hidden()
    await alice.composer.press_sequentially("Hello @bo")
    options = alice.page.get_by_role("listbox", name="People to mention").get_by_role("option")
    await expect(options).to_have_text([re.compile(bob.name)])
    await alice.shot("completion")
    await alice.check_accessibility()
    await alice.composer.press("Enter")
    await expect(alice.composer).to_have_value(f"Hello @{bob.name} ")
    await alice.composer.press_sequentially("are you there?")
    await alice.composer.press("Enter")
    await alice.sees_sent("are you there?")
    await expect(alice.log.locator(".mention")).to_have_text(f"@{bob.name}")
    link = listed(bob, room)
    await expect(link).to_contain_text("You were mentioned")
    await expect(bob.page.get_by_role("region", name="Notifications")).to_contain_text(f"{alice.name} mentioned you")
    await bob.shot("mentioned")
    await bob.page.reload()
    await expect(link).to_contain_text("You were mentioned")
    await bob.open(room)
    await expect(bob.message("are you there?")).to_contain_text("Mentions you.")
    await expect(bob.log.locator(".mention")).to_have_text(f"@{bob.name}")
    await expect(link).not_to_contain_text("You were mentioned")


async def test_who_came_after_the_first_hundred_is_mentioned_too(arrive, unique):
    alice, newest = await arrive(f"Alice {unique}"), f"Zoé {unique}"
    await alice.sign_in()
    async with Rest(alice.url) as rest:
        await rest.login(newest)
        zoe = rest.user_id
        await rest.me()  # from then on there is somebody of that name
        await rest.login(alice.name)
        others = [f"{unique}-{n}" for n in range(120)]
        town = await rest.create_conversation(others, f"Town {unique}", "channel")
        await rest.add_members(town["id"], [zoe])
        await alice.open(f"Town {unique}")
        await alice.composer.press_sequentially("Welcome @zo")
        option = alice.page.get_by_role("listbox", name="People to mention").get_by_role("option")
        await expect(option).to_have_text([re.compile(newest)])
        await alice.composer.press("Enter")
        await alice.composer.press("Enter")
        await alice.sees_sent(f"Welcome @{newest}")
        await expect(alice.log.locator(".mention")).to_have_text(f"@{newest}")
        assert (await rest.all_messages(town["id"]))[-1]["mentions"] == [zoe]


async def test_everybody_is_mentioned_by_an_admin_only(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await bob.composer.press_sequentially("@al")
    options = bob.page.get_by_role("listbox", name="People to mention").get_by_role("option")
    await expect(options).to_have_text([re.compile(alice.name)])
    await bob.composer.press("Escape")
    await expect(options).to_have_count(0)
    await bob.composer.fill("")
    await bob.page.goto(f"{bob.url}/#/")
    await expect(bob.log).to_be_hidden()
    await alice.composer.press_sequentially("@al")
    await alice.page.get_by_role("option", name="all").click()
    await alice.composer.press_sequentially("listen")
    await alice.composer.press("Enter")
    await alice.sees_sent("listen")
    await expect(listed(bob, room)).to_contain_text("You were mentioned")


async def test_what_is_begun_in_a_thread_outlives_an_edit_and_escape(arrive, unique):
    alice, _, _ = await two_in_a_group(arrive, unique)
    await alice.page.set_viewport_size({"width": 1000, "height": 800})  # the thread is over the messages
    await alice.write("Where do we meet?")
    await alice.sees_sent("Where do we meet?")
    await act(alice, "Where do we meet?", "Reply in thread")
    field = thread(alice).get_by_role("textbox")
    await field.fill("At the mill")
    await field.press("Enter")
    edit = thread(alice).get_by_role("article").filter(has_text="mill").get_by_role("button", name="Edit", exact=True)
    await edit.wait_for(state="attached")
    await field.fill("And at what")
    await edit.press("Enter")
    await expect(field).to_have_value("At the mill")
    await field.press("Escape")
    await expect(field).to_have_value("And at what")
    await edit.press("Enter")
    await expect(field).to_have_value("At the mill")
    await field.fill("At the old mill")
    await field.press("Enter")
    await expect(thread(alice).get_by_role("article").last).to_contain_text("At the old mill")
    await expect(field).to_have_value("And at what")
    await thread(alice).get_by_role("button", name="Emoji").click()
    picker = thread(alice).get_by_role("dialog", name="Emoji")
    await picker.get_by_role("searchbox").press("Escape")
    await expect(picker).to_have_count(0)
    await expect(field).to_have_value("And at what")


async def test_whoever_reads_further_up_in_a_thread_stays_there(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Where do we meet?")
    await bob.sees("Where do we meet?")
    await act(bob, "Where do we meet?", "Reply in thread")
    await bob.page.set_viewport_size({"width": 1280, "height": 460})
    field = thread(bob).get_by_role("textbox")
    await field.fill("word\n" * 12 + "at the mill")
    await field.press("Enter")
    replies = thread(bob).get_by_role("region", name="Messages of the thread").get_by_role("article")
    await expect(replies).to_have_count(2)
    await expect(replies.last.get_by_role("img", name="Sent")).to_be_in_viewport()
    await replies.first.scroll_into_view_if_needed()
    await expect(replies.first).to_be_in_viewport()
    await act(alice, "Where do we meet?", "Reply in thread")
    await thread(alice).get_by_role("textbox").fill("Good, at nine")
    await thread(alice).get_by_role("textbox").press("Enter")
    await expect(replies).to_have_count(3)
    await expect(replies.first).to_be_in_viewport()
    await expect(replies.last).not_to_be_in_viewport()
    await field.fill("See you")
    await field.press("Enter")
    await expect(replies.filter(has_text="See you")).to_be_in_viewport()
    await thread(alice).get_by_role("textbox").fill("See you too")
    await thread(alice).get_by_role("textbox").press("Enter")
    await expect(replies.filter(has_text="See you too")).to_be_in_viewport()

"""Somebody looks for what was said, and goes there."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_changing import act
from tests.browser.test_reading import conversation_of, listed, say
from tests.browser.test_talking import two_in_a_group
from tests.browser.test_threads import thread
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e


def panel(person: Person) -> Locator:
    """Where one searches."""
    return person.page.get_by_role("search", name="Search messages")


def hits(person: Person) -> Locator:
    """What was found."""
    return panel(person).get_by_role("list", name="Found messages").get_by_role("listitem")


async def look_for(person: Person, words: str) -> None:
    """Write words into the search."""
    await panel(person).get_by_role("textbox", name="Words that were said").fill(words)


STEP = """async log => {
    log.scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
}"""


async def test_what_was_found_is_shown_in_its_place_and_leads_on_in_both_directions(arrive, generous, unique):
    alice = await arrive(f"Alice {unique}", generous.gateways[0].url)
    await alice.sign_in()
    async with Rest(alice.url) as bob:
        async with Rest(alice.url) as rest:
            await rest.login(alice.name)
            await bob.login(f"Bob {unique}")
            room = await rest.create_conversation([bob.user_id], f"Walk {unique}")
        for number in range(1, 401):
            words = f"the Brücke {unique} is crossed" if number == 120 else f"m{number} "
            await bob.send(room["id"], words)
        await alice.open(f"Walk {unique}")
        await alice.sees("m400 ")
        await alice.page.get_by_role("button", name="Search in this conversation").click()
        await look_for(alice, f"brucke {unique}")
        await expect(hits(alice)).to_have_count(1)
        await expect(hits(alice).locator("mark")).to_have_text(["Brücke", unique])
        await alice.shot("search")
        await alice.check_accessibility()
        await hits(alice).get_by_role("button").click()
        found = alice.message("Brücke")
        await expect(found).to_be_in_viewport()
        await expect(found).to_have_attribute("aria-current", "true")
        await alice.shot("search-jumped")
        await expect(found).not_to_have_attribute("aria-current", "true")
        await expect(alice.message("m119 ")).to_be_in_viewport()
        await expect(alice.message("m121 ")).to_be_in_viewport()

        # What comes meanwhile does not move the reader.
        await bob.send(room["id"], "said meanwhile")
        await expect(found).to_be_in_viewport()
        await expect(alice.message("said meanwhile")).to_have_count(0)

        # Nor does what one says oneself, where the thread that shows it is open.
        await act(alice, "Brücke", "Reply in thread")
        await expect(thread(alice)).to_contain_text("0 replies")
        await act(alice, "Brücke", "Reply")
        await alice.write("that one")
        await expect(thread(alice)).to_contain_text("that one")
        await expect(thread(alice)).to_contain_text("1 reply")
        await expect(alice.message("m121 ")).to_be_in_viewport()
        await alice.page.get_by_role("button", name="Search in this conversation").click()
        await look_for(alice, f"brucke {unique}")

        # Down to the live end, message by message, without a hole.
        seen: set[int] = set()
        while True:
            texts = await alice.texts()
            seen |= {int(text[1:]) for text in texts if re.fullmatch(r"m\d+", text)}
            if "said meanwhile" in texts:
                break
            await alice.log.evaluate(STEP)
        assert seen >= set(range(121, 401))
        await alice.write("back")
        await alice.sees_sent("back")

        # And from somewhere else back at once.
        await hits(alice).get_by_role("button").click()
        await expect(found).to_be_in_viewport()
        await alice.page.get_by_role("button", name="Jump to newest").click()
        await expect(alice.message("back")).to_be_in_viewport()
        await hits(alice).get_by_role("button").click()
        await expect(found).to_be_in_viewport()
        await expect(found).not_to_have_attribute("aria-current", "true")
        await alice.write("said from there")
        await alice.sees_sent("said from there")
        await expect(alice.message("said from there")).to_be_in_viewport()


@pytest.mark.parametrize(("count", "at"), [(40, 5), (90, 5), (25, 15)], ids=["above", "in an excerpt", "near the end"])
async def test_where_one_is_led_to_only_what_is_in_sight_is_read(arrive, generous, unique, count, at):
    alice, bob = [await arrive(f"{name} {unique}", generous.gateways[0].url) for name in ("Alice", "Bob")]
    await alice.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.sign_in()
    words = [f"word {n}.\nof several\nlines\nthat are\nhigh" for n in range(1, count + 1)]
    await say(alice, walk, *words[: at - 1], f"the Brücke {unique}", *words[at:])
    await expect(listed(bob, room)).to_contain_text(f"{count} unread messages")
    await bob.page.get_by_role("button", name="Search messages").click()
    await look_for(bob, f"brucke {unique}")
    await hits(bob).get_by_role("button").click()
    await expect(bob.message("Brücke")).to_be_in_viewport()
    await panel(bob).get_by_role("button", name="Close the search").click()
    below = "|".join(str(n) for n in range(count - at - 7, count - at))
    await expect(bob.page).to_have_title(re.compile(rf"^\(({below})\) "))
    await expect(bob.message("Brücke")).to_be_in_viewport()


async def test_one_searches_everywhere_by_sender_and_day(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write(f"leaves-{unique} of Alice")
    await bob.sees("of Alice")
    await bob.write(f"leaves-{unique} of Bob")
    await alice.sees("of Bob")
    await alice.page.goto(f"{alice.url}/#/")
    await alice.page.get_by_role("button", name="Search messages").click()
    await look_for(alice, f"leaves {unique}")
    await expect(hits(alice)).to_have_count(2)
    await panel(alice).get_by_text("Sender and days").click()
    people = panel(alice).get_by_role("combobox", name="Said by")
    await people.fill(bob.name)
    await panel(alice).get_by_role("option", name=bob.name).click()
    await expect(hits(alice)).to_have_count(1)
    await expect(hits(alice)).to_contain_text("of Bob")
    await expect(hits(alice)).to_contain_text(room)
    await alice.check_accessibility()
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    await panel(alice).get_by_label("From").fill(tomorrow)
    await expect(panel(alice).get_by_role("status").filter(has_text="Nobody said that")).to_be_visible()
    await panel(alice).get_by_role("button", name="Close the search").click()
    await expect(alice.nav).to_be_visible()


async def test_on_a_phone_the_search_and_the_conversation_take_turns(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await bob.write(f"needle-{unique}")
    await alice.sees(f"needle-{unique}")
    await alice.page.set_viewport_size({"width": 390, "height": 780})
    await alice.page.get_by_role("button", name="Search in this conversation").click()
    await look_for(alice, "needle")
    await expect(hits(alice)).to_have_count(1)
    await alice.shot("search-phone")
    await hits(alice).get_by_role("button").click()
    await expect(alice.message("needle")).to_be_in_viewport()
    await alice.page.go_back()
    await expect(hits(alice)).to_have_count(1)

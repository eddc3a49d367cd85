"""Two people, each in a browser of their own and at a gateway of their own."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.support.chat_client import Rest
from tests.support.eventually import eventually

pytestmark = pytest.mark.e2e


async def two_in_a_group(arrive: Arrive, unique: str) -> tuple[Person, Person, str]:
    """Alice and Bob, signed in, with a group of both open before each."""
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    await bob.sign_in()
    room = f"Walk {unique}"
    async with Rest(alice.url) as alice_rest, Rest(bob.url) as bob_rest:
        await alice_rest.login(alice.name)
        await bob_rest.login(bob.name)
        await alice_rest.create_conversation([bob_rest.user_id], room)
    await alice.open(room)
    await bob.open(room)
    return alice, bob, room


async def test_they_talk(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Bonjour Bob")
    await alice.sees_sent("Bonjour Bob")
    await bob.sees("Bonjour Bob")
    await bob.write("Bonjour Alice\net bon dimanche")
    await alice.sees("et bon dimanche")
    assert await alice.texts() == ["Bonjour Bob", "Bonjour Alice\net bon dimanche"]
    await alice.page.reload()
    await alice.sees("Bonjour Bob")
    await alice.sees("et bon dimanche")


# As on a device that is busy: what follows a change within 16 ms (`web/src/lib/rendering.ts`) is drawn a second later.
DRAW_LATE = """() => {
    const real = window.setTimeout;
    window.setTimeout = (act, delay, ...more) => real(act, delay === 16 ? 1000 : delay, ...more);
}"""


async def test_what_one_says_is_looked_at_also_where_it_is_stored_before_it_is_drawn(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    for number in range(40):
        await bob.write(f"m{number} ")
    await alice.sees("m39 ")
    for text in ("said from above", "said again"):
        await alice.log.evaluate("log => log.scrollTo(0, 0)")
        await expect(alice.message("m0 ")).to_be_in_viewport()
        await alice.write(text)
        await alice.sees_sent(text)
        await expect(alice.message(text)).to_be_in_viewport()
        await alice.page.evaluate(DRAW_LATE)


async def test_who_is_typing_is_seen_and_passes(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await bob.composer.press_sequentially("hm")
    await expect(alice.page.get_by_text(f"{bob.name} is typing…")).to_be_visible()
    await bob.composer.fill("")
    await expect(alice.page.get_by_text(f"{bob.name} is typing…")).to_be_hidden()


async def test_shift_enter_starts_a_line_and_the_draft_stays(arrive, unique):
    alice, _, room = await two_in_a_group(arrive, unique)
    await alice.composer.press_sequentially("one")
    await alice.composer.press("Shift+Enter")
    await alice.composer.press_sequentially("two")
    await asyncio.sleep(0.5)  # a draft is written in the pauses
    await alice.page.reload()
    await expect(alice.composer).to_have_value("one\ntwo")
    await alice.page.goto(f"{alice.url}/#/")
    await expect(alice.nav.get_by_role("link", name=room)).to_contain_text("Draft one two")
    await alice.open(room)
    await alice.composer.press("Enter")
    await alice.sees_sent("one")
    await expect(alice.composer).to_have_value("")


async def test_a_message_elsewhere_counts_notifies_and_is_marked_when_opened(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write("before")
    await bob.sees("before")
    await bob.page.goto(f"{bob.url}/#/")
    await expect(bob.log).to_be_hidden()
    for text in ("first", "second"):
        await alice.write(text)
        await alice.sees_sent(text)
    link = bob.nav.get_by_role("link", name=room)
    await expect(link).to_contain_text("2 unread messages")
    await expect(link).to_contain_text("second")
    await expect(bob.page).to_have_title(re.compile(r"^\(2\) "))
    toasts = bob.page.get_by_role("region", name="Notifications")
    await expect(toasts).to_contain_text("second")
    await bob.shot("unread")
    await bob.open(room)
    await expect(bob.log.get_by_text("New messages")).to_be_visible()
    await expect(link).not_to_contain_text("unread")
    await expect(bob.page).to_have_title(re.compile(r"^[^(]"))


async def test_a_direct_conversation_is_started_with_the_people_picker(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await bob.sign_in()
    await alice.sign_in()
    await alice.page.get_by_role("button", name="New conversation").first.click()
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    await dialog.get_by_role("combobox", name="People").fill(bob.name)
    await dialog.get_by_role("option", name=bob.name).click()
    await alice.shot("new-conversation")
    await dialog.get_by_role("button", name="Start").click()
    await alice.write("psst")
    await alice.sees_sent("psst")
    await expect(bob.nav.get_by_role("link", name=alice.name)).to_contain_text("psst")
    await bob.open(alice.name)
    await bob.sees("psst")


async def test_a_channel_with_a_name(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    await alice.sign_in()
    await alice.page.get_by_role("button", name="New conversation").first.click()
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    await dialog.get_by_role("radio", name=re.compile("^Channel")).check()
    await dialog.get_by_role("button", name="Start").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Give it a name.")
    await dialog.get_by_label("Name", exact=True).fill(f"news {unique}")
    await dialog.get_by_role("button", name="Start").click()
    await expect(alice.page.get_by_role("heading", name=f"news {unique}").first).to_be_visible()
    await expect(alice.page.get_by_text("Nothing has been said yet.")).to_be_visible()


async def test_members_are_added_renamed_and_removed_while_they_look(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    carol = await arrive(f"Carol {unique}")
    await carol.sign_in()
    await alice.page.get_by_role("button", name="Details and members").click()
    details = alice.page.get_by_role("region", name="Details")
    await details.get_by_role("button", name="Add people").click()
    adding = alice.page.get_by_role("dialog", name="Add people")
    await adding.get_by_role("combobox").fill(carol.name)
    await adding.get_by_role("option", name=carol.name).click()
    await adding.get_by_role("button", name="Add", exact=True).click()
    await expect(details.get_by_text("3 members")).to_be_visible()
    await expect(carol.nav.get_by_role("link", name=room)).to_be_visible()

    await details.get_by_role("button", name="Rename").click()
    await details.get_by_label("Name of the conversation").fill(f"Stroll {unique}")
    await details.get_by_role("button", name="Save").click()
    await expect(bob.page.get_by_role("heading", name=f"Stroll {unique}").first).to_be_visible()
    await alice.shot("details")

    await bob.composer.fill("I was about to say")
    await details.get_by_role("button", name=f"Remove {bob.name}").click()
    await alice.page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    await expect(bob.page.get_by_role("alert")).to_contain_text("You are no longer in this conversation.")
    await expect(bob.page.get_by_role("alert")).to_contain_text("kept as a draft on this device")
    await expect(bob.composer).to_be_hidden()
    await expect(bob.nav.get_by_role("link", name=f"Stroll {unique}")).to_be_hidden()
    await bob.shot("removed")
    await bob.check_accessibility()
    await expect(details.get_by_text("2 members")).to_be_visible()

    await carol.open(f"Stroll {unique}")
    await carol.page.get_by_role("button", name="Details and members").click()
    await carol.page.get_by_role("button", name="Leave the conversation").click()
    await carol.page.get_by_role("dialog").get_by_role("button", name="Leave", exact=True).click()
    await expect(carol.nav.get_by_role("link", name=f"Stroll {unique}")).to_be_hidden()
    await expect(details.get_by_text("1 member", exact=True)).to_be_visible()


NOBODY_LOOKS = """() => {
    window.told = [];
    window.withdrawn = 0;
    window.Notification = class {
        static permission = 'granted';
        constructor(title, { body }) { window.told.push(`${title}: ${body}`); }
        close() { window.withdrawn += 1; }
    };
    document.hasFocus = () => false;
    window.dispatchEvent(new Event('blur'));
}"""


async def told_by(person: Person, count: int) -> list[str]:
    """What their device has told since nobody looked, once it is so much."""
    told: list[str] = []

    async def enough() -> bool:
        told[:] = await person.page.evaluate("window.told")
        return len(told) >= count

    await eventually(enough)
    return told


async def test_the_device_tells_what_comes_while_nobody_looks(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write("before")
    await bob.sees("before")
    await bob.page.evaluate(NOBODY_LOOKS)
    await alice.write("**are** you there?")
    await bob.sees("you there?")
    await expect(bob.page).to_have_title(re.compile(r"^\(1\) "))
    assert await told_by(bob, 1) == [f"{alice.name} in {room}: are you there?"]
    await expect(bob.log.get_by_text("New messages")).to_be_visible()
    await bob.page.evaluate("() => { document.hasFocus = () => true; window.dispatchEvent(new Event('focus')) }")
    await expect(bob.page).to_have_title(re.compile(r"^[^(]"))


async def test_the_device_tells_nothing_of_what_is_looked_at_in_another_window(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    reading, beside = bob.page, await bob.context.new_page()
    await beside.goto(bob.url)
    bob.page = beside
    await bob.sign_in()
    await bob.page.evaluate(NOBODY_LOOKS)
    bob.page = reading
    await alice.write("read at once")
    await bob.sees("read at once")
    link = beside.get_by_role("navigation", name="Conversations").get_by_role("link", name=room)
    await expect(link).to_contain_text("read at once")
    await bob.page.evaluate(NOBODY_LOOKS)
    await alice.write("and this?")
    # One of both tells, and only of what is not being read.

    async def told() -> bool:
        heard = [words for page in (reading, beside) for words in await page.evaluate("window.told")]
        assert all(words.endswith("and this?") for words in heard)
        return len(heard) == 1

    await eventually(told)
    await expect(link).to_contain_text("and this?")
    await eventually(told)
    await bob.look_back()

    async def withdrawn() -> bool:
        return [await page.evaluate("window.withdrawn") for page in (reading, beside)] in ([1, 0], [0, 1])

    await eventually(withdrawn)


async def test_emoji_come_from_our_own_server(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.page.get_by_role("button", name="Emoji").click()
    picker = alice.page.get_by_role("dialog", name="Emoji")
    await picker.get_by_role("searchbox").fill("deciduous tree")
    await expect(picker.get_by_role("gridcell").first).to_have_text("🌳")
    await alice.shot("emoji")
    await picker.get_by_role("searchbox").press("Enter")
    await expect(alice.composer).to_have_value("🌳")
    await expect(alice.composer).to_be_focused()
    await alice.composer.press("Enter")
    await expect(bob.log.get_by_role("article")).to_contain_text("🌳")


async def test_enter_in_the_search_for_an_emoji_sends_nothing(arrive, unique):
    alice, _, _ = await two_in_a_group(arrive, unique)
    await alice.composer.fill("not finished")
    await alice.page.get_by_role("button", name="Emoji").click()
    picker = alice.page.get_by_role("dialog", name="Emoji")
    await picker.get_by_role("searchbox").fill("no such thing")
    await expect(picker.get_by_text("No such emoji")).to_be_visible()
    await picker.get_by_role("searchbox").press("Enter")
    await picker.get_by_role("searchbox").press("Escape")
    await expect(alice.composer).to_have_value("not finished")
    await alice.write("finished")
    await alice.sees_sent("finished")
    assert await alice.texts() == ["finished"]


# As Safari tells of it: after the composition has ended.
TAKE_PROPOSAL = """field => field.dispatchEvent(
    new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, bubbles: true, cancelable: true})
)"""


async def test_enter_that_takes_the_proposal_of_an_input_method_does_nothing_else(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.composer.fill("にほん")
    assert await alice.composer.evaluate(TAKE_PROPOSAL)
    await expect(alice.composer).to_have_value("にほん")
    await alice.write("日本語")
    await bob.sees("日本語")
    assert await bob.texts() == ["日本語"]
    await alice.composer.press_sequentially(f"@Bob {unique}")
    await expect(alice.page.get_by_role("option")).to_have_count(1)
    assert await alice.composer.evaluate(TAKE_PROPOSAL)
    await expect(alice.page.get_by_role("option")).to_have_count(1)
    await alice.composer.fill("")

    await alice.page.get_by_role("button", name="New conversation").click()
    people = alice.page.get_by_role("combobox", name="People")
    await people.fill(bob.name)
    option = alice.page.get_by_role("option", name=bob.name)
    await expect(option).to_be_visible()
    assert await people.evaluate(TAKE_PROPOSAL)
    await expect(option).to_have_attribute("aria-selected", "false")
    await people.press("Enter")
    await expect(option).to_have_attribute("aria-selected", "true")


async def test_people_are_searched_for_once_whatever_is_said_meanwhile(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.page.get_by_role("button", name="New conversation").first.click()
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    await dialog.get_by_role("option").first.wait_for()
    await bob.write("meanwhile")
    await alice.sees("meanwhile")
    async with alice.page.expect_response(re.compile(r"/api/users\?query=.")):
        await dialog.get_by_role("combobox", name="People").fill(bob.name)
    await expect(dialog.get_by_role("option")).to_have_text([re.compile(bob.name)])
    searches = [url for url in alice.requests if "/api/users" in url]
    assert len(searches) == 2, searches


async def test_text_is_selected_beyond_the_edge_of_a_dialog_and_a_press_there_closes_it(arrive, unique):
    alice, _, _ = await two_in_a_group(arrive, unique)
    await alice.page.set_viewport_size({"width": 1000, "height": 800})
    mouse = alice.page.mouse
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    for way, words in (
        ("New conversation", dialog.get_by_text("People", exact=True)),
        ("Details and members", alice.page.get_by_role("heading", name="2 members")),
    ):
        await alice.page.get_by_role("button", name=way).first.click()
        await words.hover()
        await mouse.down()
        await mouse.move(20, 400)
        await mouse.up()
        await expect(words).to_be_visible()
        await mouse.click(20, 400)
        await expect(words).to_have_count(0)


async def test_escape_ends_renaming_and_not_the_details_over_the_messages(arrive, unique):
    alice, _, _ = await two_in_a_group(arrive, unique)
    await alice.page.set_viewport_size({"width": 1000, "height": 800})
    await alice.page.get_by_role("button", name="Details and members").click()
    details = alice.page.get_by_role("region", name="Details")
    await details.get_by_role("button", name="Rename").click()
    await details.get_by_label("Name of the conversation").press("Escape")
    await expect(alice.page.get_by_label("Name of the conversation")).to_have_count(0)
    await expect(details.get_by_role("button", name="Rename")).to_be_visible()

"""What was read, on all devices of one and before the eyes of others."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.support.chat_client import Rest
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


async def conversation_of(first: Person, others: list[Person], name: str | None, type: str = "group") -> str:
    """All of them are members; returns its id."""
    ids = []
    for person in others:
        async with Rest(person.url) as rest:
            await rest.login(person.name)
            ids.append(rest.user_id)
    async with Rest(first.url) as rest:
        await rest.login(first.name)
        conversation = await rest.create_conversation(ids, name, type)
    return str(conversation["id"])


async def say(person: Person, conversation_id: str, *texts: str) -> None:
    """Without a page."""
    async with Rest(person.url) as rest:
        await rest.login(person.name)
        for text in texts:
            await rest.send(conversation_id, text)


def listed(person: Person, title: str) -> Locator:
    """A conversation in somebody's list."""
    return person.nav.get_by_role("link", name=title)


async def test_what_is_read_on_one_device_is_read_on_the_other(arrive: Arrive, unique: str) -> None:
    alice, desk = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    phone = await arrive(f"Bob {unique}", **PHONE)
    for person in (alice, desk, phone):
        await person.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [desk], room)
    await say(alice, walk, "one", "two", "three")
    for device in (desk, phone):
        await expect(listed(device, room)).to_contain_text("3 unread messages")
        await expect(device.page).to_have_title(re.compile(r"^\(3\) "))
    await phone.open(room)
    await expect(phone.log.get_by_text("New messages")).to_be_visible()
    for device in (desk, phone):
        await expect(device.page).to_have_title(re.compile(r"^[^(]"))
    await expect(listed(desk, room)).not_to_contain_text("unread")
    await phone.shot("reading-phone")
    async with Rest(desk.url) as rest:
        await rest.login(desk.name)

        async def read() -> bool:
            return bool((await rest.conversation(walk))["unreadCount"] == 0)

        await eventually(read)


async def test_a_long_absence_begins_where_one_left_off(arrive: Arrive, generous: System, unique: str) -> None:
    alice, bob = [await arrive(f"{name} {unique}", generous.gateways[0].url) for name in ("Alice", "Bob")]
    await alice.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.sign_in()
    await say(alice, walk, *[f"word {n}.\nof several\nlines" for n in range(1, 31)])
    await expect(listed(bob, room)).to_contain_text("30 unread messages")
    await bob.open(room)
    line = bob.log.get_by_text("New messages")
    await expect(line).to_be_in_viewport()
    await expect(bob.message("word 1.")).to_be_in_viewport()
    # Only what is in sight is read, and all of it at the end.
    await expect(listed(bob, room)).to_contain_text(re.compile(r"2\d unread messages"))
    await bob.shot("reading-unread")
    await bob.page.get_by_role("button", name=re.compile("Jump to newest|new message")).click()
    await bob.sees("word 30.")
    await expect(listed(bob, room)).not_to_contain_text("unread")


async def test_a_few_high_messages_begin_where_one_left_off(arrive: Arrive, generous: System, unique: str) -> None:
    alice, bob = [await arrive(f"{name} {unique}", generous.gateways[0].url) for name in ("Alice", "Bob")]
    await alice.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.sign_in()
    await say(alice, walk, *[f"word {n}.\nof several\nlines\nthat are\nhigh" for n in range(1, 13)])
    await expect(bob.page).to_have_title(re.compile(r"^\(12\) "))
    await bob.open(room)
    await expect(bob.page).to_have_title(re.compile(r"^\([4-9]\) "))
    await expect(bob.message("word 1.")).to_be_in_viewport()
    await expect(bob.log.get_by_text("New messages")).to_be_in_viewport()


async def test_a_few_that_fit_are_read_at_the_end(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.sign_in()
    await say(alice, walk, "one", "two", "three")
    await expect(bob.page).to_have_title(re.compile(r"^\(3\) "))
    await bob.open(room)
    await expect(bob.page).to_have_title(re.compile(r"^[^(]"))
    await expect(bob.page.get_by_role("button", name="Jump to newest")).to_have_count(0)
    await say(alice, walk, "of several\nlines\nthat are\nhigh\n" * 8)  # and one is still taken along
    await expect(bob.page).to_have_title(re.compile(r"^[^(]"))
    await say(alice, walk, "the last")
    await expect(bob.message("the last")).to_be_in_viewport()


async def test_the_line_is_found_however_far_above_it_is(arrive: Arrive, generous: System, unique: str) -> None:
    alice, bob = [await arrive(f"{name} {unique}", generous.gateways[0].url) for name in ("Alice", "Bob")]
    await alice.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.sign_in()
    await say(alice, walk, *[f"word {n}." for n in range(1, 241)])
    await expect(listed(bob, room)).to_contain_text("240 unread messages")
    await bob.open(room)
    await bob.sees("word 240.")
    jump = bob.page.get_by_role("button", name="Jump to the new messages")
    await expect(jump).to_be_visible()
    await bob.shot("reading-jump")
    await jump.click()
    await expect(bob.log.get_by_text("New messages")).to_be_in_viewport()
    await expect(bob.message("word 1.")).to_be_in_viewport()
    await expect(jump).to_be_hidden()


async def test_the_line_is_where_one_turned_away_and_not_what_one_saw(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    await bob.sign_in()
    room = f"Walk {unique}"
    await conversation_of(alice, [bob], room)
    await alice.open(room)
    await bob.open(room)
    await alice.write("before your eyes")
    await bob.sees("before your eyes")
    await expect(bob.log.get_by_text("New messages")).to_have_count(0)
    await bob.look_away()
    await alice.write("behind your back")
    await bob.sees("behind your back")
    await expect(bob.page).to_have_title(re.compile(r"^\(1\) "))
    await expect(bob.log.get_by_text("New messages")).to_be_visible()
    await expect(alice.message("behind your back").locator("..")).not_to_contain_text("Seen")
    await bob.look_back()
    await expect(bob.page).to_have_title(re.compile(r"^[^(]"))
    await expect(alice.page.get_by_role("button", name=f"Seen by {bob.name}")).to_be_visible()


async def test_at_midnight_today_becomes_yesterday(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await bob.sign_in()
    await alice.page.clock.install()
    await alice.page.goto(alice.url)
    await alice.sign_in()
    await conversation_of(alice, [bob], None, "direct")
    await alice.open(bob.name)
    await alice.write("good night")
    await alice.sees_sent("good night")
    await bob.context.close()
    await expect(alice.page.get_by_text("Last seen today at")).to_be_visible()
    await expect(alice.log.get_by_role("heading", name="Today")).to_be_visible()
    await expect(listed(alice, bob.name)).not_to_contain_text("Yesterday")
    await alice.page.clock.fast_forward("24:00:00")
    await expect(alice.log.get_by_role("heading", name="Yesterday")).to_be_visible()
    await expect(listed(alice, bob.name)).to_contain_text("Yesterday")
    await expect(alice.page.get_by_text("Last seen yesterday at")).to_be_visible()


async def test_a_friend_has_seen_it(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    await bob.sign_in()
    await conversation_of(alice, [bob], None, "direct")
    await alice.open(bob.name)
    await alice.write("Bonjour Bob")
    await alice.sees_sent("Bonjour Bob")
    seen = alice.log.get_by_text("Seen", exact=True)
    await expect(seen).to_have_count(0)
    await bob.open(alice.name)
    await expect(seen).to_be_visible()
    await alice.shot("seen-direct")
    await alice.write("et merci")
    await expect(seen).to_have_count(1)
    await alice.check_accessibility()


async def test_a_group_shows_who_has_seen_it(arrive: Arrive, unique: str) -> None:
    alice, bob, carol = [await arrive(f"{name} {unique}") for name in ("Alice", "Bob", "Carol")]
    for person in (alice, bob, carol):
        await person.sign_in()
    room = f"Walk {unique}"
    await conversation_of(alice, [bob, carol], room)
    await alice.open(room)
    await alice.write("Who comes?")
    await alice.sees_sent("Who comes?")
    await bob.open(room)
    await expect(alice.page.get_by_role("button", name=f"Seen by {bob.name}", exact=True)).to_be_visible()
    await carol.open(room)
    both = alice.page.get_by_role("button", name=re.compile(f"^Seen by (?=.*{bob.name})(?=.*{carol.name})"))
    await expect(both).to_be_visible()
    await alice.shot("seen-group")
    await both.focus()
    await alice.page.keyboard.press("Enter")
    dialog = alice.page.get_by_role("dialog", name="Seen by")
    for person in (bob, carol):
        await expect(dialog.get_by_role("listitem").filter(has_text=person.name)).to_have_count(1)
    await alice.shot("seen-by")
    await alice.check_accessibility()
    await alice.page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    # It is about the newest of one's own, wherever that is.
    await bob.write("I do")
    await expect(both).to_be_visible()
    await alice.write("Good")
    await expect(alice.page.get_by_role("button", name="Seen by")).to_have_count(1)

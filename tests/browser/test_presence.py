"""Who is here, as others see it, and how one chooses to be seen."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.browser.test_reading import PHONE, conversation_of, listed

pytestmark = pytest.mark.e2e
SOON = 20_000  # a change is told within two seconds; being gone, after ten more

CHOOSE_TWICE = """() => ["busy", "online"].map((value) => {
    const choice = document.querySelector(`input[name=presence][value=${value}]`);
    choice.click();
    return choice.checked;
})"""


def header(person: Person) -> Locator:
    """Above the messages."""
    return person.page.get_by_role("heading", level=1).locator("visible=true").last.locator("..")


async def choose(person: Person, status: str) -> None:
    """In one's own corner, by keyboard."""
    await person.page.get_by_role("button", name="Your account and settings").press("Enter")
    await person.page.get_by_role("radio", name=re.compile(f"^{status}")).check()
    await person.page.keyboard.press("Escape")


async def two_friends(arrive: Arrive, unique: str) -> tuple[Person, Person]:
    """Signed in, at a gateway each, Bob before their conversation."""
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    await bob.sign_in()
    await conversation_of(alice, [bob], None, "direct")
    await bob.open(alice.name)
    await expect(header(bob)).to_contain_text("Online", timeout=SOON)
    return alice, bob


async def test_a_friend_comes_goes_and_chooses(arrive: Arrive, unique: str) -> None:
    alice, bob = await two_friends(arrive, unique)
    phone = await arrive(alice.name, **PHONE)
    await phone.sign_in()
    corner = phone.page.get_by_role("button", name="Your account and settings")
    await expect(corner).to_contain_text("You are seen as: Online")
    await expect(listed(bob, alice.name)).to_contain_text("Online")
    await bob.shot("presence-online")

    await choose(alice, "Busy")
    await expect(header(bob)).to_contain_text("Busy", timeout=SOON)
    await expect(listed(bob, alice.name)).to_contain_text("Busy")
    await expect(corner).to_contain_text("You are seen as: Busy")
    await bob.shot("presence-busy")

    await choose(alice, "Invisible")
    await expect(header(bob)).to_contain_text("Last seen today at", timeout=SOON)
    await expect(listed(bob, alice.name)).not_to_contain_text("Busy")
    await expect(corner).to_contain_text("You are seen as: Invisible")
    await bob.shot("presence-last-seen")

    await choose(phone, "Online")
    await expect(header(bob)).to_contain_text("Online", timeout=SOON)
    await alice.page.get_by_role("button", name="Your account and settings").click()
    await expect(alice.page.get_by_role("radio", name=re.compile("^Online"))).to_be_checked()
    await alice.shot("presence-menu")
    await alice.check_accessibility()
    assert await alice.page.evaluate(CHOOSE_TWICE) == [True, True]  # each is shown at once

    await phone.context.close()
    await expect(header(bob)).to_contain_text("Online")
    await alice.context.close()
    await expect(header(bob)).to_contain_text("Last seen today at", timeout=2 * SOON)


async def test_what_was_chosen_is_there_after_a_reload(arrive: Arrive, unique: str) -> None:
    alice, bob = await two_friends(arrive, unique)
    await choose(alice, "Busy")
    await expect(header(bob)).to_contain_text("Busy", timeout=SOON)
    await alice.page.reload()
    await expect(alice.page.get_by_role("button", name="Your account and settings")).to_contain_text("Busy")
    await expect(header(bob)).to_contain_text("Busy")


async def test_whoever_touches_nothing_is_away_until_they_do(arrive: Arrive, unique: str) -> None:
    alice = await arrive(f"Alice {unique}")
    await alice.page.clock.install()
    await alice.page.goto(alice.url)
    await alice.sign_in()
    bob = await arrive(f"Bob {unique}")
    await bob.sign_in()
    await conversation_of(alice, [bob], None, "direct")
    await bob.open(alice.name)
    await expect(header(bob)).to_contain_text("Online", timeout=SOON)
    await alice.page.clock.fast_forward("05:01")
    await expect(header(bob)).to_contain_text("Away", timeout=SOON)
    await bob.shot("presence-away")
    await alice.page.mouse.move(200, 300)
    await expect(header(bob)).to_contain_text("Online", timeout=SOON)


async def test_the_members_of_a_group(arrive: Arrive, unique: str) -> None:
    alice, bob = (
        await arrive(f"Alice {unique}"),
        await arrive(f"Bob {unique}", locale="fr-FR", color_scheme="dark", **PHONE),
    )
    carol = await arrive(f"Carol {unique}")
    for person in (alice, carol):
        await person.sign_in()
    await bob.page.locator("form input").fill(bob.name)
    await bob.page.locator("form button[type=submit]").click()
    room = f"Walk {unique}"
    await conversation_of(alice, [bob, carol], room)
    await choose(carol, "Busy")
    await bob.page.get_by_role("link", name=room).first.click()
    await bob.page.get_by_role("button", name="Détails et membres").click()
    people = bob.page.get_by_role("listitem")
    await expect(people.filter(has_text=alice.name)).to_contain_text("En ligne", timeout=SOON)
    await expect(people.filter(has_text=carol.name)).to_contain_text("Ne pas déranger", timeout=SOON)
    await bob.shot("presence-members-french-dark")
    await bob.check_accessibility()

"""Public channels are found and joined; roles are given and taken, and decide what is offered."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.person import Person
from tests.browser.test_talking import two_in_a_group
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e


async def details(person: Person) -> Locator:
    """Open the details of the conversation."""
    await person.page.get_by_role("button", name="Details and members").click()
    return person.page.get_by_role("region", name="Details")


async def test_a_public_channel_is_started_found_and_joined(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await alice.sign_in()
    await bob.sign_in()
    await alice.page.get_by_role("button", name="New conversation").first.click()
    await alice.page.get_by_role("radio", name="Channel").check()
    await alice.page.get_by_label("Name", exact=True).fill(f"Gardens {unique}")
    await alice.page.get_by_role("switch", name="Anybody may find and join it").check()
    await alice.page.get_by_role("button", name="Start", exact=True).click()
    await alice.composer.wait_for()
    await alice.write("Welcome, whoever comes")
    await alice.sees_sent("Welcome, whoever comes")

    await bob.page.get_by_role("button", name="Public channels").click()
    dialog = bob.page.get_by_role("dialog", name="Public channels")
    await dialog.get_by_role("textbox").fill(f"gardens {unique}")
    await expect(dialog.get_by_role("listitem")).to_have_count(1)
    await bob.shot("channels")
    await bob.check_accessibility()
    await dialog.get_by_role("button", name=f"Join Gardens {unique}").click()
    await bob.sees("Welcome, whoever comes")
    await bob.write("Here I am")
    await alice.sees("Here I am")

    panel = await details(alice)
    await expect(panel.get_by_role("listitem").filter(has_text=bob.name)).to_be_visible()
    public = panel.get_by_role("switch", name="Anybody may find and join it")
    await expect(public).to_be_checked()
    await public.uncheck()
    theirs = await details(bob)
    await expect(theirs).not_to_contain_text("Public channel")
    await expect(theirs.get_by_role("switch")).to_have_count(0)
    carol = await arrive(f"Carol {unique}")
    await carol.sign_in()
    await carol.page.get_by_role("button", name="Public channels").click()
    await carol.page.get_by_role("dialog").get_by_role("textbox").fill(f"gardens {unique}")
    await expect(carol.page.get_by_text("There is no such channel.")).to_be_visible()


async def test_a_role_is_given_seen_and_taken(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    hers, his = await details(alice), await details(bob)
    await expect(his.get_by_role("button", name=re.compile("admin|^Remove|Rename|Add people"))).to_have_count(0)
    await hers.get_by_role("button", name=f"Make {bob.name} an admin").click()
    await expect(hers.get_by_text("Admin", exact=True)).to_have_count(2)
    await expect(his.get_by_role("button", name="Rename")).to_be_visible()
    await expect(his.get_by_text("Admin", exact=True)).to_have_count(2)
    await alice.shot("roles")
    await bob.check_accessibility()
    await his.get_by_role("button", name=f"Take the admin role from {alice.name}").click()
    await expect(hers.get_by_role("button", name="Rename")).to_have_count(0)
    await expect(hers.get_by_text("Admin", exact=True)).to_have_count(1)
    # The last admin keeps the role.
    await expect(his.get_by_role("button", name=re.compile("^Take the admin role"))).to_have_count(0)

    await bob.page.get_by_role("button", name="More about this conversation").click()
    await bob.page.get_by_role("button", name="What was changed").click()
    trail = bob.page.get_by_role("dialog", name="What was changed").get_by_role("listitem")
    await expect(trail).to_contain_text(
        [
            f"{bob.name} took the admin role from {alice.name}",
            f"{alice.name} made {bob.name} admin",
            f"{alice.name} started the conversation",
        ]
    )
    await bob.shot("audit")
    await alice.page.get_by_role("button", name="More about this conversation").click()
    await expect(alice.page.get_by_role("button", name="Mute")).to_be_visible()
    await expect(alice.page.get_by_role("button", name="What was changed")).to_have_count(0)
    assert room


async def test_the_trail_names_who_is_gone_and_never_said_anything(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    async with Rest(bob.url) as rest:
        await rest.login(bob.name)
        quiet = rest.user_id
        await rest.login(alice.name)
        walk = next(one for one in (await rest.conversations())["items"] if one["name"] == room)
        await rest.remove_member(walk["id"], quiet)
    await alice.page.reload()
    await alice.page.get_by_role("button", name="More about this conversation").click()
    await alice.page.get_by_role("button", name="What was changed").click()
    trail = alice.page.get_by_role("dialog", name="What was changed").get_by_role("listitem")
    await expect(trail.first).to_contain_text(f"{alice.name} removed {bob.name}")

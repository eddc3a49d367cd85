"""What was written and not sent: nobody loses it without being told."""

from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.browser.test_changing import act
from tests.browser.test_reading import conversation_of, listed
from tests.browser.test_talking import two_in_a_group
from tests.browser.test_threads import thread
from tests.support.chat_client import Rest

pytestmark = pytest.mark.e2e


async def go_offline(person: Person) -> None:
    person.may_lose_network = True
    await person.context.set_offline(True)
    await expect(person.page.get_by_role("status").filter(has_text="You are offline").first).to_be_visible()


async def leave_something(arrive: Arrive, unique: str, **options: Any) -> tuple[Person, Person, str, str]:
    """What Bob wrote while he was offline waits in a conversation of Alice that he does not look at; its name and id."""
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}", **options)
    for person in (alice, bob):
        await person.sign_in()
    room = f"Walk {unique}"
    walk = await conversation_of(alice, [bob], room)
    await bob.open(room)
    await go_offline(bob)
    await bob.write("from the tunnel")
    await expect(bob.message("from the tunnel")).to_be_visible()
    await bob.page.evaluate("location.hash = '#/'")
    await expect(bob.log).to_be_hidden()
    return alice, bob, room, walk


def notices(person: Person) -> Locator:
    return person.page.get_by_role("region", name="Notifications")


async def test_what_a_closed_conversation_refuses_is_told_wherever_one_looks(arrive, unique):
    alice, bob, room, walk = await leave_something(arrive, unique)
    async with Rest(alice.url) as rest:
        await rest.login(alice.name)
        await rest.http.patch(f"/api/conversations/{walk}", json={"closed": True})
    await bob.context.set_offline(False)
    await expect(notices(bob)).to_contain_text(room)
    await expect(notices(bob)).to_contain_text("Not sent: it is not allowed here, or not any more.")
    await expect(listed(bob, room)).to_contain_text("Not sent from the tunnel")
    await bob.shot("not-sent")
    await bob.check_accessibility()
    await bob.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await notices(bob).get_by_role("link", name=room).click()
    await bob.message("from the tunnel").get_by_role("button", name="Copy").click()
    assert await bob.page.evaluate("navigator.clipboard.readText()") == "from the tunnel"
    await expect(notices(bob)).to_have_text("")
    await bob.message("from the tunnel").get_by_role("button", name="Discard").click()
    await expect(listed(bob, room)).not_to_contain_text("Not sent")


async def test_what_was_written_where_one_was_removed_can_still_be_read(arrive, unique):
    alice, bob, room, walk = await leave_something(arrive, unique)
    async with Rest(alice.url) as rest, Rest(bob.url) as bob_rest:
        await rest.login(alice.name)
        await bob_rest.login(bob.name)
        await rest.remove_member(walk, bob_rest.user_id)
    await bob.context.set_offline(False)
    await expect(notices(bob)).to_contain_text(f"{room}Not sent: you are not in this conversation.")
    await expect(listed(bob, room)).to_contain_text("Not sent from the tunnel")
    await bob.page.reload()
    left = bob.nav.get_by_role("link", name="Not sent from the tunnel")
    await left.click()
    gone = bob.page.get_by_role("alert").filter(has_text="There is no such conversation, or you are not in it.")
    await gone.wait_for()
    await bob.page.reload()
    await gone.wait_for()
    await expect(left).to_contain_text("Former conversation")  # of which nothing else is kept
    unsent = bob.page.get_by_role("region", name="Messages that were not sent")
    await expect(unsent.get_by_role("listitem")).to_contain_text("from the tunnel")
    await bob.shot("removed-not-sent")
    await bob.check_accessibility()
    await bob.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await unsent.get_by_role("button", name="Copy").click()
    assert await bob.page.evaluate("navigator.clipboard.readText()") == "from the tunnel"
    await unsent.get_by_role("button", name="Discard").click()
    await expect(unsent).to_have_count(0)
    await expect(gone).to_be_visible()
    await expect(left).to_have_count(0)
    bob.complaints = [told for told in bob.complaints if "status of 404" not in told]  # the browser says so by itself


async def test_signing_out_asks_before_it_destroys_what_was_not_sent(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    await alice.sign_in()
    await conversation_of(alice, [], f"Walk {unique}")
    await alice.open(f"Walk {unique}")
    await go_offline(alice)
    await alice.write("from the tunnel")
    menu = alice.page.get_by_role("button", name="Your account and settings")
    sign_out = alice.nav.get_by_role("button", name="Sign out")
    asked = alice.page.get_by_role("dialog", name="Sign out")
    await menu.click()
    await sign_out.click()
    await expect(asked).to_contain_text("messages that were not sent")
    await alice.shot("signing-out")
    await alice.check_accessibility()
    await asked.get_by_role("button", name="Cancel").click()
    await expect(sign_out).to_have_count(0)
    await expect(menu).to_be_focused()
    await alice.context.set_offline(False)
    await alice.sees_sent("from the tunnel")

    await alice.composer.fill("not finish")
    await menu.click()
    await sign_out.click()
    await asked.get_by_role("button", name="Sign out").click()
    await expect(alice.page.get_by_label("Your name")).to_be_visible()
    await alice.sign_in()
    await alice.open(f"Walk {unique}")
    await expect(alice.composer).to_have_value("")


async def test_signing_out_says_that_it_is_being_done(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    await alice.sign_in()
    await alice.page.evaluate(
        "() => { navigator.serviceWorker.getRegistration = () => new Promise(resolve => { window.goOn = resolve }) }"
    )
    await alice.page.get_by_role("button", name="Your account and settings").click()
    await alice.nav.get_by_role("button", name="Sign out").click()
    await expect(alice.nav.get_by_role("button", name="Signing out…")).to_be_disabled()
    await alice.page.evaluate("window.goOn()")
    await expect(alice.page.get_by_label("Your name")).to_be_visible()


async def test_what_is_begun_in_a_thread_outlives_the_panel_it_is_written_in(arrive, unique):
    alice, bob, _ = await two_in_a_group(arrive, unique)
    await alice.write("Where do we meet?")
    await alice.sees_sent("Where do we meet?")
    await act(alice, "Where do we meet?", "Reply in thread")
    field = thread(alice).get_by_role("textbox")
    await field.fill("At the mill")
    panel = alice.page.get_by_role("dialog", name="Thread")
    await expect(panel).to_have_count(0)
    await alice.page.set_viewport_size({"width": 1000, "height": 800})  # from beside the messages to over them
    await expect(panel).to_be_visible()
    await expect(field).to_have_value("At the mill")
    await field.press("Escape")
    await expect(panel).to_have_count(0)
    await expect(alice.composer).to_have_value("")
    await act(alice, "Where do we meet?", "Reply in thread")
    await expect(field).to_have_value("At the mill")
    await field.press("Enter")
    await expect(thread(alice).get_by_role("article").filter(has_text="At the mill")).to_have_count(1)
    await expect(field).to_have_value("")
    await field.press("Escape")
    await act(alice, "Where do we meet?", "Reply in thread")
    await expect(field).to_have_value("")
    await expect(bob.message("Where do we meet?").get_by_role("button", name="1 reply")).to_be_visible()


async def test_that_a_draft_is_a_reply_is_kept_with_it(arrive, unique):
    alice, bob, room = await two_in_a_group(arrive, unique)
    await alice.write("Where do we meet?")
    await bob.sees("Where do we meet?")
    await bob.write("I am here")
    await bob.sees_sent("I am here")
    await act(bob, "Where do we meet?", "Reply")
    await bob.composer.fill("At the mill")
    replying = bob.page.get_by_text(f"Reply to {alice.name}")
    await expect(replying).to_be_visible()
    await bob.page.evaluate("location.hash = '#/'")
    await expect(bob.log).to_be_hidden()
    await bob.open(room)
    await expect(bob.composer).to_have_value("At the mill")
    await expect(replying).to_be_visible()
    # An edit is another thing, after which the reply goes on.
    await act(bob, "I am here", "Edit")
    await expect(bob.composer).to_have_value("I am here")
    await bob.composer.press("Escape")
    await expect(bob.composer).to_have_value("At the mill")
    await expect(replying).to_be_visible()
    await bob.composer.press("Enter")
    await bob.sees_sent("At the mill")
    await expect(bob.message("At the mill")).to_contain_text(f"{alice.name}Where do we meet?")
    await expect(replying).to_have_count(0)
    await expect(bob.composer).to_have_value("")
    await bob.write("and in time")
    await bob.sees_sent("and in time")
    await expect(bob.message("and in time")).not_to_contain_text("Where do we meet?")

"""What is pushed is shown by the service worker, one notification for each conversation, and a click opens it."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import CDPSession, Worker, expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.browser.test_reading import conversation_of
from tests.support.eventually import eventually

pytestmark = pytest.mark.e2e
# As `web/src/lib/push.ts` registers it; a subscription itself needs a push service, which is not here.
REGISTER = """async () => {
    const policy = trustedTypes.createPolicy("palabre-worker", { createScriptURL: (url) => url });
    await navigator.serviceWorker.register(policy.createScriptURL("/sw.js"), { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
}"""
# In turn with the worker, as it says why.
SHOWN = """() => navigator.locks.request("palabre-notifications", async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    const shown = await registration.getNotifications();
    return shown.map(({ title, body, tag }) => [title, body, tag]);
})"""
UNSEEN = "async () => (await self.clients.matchAll({ includeUncontrolled: true })).every((page) => !page.focused)"
# No protocol of the browser clicks on a notification, so the worker is told of a click as the browser would tell it.
CLICK = """async (tag) => {
    const [notification] = await self.registration.getNotifications({ tag });
    let done;
    const click = Object.assign(new Event("notificationclick"), { notification, waitUntil: (it) => (done = it) });
    self.dispatchEvent(click);
    await done;
}"""


class Pushes:
    """Delivers pushes to somebody's browser, as its push service would."""

    def __init__(self, person: Person, protocol: CDPSession, registration: str) -> None:
        self._person = person
        self._protocol = protocol
        self._registration = registration

    @classmethod
    async def to(cls, person: Person) -> "Pushes":
        """Register the service worker, and wait for it."""
        await person.context.grant_permissions(["notifications"], origin=person.url)
        protocol = await person.context.new_cdp_session(person.page)
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def updated(event: dict[str, Any]) -> None:
            for registration in event["registrations"]:
                if not found.done():
                    found.set_result(registration["registrationId"])

        protocol.on("ServiceWorker.workerRegistrationUpdated", updated)
        await protocol.send("ServiceWorker.enable")
        await person.page.evaluate(REGISTER)
        return cls(person, protocol, await asyncio.wait_for(found, 10))

    @property
    def worker(self) -> Worker:
        """The service worker."""
        (worker,) = self._person.context.service_workers
        return worker

    async def is_unseen(self) -> bool:
        """Whether the service worker knows that no page is looked at; it learns so a moment after the page."""
        unseen: bool = await self.worker.evaluate(UNSEEN)
        return unseen

    async def deliver(self, **notice: Any) -> None:
        """One push. What is not given is as of a message."""
        data = json.dumps({"kind": "message", "senderName": "Alice", "conversationName": "Team", **notice})
        await self.deliver_text(data)

    async def deliver_text(self, data: str) -> None:
        """One push, whatever it says."""
        arguments = {"origin": self._person.url, "registrationId": self._registration, "data": data}
        await self._protocol.send("ServiceWorker.deliverPushMessage", arguments)

    async def shown(self) -> list[Any]:
        """Title, body and tag of what the device shows."""
        found: list[Any] = await self._person.page.evaluate(SHOWN)
        return found

    async def shows(self, *wanted: list[str]) -> None:
        """Wait until this is what the device shows, in any order."""

        async def check() -> None:
            assert sorted(await self.shown()) == sorted(wanted)

        await eventually(check, timeout=30)


async def test_pushes_are_shown_and_a_click_opens_the_conversation(arrive: Arrive, unique: str) -> None:
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}", locale="fr-FR")
    for person in (alice, bob):
        await person.sign_in()
    room = f"Marche {unique}"
    cid = await conversation_of(alice, [bob], room)
    await expect(bob.page.get_by_role("navigation").get_by_role("link", name=room)).to_be_visible()
    pushes = await Pushes.to(bob)
    await (await bob.context.new_page()).bring_to_front()  # before Bob's window
    await eventually(pushes.is_unseen)

    await pushes.deliver(id=f"{cid}:1", conversationId=cid, seq=1, preview="Bonjour")
    await pushes.shows(["Alice dans Team", "Bonjour", cid])
    await pushes.deliver(id=f"{cid}:2", conversationId=cid, seq=2, preview="Salut", kind="mention")
    once = ["Alice vous a mentionné dans Team", "Salut\net 1 de plus", cid]
    await pushes.shows(once)
    # What comes again, or late, changes nothing; nor does what no version of ours has sent.
    await pushes.deliver(id=f"{cid}:2", conversationId=cid, seq=2, preview="Salut")
    await pushes.deliver(id=f"{cid}:1", conversationId=cid, seq=1, preview="Bonjour")
    other = {"senderName": None, "conversationName": None}
    await pushes.deliver(id="d:5", conversationId="d", seq=5, **other)
    await pushes.deliver_text("{")
    await pushes.shows(once, ["Palabre", "Nouveau message", "d"], ["Palabre", "", "palabre"])

    # What was read, here or elsewhere, is taken back; what came after it stays.
    tell = "(told) => navigator.serviceWorker.controller.postMessage(told)"
    await bob.page.evaluate(tell, {"type": "read", "conversationId": cid, "seq": 1})
    await bob.page.evaluate(tell, {"type": "read", "conversationId": "d", "seq": 5})
    await pushes.shows(once, ["Palabre", "", "palabre"])

    await bob.page.evaluate("window.isTheSame = true")
    await pushes.worker.evaluate(CLICK, cid)
    await expect(bob.page.get_by_role("heading", name=room)).to_be_visible()
    assert await bob.page.evaluate("window.isTheSame"), "the page was not loaded again"
    await pushes.shows(["Palabre", "", "palabre"])


async def test_pushes_that_come_together_are_all_shown_and_counted(arrive: Arrive, unique: str) -> None:
    bob = await arrive(f"Bob {unique}")
    await bob.sign_in()
    pushes = await Pushes.to(bob)
    await (await bob.context.new_page()).bring_to_front()
    await eventually(pushes.is_unseen)
    ids = [f"c{number}" for number in range(10)]
    await asyncio.gather(
        *(
            pushes.deliver(id=f"{cid}:{seq}", conversationId=cid, seq=seq, preview=f"m{seq}")
            for seq in (1, 2, 3)
            for cid in ids
        )
    )
    await pushes.shows(*(["Alice in Team", "m3\nand 2 more", cid] for cid in ids))
    await pushes.worker.evaluate(CLICK, ids[0])
    await pushes.shows(*(["Alice in Team", "m3\nand 2 more", cid] for cid in ids[1:]))

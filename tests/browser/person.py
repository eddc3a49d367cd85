"""Somebody in front of the page: what they do, and what they see. Found as a screen reader finds it: by role and name."""

import os
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

CHECKOUT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ.get("RUN_DIR") or CHECKOUT / ".run") / "screenshots"
AXE = CHECKOUT / "web/node_modules/axe-core/axe.min.js"
# Nothing moves by itself, so that a picture or a check does not meet something half faded in.
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
# The browser itself says so when the network is away; no page can keep it from that.
NETWORK_AWAY = re.compile(
    r"WebSocket connection to .* failed|Failed to load resource: net::ERR_|net::ERR_|"
    r"Failed to fetch dynamically imported module"
)


class Person:
    """One person in a browser context of their own, at one gateway (or a network in front of it)."""

    def __init__(self, name: str, context: BrowserContext, page: Page, url: str) -> None:
        self.name = name
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.addresses: tuple[str, ...] = ("/".join(url.split("/")[:3]),)
        self.may_lose_network = False
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        context.on("request", self._asked)

    @classmethod
    async def arrive(cls, browser: Browser, name: str, url: str, **options: Any) -> "Person":
        """Open the page, not signed in yet."""
        context = await browser.new_context(**{**DESK, **options})
        context.set_default_timeout(15_000)
        person = cls(name, context, await context.new_page(), url)
        await person.page.goto(url)
        return person

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (self.may_lose_network and NETWORK_AWAY.search(message.text)):
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def also_asks(self, *addresses: str) -> None:
        """Requests to these are expected too."""
        self.addresses += addresses

    @property
    def strays(self) -> list[str]:
        """Requests that went to anybody but the gateway."""
        known = (*self.addresses, "data:", "blob:")
        return [f"asked elsewhere: {url}" for url in self.requests if not url.startswith(known)]

    # ---------------------------------------------------------------------------------------------- doing

    async def sign_in(self) -> None:
        """By the name, as in development."""
        await self.page.locator("form input").fill(self.name)
        await self.page.locator("form button[type=submit]").click()
        await self.nav.wait_for()

    async def open(self, title: str) -> None:
        """Choose a conversation in the list."""
        await self.nav.get_by_role("link", name=title).first.click()
        await self.composer.wait_for()

    async def write(self, text: str) -> None:
        """Write and press Enter."""
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def look_away(self) -> None:
        """Turn to another window, as far as the page can tell."""
        await self.page.evaluate("() => { document.hasFocus = () => false; window.dispatchEvent(new Event('blur')) }")

    async def look_back(self) -> None:
        """Turn to the page again."""
        await self.page.evaluate("() => { document.hasFocus = () => true; window.dispatchEvent(new Event('focus')) }")

    async def shot(self, name: str) -> None:
        """A picture for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    # --------------------------------------------------------------------------------------------- seeing

    @property
    def nav(self) -> Locator:
        """The list of conversations."""
        return self.page.get_by_role("navigation", name="Conversations")

    @property
    def composer(self) -> Locator:
        """Where a message is written; an open thread has another one beside it."""
        return self.page.locator("main textarea").first

    @property
    def log(self) -> Locator:
        """The messages."""
        return self.page.get_by_role("log")

    def message(self, text: str) -> Locator:
        """The messages that hold this text."""
        return self.log.get_by_role("article").filter(has_text=text)

    async def sees(self, text: str, timeout: float = 15) -> None:
        """A message with this text, once."""
        await expect(self.message(text)).to_have_count(1, timeout=timeout * 1000)

    async def sees_sent(self, text: str, timeout: float = 15) -> None:
        """A message of one's own with this text, once, marked as sent."""
        await expect(self.message(text).get_by_role("img", name=re.compile("^(Sent|Envoyé)$"))).to_have_count(
            1, timeout=timeout * 1000
        )

    async def texts(self) -> list[str]:
        """The words of all messages that exist as elements, from first to last."""
        return [text.strip() for text in await self.log.locator("article .words").all_inner_texts()]

    async def check_accessibility(self) -> None:
        """axe finds nothing to complain about."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate(
            """axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map(it =>
                `${it.id}: ${it.help}\\n` + it.nodes.map(node => `${node.html.slice(0, 200)}\\n${node.failureSummary}`)))"""
        )
        assert not found, "\n".join(found)

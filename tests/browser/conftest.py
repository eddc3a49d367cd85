"""A real Chromium in front of the whole system."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Browser, async_playwright, expect

from deploy.local import install
from deploy.local.servers import Server
from tests.browser.person import CHECKOUT, Person
from tests.support.system import System

Arrive = Callable[..., Awaitable[Person]]
expect.set_options(timeout=15_000)  # as long as people wait for what they do; a busy machine takes more than 5 s


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; without one the tests are skipped and say how to get it."""
    if not (CHECKOUT / "web/dist/index.html").exists():
        pytest.skip("the page is not built: make setup")
    chromium = install.chromium()
    if chromium is None:
        pytest.skip(f"no Chromium on this machine: {install.how_to_get_chromium()}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def generous(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The same system without limits, to be filled quickly."""
    logs = Path(tmp_path_factory.mktemp("generous"))
    async with System(servers[0].url, servers[1].url, logs=logs, RATE_LIMITS="0") as running:
        async with asyncio.timeout(60):
            await running.ready()
        yield running


@pytest.fixture
async def arrive(browser: Browser, system: System) -> AsyncIterator[Arrive]:
    """Brings people to the page; in the end none of them has seen an error in the console."""
    people: list[Person] = []

    async def bring(name: str, url: str | None = None, **options: Any) -> Person:
        # Everyone at another gateway than the one before.
        where = url or system.gateways[len(people) % 2].url
        person = await Person.arrive(browser, name, where, **options)
        people.append(person)
        return person

    yield bring
    for person in people:
        await person.context.close()
    complaints = [f"{person.name}: {complaint}" for person in people for complaint in person.complaints + person.strays]
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def unique() -> str:
    """Makes names that no other test has."""
    return uuid4().hex[:6]

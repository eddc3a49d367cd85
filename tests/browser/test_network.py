"""The network and the gateways come and go; what was said is neither lost nor doubled, and stays in order."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.support.chat_client import Rest
from tests.support.system import System
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.e2e
GOING = re.compile("Sending…|Waiting for the connection")


@pytest.fixture
async def network(system: System) -> AsyncIterator[TcpProxy]:
    """Between Alice and the first gateway."""
    async with TcpProxy(system.gateways[0].url) as proxy:
        yield proxy


@pytest.fixture
async def pair(arrive: Arrive, network: TcpProxy, system: System, unique: str) -> tuple[Person, Person]:
    """Alice behind a network that can break, Bob at the second gateway, in a group of both."""
    alice = await arrive(f"Alice {unique}", network.url)
    alice.may_lose_network = True
    bob = await arrive(f"Bob {unique}", system.gateways[1].url)
    await alice.sign_in()
    await bob.sign_in()
    async with Rest(bob.url) as rest:
        alice_id = (await rest.http.post("/api/dev/token", json={"userName": alice.name})).json()["userId"]
        await rest.login(bob.name)
        await rest.create_conversation([alice_id], f"Room {unique}")
    await alice.open(f"Room {unique}")
    await bob.open(f"Room {unique}")
    await bob.write("hello")
    await alice.sees("hello")
    return alice, bob


async def test_a_cut_is_told_and_healed(pair, network):
    alice, bob = pair
    await network.refuse()
    banner = alice.page.get_by_role("status").filter(has_text="Connection lost")
    await expect(banner.first).to_be_visible()
    await alice.shot("reconnecting")
    await alice.write("said while cut off")
    await expect(alice.message("said while cut off").get_by_role("img", name=GOING)).to_be_visible()
    await bob.write("one you missed")
    await bob.sees_sent("one you missed")
    await network.heal()
    await expect(alice.page.get_by_role("status").filter(has_text="Connected again.")).to_have_count(1, timeout=30_000)
    await alice.sees("one you missed", timeout=30)
    await alice.sees_sent("said while cut off", timeout=30)
    await bob.sees("said while cut off")
    await expect(banner).to_have_count(0)
    assert await alice.texts() == await bob.texts() == ["hello", "one you missed", "said while cut off"]


@pytest.mark.timeout(120)
async def test_a_killed_gateway_loses_and_doubles_nothing(pair, network, system):
    alice, bob = pair
    first, second = system.gateways

    async def talk(person: Person, word: str) -> None:
        for number in range(15):
            await person.write(f"{word}{number:02}")
            await asyncio.sleep(0.15)

    talking = asyncio.gather(talk(alice, "a"), talk(bob, "b"))
    await alice.sees("b03")
    try:
        first.kill()
        network.lead_to(second.url)
        await talking
        expected = sorted(["hello", *(f"{word}{number:02}" for word in "ab" for number in range(15))])
        for person in pair:
            await person.sees_sent("a14" if person is alice else "b14", timeout=30)
            await person.sees("b14" if person is alice else "a14", timeout=30)
            await expect(person.log.get_by_role("img", name=GOING)).to_have_count(0, timeout=30_000)
        said = await everything(alice)
        assert sorted(said) == expected
        assert await everything(bob) == said
        for word in "ab":
            assert [text for text in said if text.startswith(word)] == [f"{word}{n:02}" for n in range(15)]
    finally:
        await first.start()
        async with asyncio.timeout(30):
            await first.ready()


async def everything(person: Person) -> list[str]:
    """What the person can read from beginning to end, scrolling through all of it."""
    seen: dict[str, None] = {}
    await person.log.evaluate("log => log.scrollTo(0, 0)")
    for _ in range(50):
        await asyncio.sleep(0.1)
        seen.update(dict.fromkeys(await person.texts()))
        is_end = await person.log.evaluate(
            "log => { const before = log.scrollTop; log.scrollBy(0, 300); return log.scrollTop === before }"
        )
        if is_end:
            break
    return list(seen)


async def test_what_is_written_offline_arrives_after_a_reload(pair):
    alice, bob = pair
    await alice.context.set_offline(True)
    await expect(alice.page.get_by_role("status").filter(has_text="You are offline").first).to_be_visible()
    await alice.write("from the tunnel")
    await expect(alice.message("from the tunnel").get_by_role("img", name=GOING)).to_be_visible()
    await alice.shot("offline")
    # The page itself cannot be loaded without a network, so the tab is closed as it is and opened again later.
    storage = await alice.page.evaluate("sessionStorage.getItem('palabre.session')")
    address = alice.page.url
    await alice.page.close()
    await alice.context.set_offline(False)
    alice.page = await alice.context.new_page()
    await alice.page.add_init_script(f"sessionStorage.setItem('palabre.session', {storage!r})")
    await alice.page.goto(address)
    await alice.sees_sent("from the tunnel")
    await bob.sees("from the tunnel")


async def test_a_network_that_freezes_is_noticed(pair, network):
    alice, bob = pair
    network.stall()
    await alice.write("into the void")
    await bob.write("are you there?")
    await bob.sees_sent("are you there?")
    await network.heal()
    await alice.sees_sent("into the void", timeout=40)
    await alice.sees("are you there?", timeout=40)
    await bob.sees("into the void")


async def test_a_slow_network_still_serves(pair, network):
    alice, bob = pair
    network.delay = 0.3
    await alice.write("slowly")
    await alice.sees_sent("slowly")
    await bob.sees("slowly")

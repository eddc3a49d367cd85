"""The page under everything that people, strangers and devices bring to it."""

import asyncio
import re
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.person import Person
from tests.support.chat_client import ChatClient, Rest
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DARK = {"color_scheme": "dark"}
ZALGO = "Z" + "".join(chr(0x300 + n % 0x6F) for n in range(120)) + "algo"
HOSTILE = {
    "html": "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b>not bold</b>",
    "script link": "[click me](javascript:document.title='owned') javascript:alert(1) [data](data:text/html,hi)",
    "long": ("lorem ipsum dolor sit amet " * 320)[:7990] + " THE END",
    "rtl": "\u202eevil\u202c שלום עולם مرحبا بالعالم",
    "zalgo": ZALGO,
    "huge word": "W" * 3000,
    "deep": ">" * 400 + " deep",
    "stars": "_a*" * 2600,
    "nothing visible": "\u200b\u2060x",
}

DENIED = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });"""


async def a_room(person: Person, others: list[str], name: str) -> tuple[Rest, str]:
    """A group of this person and others who are not at the page, made over REST."""
    rest = Rest(person.url)
    await rest.login(person.name)
    ids = [(await rest.http.post("/api/dev/token", json={"userName": other})).json()["userId"] for other in others]
    conversation = await rest.create_conversation(ids, name)
    return rest, str(conversation["id"])


async def test_it_works_where_the_browser_denies_storage(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    await alice.page.add_init_script(DENIED)
    await alice.page.reload()
    await alice.sign_in()
    rest, _ = await a_room(alice, [f"Bob {unique}"], f"Room {unique}")
    async with rest:
        await alice.open(f"Room {unique}")
        await alice.write("hello")
        await alice.sees_sent("hello")


async def test_hostile_messages_are_only_text(arrive, unique):
    alice = await arrive(f"Alice {unique}")
    await alice.sign_in()
    mallory = Rest(alice.url)
    await mallory.login(f"Mallory <b>{unique}</b>")
    rest, cid = await a_room(alice, [f"Mallory <b>{unique}</b>"], f"Room {unique}")
    async with rest, mallory:
        for body in HOSTILE.values():
            await mallory.send(cid, body)
    await alice.open(f"Room {unique}")
    log = alice.log
    await log.get_by_role("article").first.wait_for()
    await log.press("End")
    for _ in range(60):
        await asyncio.sleep(0.05)
        if not await log.evaluate(
            "log => { const b = log.scrollTop; log.scrollBy(0, -400); return log.scrollTop < b }"
        ):
            break
        assert await log.locator("article script, article img, article b").count() == 0
        hrefs = await log.locator("article a").evaluate_all("links => links.map(link => link.href)")
        assert not [href for href in hrefs if not href.startswith("http")]
        # Nothing is wider than the list, and the list is not wider than the page.
        assert await log.evaluate("log => log.scrollWidth <= log.clientWidth + 1")
        assert await alice.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "owned" not in await alice.page.title()
    await alice.shot("hostile")
    long = alice.message("lorem ipsum").first
    await long.scroll_into_view_if_needed()
    more, less = (long.get_by_role("button", name=name) for name in ("Show all", "Show less"))

    async def is_whole() -> bool:
        # A click that comes while the list still measures what is above goes beside it.
        if await more.is_visible():
            await more.click()
        return await less.is_visible()

    await eventually(is_whole)
    await expect(long).to_contain_text("THE END")
    # Scrolled away and back, it is as it was left.
    await log.evaluate("log => log.scrollTo(0, log.scrollHeight)")
    await expect(long).to_have_count(0)
    await log.evaluate("log => log.scrollTo(0, 0)")
    await expect(long.get_by_role("button", name="Show less")).to_be_visible()


async def fill(system: System, teller: str, cid: str, count: int) -> None:
    """Send m1, m2, ... of different lengths."""
    gateway = system.gateways[1]
    async with Rest(gateway.url) as rest:
        token = await rest.login(teller)
    async with ChatClient.connect(gateway.ws, token) as client:
        for number in range(1, count + 1):
            content = f"m{number} " + "and so on " * (number * 7 % 23)
            await client.post(
                {"type": "send_message", "conversationId": cid, "content": content, "tempId": uuid4().hex}
            )
            if number % 500 == 0:
                for _ in range(500):
                    await client.expect("message_sent", timeout=30)


@pytest.mark.timeout(300)
async def test_five_thousand_messages_are_scrolled_back_through_without_a_jump(arrive, generous, unique):
    alice = await arrive(f"Alice {unique}", generous.gateways[0].url)
    await alice.sign_in()
    rest, cid = await a_room(alice, [f"Teller {unique}"], f"Long {unique}")
    await rest.http.aclose()
    await fill(generous, f"Teller {unique}", cid, 5000)
    await alice.open(f"Long {unique}")
    await alice.page.get_by_role("button", name="Jump to newest").or_(alice.message("m5000 ")).first.wait_for()
    await alice.log.press("End")
    await alice.sees("m5000 ")
    await alice.log.hover()

    # What is in sight moves as one while earlier messages come in above it: with the wheel at first, then faster.
    worst, first = 0.0, 5000
    for turn in range(1000):
        if turn < 20:
            before = await positions(alice)
            await alice.page.mouse.wheel(0, -900)
            await asyncio.sleep(0.05)
            after = await positions(alice)
        else:
            before, after = await alice.log.evaluate(LEAP)
        moves = [top - dict(before)[number] for number, top in after if number in dict(before)]
        worst = max([worst, *(abs(move - moves[0]) for move in moves)])
        first = min([first, *(number for number, _ in after)])
        if first == 1:
            break
    assert first == 1, f"stopped at m{first}"
    assert worst <= 2, f"messages moved against each other by {worst} pixels"
    elements = await alice.log.get_by_role("article").count()
    assert elements < 80, f"{elements} messages exist as elements"
    await expect(alice.page.get_by_text("This is where it begins.")).to_be_visible()

    await alice.page.get_by_role("button", name="Jump to newest").click()
    await alice.sees("m5000 ")
    await alice.shot("five-thousand")


# The messages in sight, m1, m2, ..., and where their upper edges are.
POSITIONS = """log => {
    const seen = log.getBoundingClientRect();
    return [...log.querySelectorAll('article .words')]
        .filter(words => words.checkVisibility({ visibilityProperty: true }))
        .map(words => [words, words.getBoundingClientRect()])
        .filter(([, at]) => at.bottom > seen.top && at.top < seen.bottom)
        .map(([words, at]) => [parseInt(words.textContent.slice(1)), at.top]);
}"""
LEAP = f"""async log => {{
    const positions = {POSITIONS};
    const before = positions(log);
    log.scrollBy(0, -550);
    await new Promise(requestAnimationFrame);
    const after = positions(log);
    log.scrollBy(0, -2500);
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return [before, after];
}}"""


async def positions(person: Person) -> list[tuple[int, float]]:
    """As above."""
    return list(await person.log.evaluate(POSITIONS))


@pytest.mark.parametrize("device", [{}, PHONE, DARK], ids=["desktop", "phone", "dark"])
async def test_axe_finds_nothing(arrive, unique, device, request):
    name = request.node.callspec.id
    alice = await arrive(f"Alice {unique}", **device)
    await alice.page.locator("form").wait_for()
    await alice.check_accessibility()
    await alice.shot(f"sign-in-{name}")
    await alice.sign_in()
    await alice.check_accessibility()
    await alice.shot(f"empty-{name}")
    rest, cid = await a_room(alice, [f"Bob {unique}", f"Carol {unique}"], f"Saturday walk {unique}")
    async with rest, Rest(alice.url) as bob:
        await bob.login(f"Bob {unique}")
        await bob.send(cid, "Who is coming on **Saturday**? The path is at https://example.com/path")
        await bob.send(cid, "> bring water\n\n- shoes\n- `map`\n\n```\nmeet at 9\n```")
        await rest.send(cid, "I am! 🌳")
    await alice.open(f"Saturday walk {unique}")
    await alice.sees("I am!")
    await alice.check_accessibility()
    await alice.shot(f"conversation-{name}")
    await alice.page.get_by_role("button", name="Details and members").click()
    await expect(alice.page.get_by_role("heading", name="3 members")).to_be_visible()
    await alice.check_accessibility()
    await alice.shot(f"details-{name}")
    await alice.page.get_by_role("button", name="Add people").click()
    await alice.page.get_by_role("combobox").fill("Zoe nobody")
    await expect(alice.page.get_by_text("Nobody of that name")).to_be_visible()
    await alice.check_accessibility()


EDGES = """() => {
    const pixel = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const colour = (style) => {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = style;
        pixel.fillRect(0, 0, 1, 1);
        return [...pixel.getImageData(0, 0, 1, 1).data];
    };
    const light = (style) => {
        const linear = colour(style).map(value => value / 255)
            .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = (element) => {
        const style = getComputedStyle(element).backgroundColor;
        return colour(style)[3] < 255 ? ground(element.parentElement) : style;
    };
    return [...document.querySelectorAll('input.appearance-none')].map(input => {
        const {borderTopWidth, borderTopColor} = getComputedStyle(input);
        const {parentElement: label} = input;
        const contrasts = [ground(label), ground(label.parentElement)].map(other => {
            const [dark, bright] = [light(borderTopColor), light(other)].sort((one, other) => one - other);
            return (bright + 0.05) / (dark + 0.05);
        });
        return {isChosen: input.checked, edge: parseFloat(borderTopWidth), contrast: Math.min(...contrasts)};
    });
}"""


@pytest.mark.parametrize("device", [{}, DARK, {"forced_colors": "active"}], ids=["light", "dark", "forced"])
async def test_what_is_chosen_is_told_by_more_than_a_tint(arrive, unique, device, request):
    name = request.node.callspec.id
    alice = await arrive(f"Alice {unique}", **device)
    await alice.sign_in()

    async def check(choices: int, chosen: int) -> None:
        edges = await alice.page.evaluate(EDGES)
        assert len(edges) == choices
        assert [edge["isChosen"] for edge in edges].count(True) == chosen
        for edge in edges:
            assert edge["contrast"] >= 3 or not edge["isChosen"], edges
            assert (edge["edge"] >= 2) == edge["isChosen"], edges

    await alice.page.get_by_role("button", name="Your account and settings").click()
    await check(choices=7, chosen=2)  # how one is seen, and how the page looks
    await alice.shot(f"choices-menu-{name}")
    await alice.page.get_by_role("button", name="Notification settings").click()
    dialog = alice.page.get_by_role("dialog", name="Notification settings")
    await dialog.get_by_role("checkbox", name=re.compile("Do not disturb")).check()
    await dialog.get_by_role("checkbox", name="Sun").uncheck()
    await check(choices=10, chosen=7)  # the level, and the days
    await alice.shot(f"choices-settings-{name}")
    await alice.page.keyboard.press("Escape")
    await alice.page.get_by_role("button", name="New conversation").first.click()
    await alice.page.get_by_role("dialog", name="New conversation").wait_for()
    await check(choices=3, chosen=1)
    await alice.shot(f"choices-new-{name}")


async def test_by_keyboard_only(arrive, unique):
    alice, bob = await arrive(f"Alice {unique}"), await arrive(f"Bob {unique}")
    await bob.sign_in()
    press, typed = alice.page.keyboard.press, alice.page.keyboard.type
    await alice.page.locator("form").wait_for()
    await typed(alice.name)
    await press("Enter")
    await alice.nav.wait_for()

    async def tab_to(label: str) -> None:
        for _ in range(30):
            await press("Tab")
            if await focused(alice) == label:
                return
        raise AssertionError(f"Tab does not reach {label!r}")

    await tab_to("New conversation")
    await press("Enter")
    await alice.page.get_by_role("dialog").wait_for()
    await tab_to("direct")
    await press("ArrowRight")
    await tab_to("Name")
    await typed(f"Keys {unique}")
    await press("Tab")
    await typed(bob.name)
    await alice.page.get_by_role("option", name=bob.name).wait_for()
    await press("Enter")
    await tab_to("Start")
    await press("Enter")
    await expect(alice.composer).to_be_focused()
    await typed("typed, not clicked")
    await press("Enter")
    await alice.sees_sent("typed, not clicked")
    await bob.open(f"Keys {unique}")
    await bob.sees("typed, not clicked")
    await press("Shift+Tab")
    assert await focused(alice) == "Emoji"
    await press("Enter")
    await alice.page.get_by_role("dialog", name="Emoji").get_by_role("gridcell").first.wait_for()
    await press("Escape")
    await expect(alice.composer).to_be_focused()


async def focused(person: Person) -> str:
    """What has the focus: its label, value or words."""
    return str(
        await person.page.evaluate(
            """() => { const it = document.activeElement;
            return it.getAttribute('aria-label') || (it.type === 'radio' ? it.value : '')
                || it.labels?.[0]?.textContent || it.textContent }"""
        )
    )


async def test_french(arrive, unique):
    alice = await arrive(f"Alice {unique}", locale="fr-FR", **PHONE)
    await expect(alice.page.get_by_role("heading", name="Venez vous asseoir.")).to_be_visible()
    await alice.page.locator("form input").fill(alice.name)
    await alice.page.get_by_role("button", name="Se connecter").click()
    await expect(alice.page.get_by_text("Aucune conversation pour l’instant")).to_be_visible()
    assert await alice.page.evaluate("document.documentElement.lang") == "fr"
    rest, cid = await a_room(alice, [f"Bob {unique}"], f"Balade {unique}")
    async with rest, Rest(alice.url) as bob:
        await bob.login(f"Bob {unique}")
        await bob.send(cid, "Rendez-vous à l’œuvre, sous l’arbre à palabres ?")
    await alice.nav.get_by_role("link", name=f"Balade {unique}").click()
    await alice.sees("sous l’arbre")
    await expect(alice.page.get_by_role("heading", name="Aujourd’hui")).to_be_visible()
    await alice.page.get_by_role("button", name="Émoji").click()
    picker = alice.page.get_by_role("dialog", name="Émoji")
    await expect(picker.get_by_text("smileys et émotion")).to_be_visible()
    await alice.shot("french-phone")
    await alice.page.keyboard.press("Escape")
    await alice.write("Oui !")
    await alice.sees_sent("Oui !")
    await alice.check_accessibility()


async def test_at_two_hundred_percent_nothing_is_out_of_reach(arrive, unique):
    # Zooming to 200 % halves the window in CSS pixels and doubles what a pixel is.
    alice = await arrive(f"Alice {unique}", viewport={"width": 640, "height": 400}, device_scale_factor=2)
    await alice.sign_in()
    rest, _ = await a_room(alice, [f"Bob {unique}"], f"Room {unique}")
    await rest.http.aclose()
    await alice.open(f"Room {unique}")
    await alice.write("in large letters")
    await alice.sees_sent("in large letters")
    for locator in (
        alice.composer,
        alice.page.get_by_role("button", name="Send"),
        alice.page.get_by_role("button", name="Details and members"),
        alice.page.get_by_role("link", name="Back to the conversations"),
    ):
        await expect(locator).to_be_in_viewport(ratio=1)
    assert await alice.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await alice.shot("zoom-200")
    await alice.check_accessibility()


async def test_on_a_phone_list_and_conversation_take_turns(arrive, unique):
    alice = await arrive(f"Alice {unique}", **PHONE)
    await alice.sign_in()
    rest, _ = await a_room(alice, [f"Bob {unique}"], f"Room {unique}")
    await rest.http.aclose()
    await alice.open(f"Room {unique}")
    await expect(alice.nav).to_be_hidden()
    await alice.page.get_by_role("link", name="Back to the conversations").tap()
    await expect(alice.nav).to_be_visible()
    assert await alice.nav.evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    await expect(alice.log).to_be_hidden()
    await alice.page.go_back()
    await expect(alice.log).to_be_visible()
    await expect(alice.nav).to_be_hidden()


async def test_a_token_in_the_address_signs_in_and_is_taken_out(arrive, system, unique):
    async with Rest(system.gateways[0].url) as rest:
        token = await rest.token(f"Alice {unique}")
    alice = await arrive(f"Alice {unique}", f"{system.gateways[0].url}/#token={token}")
    await alice.nav.wait_for()
    assert token not in alice.page.url
    await expect(alice.page.get_by_role("button", name=re.compile(f"Signed in as Alice {unique}"))).to_be_visible()
    await alice.page.get_by_role("button", name=re.compile("Signed in as")).click()
    await alice.shot("account")
    await alice.check_accessibility()
    await alice.page.get_by_role("button", name="Sign out").click()
    await expect(alice.page.get_by_role("heading", name="Come and sit down.")).to_be_visible()


async def test_three_hundred_conversations_and_a_long_name(arrive, generous, unique):
    alice = await arrive(f"Alice {unique}", generous.gateways[0].url)
    async with Rest(alice.url) as rest:
        await rest.login(alice.name)
        await asyncio.gather(*(rest.create_conversation([], f"Room {n} {unique}") for n in range(299)))
        await rest.create_conversation([], "Wörter die " * 17 + unique)
    await alice.sign_in()
    await alice.page.get_by_label("Search conversations").fill(f"Room 7 {unique}")
    await expect(alice.nav.get_by_role("link")).to_have_count(1)
    await alice.nav.get_by_role("link").click()
    await expect(alice.page.get_by_role("heading", name=f"Room 7 {unique}")).to_be_visible()
    await alice.page.get_by_label("Search conversations").fill("worter die")
    await alice.nav.get_by_role("link").click()
    await alice.page.get_by_role("button", name="Details and members").click()
    await alice.page.get_by_label("Search conversations").fill("")
    await alice.shot("long-names")
    assert await alice.nav.evaluate("nav => nav.scrollWidth <= nav.clientWidth"), (
        "all of its buttons are within the list"
    )
    assert await alice.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

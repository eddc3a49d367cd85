"""Two people at terminals, each on a gateway of their own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from tests.support.chat_client import Rest
from tests.support.eventually import eventually
from tests.support.system import System
from tests.support.terminal import Terminal, terminal

pytestmark = pytest.mark.e2e
WELCOME = "/help shows"


class Table:
    """Alice and Bob in a group that is Alice's, and Carol who is in none; `unique` tells them from those of other tests."""

    def __init__(self, unique: str, system: System, stack: AsyncExitStack) -> None:
        self.unique = unique
        self.rests: dict[str, Rest] = {}
        self.cid = ""
        self._system = system
        self._stack = stack

    async def prepare(self) -> None:
        """Everybody's REST, and the group."""
        for name in ("Alice", "Bob", "Carol"):
            rest = await self._stack.enter_async_context(Rest(self._system.gateways[0].url))
            await rest.login(self.name(name))
            self.rests[name] = rest
        alice, bob = self.rests["Alice"], self.rests["Bob"]
        self.cid = (await alice.create_conversation([bob.user_id], f"Room {self.unique}"))["id"]

    def name(self, name: str) -> str:
        """What somebody is called here."""
        return f"{name} {self.unique}"

    async def sit_down(self, name: str, conversation: str = "") -> Terminal:
        """Somebody's terminal, in the group unless told otherwise."""
        gateway = self._system.gateways[0 if name == "Alice" else 1].url
        wanted = conversation or self.cid
        one = await self._stack.enter_async_context(terminal("chat", wanted, "--as", self.name(name), "--url", gateway))
        await one.sees(WELCOME)
        await one.does("/pins", "Nothing is pinned here.")  # which waits until it has joined
        return one


@pytest.fixture
async def table(system: System) -> AsyncIterator[Table]:
    async with AsyncExitStack() as stack:
        table = Table(uuid4().hex[:6], system, stack)
        await table.prepare()
        yield table


async def test_messages_and_all_about_them(table: Table) -> None:
    alice, bob = await table.sit_down("Alice"), await table.sit_down("Bob")
    await alice.does("helo", ": helo ✓")
    await alice.does("/edit hello", f"{table.name('Alice')} edited: hello")
    await alice.does("/react 👍", "hello: 👍 1")
    await bob.sees("edited: hello", "hello: 👍 1")
    await bob.does("/reply well said", f"(to {table.name('Alice')}: hello) well said ✓")
    await bob.does("/thread 2", "#1 ", ": hello", "  #2 ", ": well said")
    await bob.does("/history 2", "What it said before:", ": helo", "now: hello")
    await bob.does("/history", "It was never edited")
    await alice.sees("well said")
    await alice.does("/delete #2", f"A message of {table.name('Bob')} was deleted")
    await bob.sees("was deleted")
    await bob.does("/delete #1", "Your role does not allow this.")
    await bob.does("/thread #9", "There is no message #9 here.")
    await bob.does("/hisory", "There is no /hisory")
    await bob.does("/help", "/react EMOJI [N]", "put an emoji on a message, or take it back")
    bob.type("/quit")
    assert await bob.ends() == 0


async def test_who_is_mentioned_sees_and_hears_it(table: Table) -> None:
    alice, bob = await table.sit_down("Alice"), await table.sit_down("Bob")
    await alice.does(f"come, @{table.name('Bob')}", "✓")
    await bob.sees("(mentions you)")
    await eventually(lambda: bob.rings == 1)
    await alice.does("@bob again", "✓")
    await bob.sees("again (mentions you)")
    await alice.does("@all of you", "✓")
    await bob.sees("@all of you (mentions you)")
    assert bob.rings == 3
    await bob.does("@all indeed", "Only an admin mentions everybody here", "@all indeed ✓")
    await alice.sees("@all indeed")
    assert "(mentions you)" not in alice.text
    # An edit mentions whom its text mentions.
    await alice.does("/edit nobody", "edited: nobody")
    last = (await table.rests["Bob"].all_messages(table.cid))[2]
    assert (last["content"], "mentions" in last, "mentionAll" in last) == ("nobody", False, False)
    # In another conversation it is a line, and rings as well.
    users = [table.rests["Bob"].user_id]
    other = await table.rests["Alice"].create_conversation(users, f"Other {table.unique}")
    await bob.sees(f"You were added to Other {table.unique}")
    await table.rests["Alice"].send(other["id"], "psst", mentions=users)
    await bob.sees(f"{table.name('Alice')} mentions you in Other {table.unique}: psst")
    await eventually(lambda: bob.rings == 4)


async def test_what_was_shown_is_read(table: Table) -> None:
    alice_rest, bob_rest = table.rests["Alice"], table.rests["Bob"]
    for content in ("one", "two", "three"):
        await alice_rest.send(table.cid, content)
    await bob_rest.mark_read(table.cid, 1)
    bob = await table.sit_down("Bob")
    assert bob.text.index(": one") < bob.text.index(" unread ") < bob.text.index(": two")

    async def unread() -> int:
        return int((await bob_rest.conversation(table.cid))["unreadCount"])

    async def all_read() -> None:
        assert await unread() == 0

    await eventually(all_read)
    alice = await table.sit_down("Alice")
    assert ": three" in alice.text
    assert " unread " not in alice.text
    await alice.does("/seen", f"Seen by {table.name('Bob')}: three")
    await alice.does("four", ": four ✓")
    await bob.sees(": four")
    await eventually(all_read)
    assert bob.text.count(" unread ") == 1


async def is_seen(somebody: Terminal, *people: str) -> None:
    """Wait until `/who` says so: changes are told once a second."""

    async def listed() -> None:
        said = await somebody.does("/who", "Who is here:", *(person.partition(":")[0] for person in people))
        assert all(person in said for person in people)

    await eventually(listed, poll=0.5)


async def test_people_come_and_go_and_are_seen(table: Table) -> None:
    alice, bob = await table.sit_down("Alice"), await table.sit_down("Bob")
    await is_seen(alice, f"{table.name('Alice')} (admin): online", f"{table.name('Bob')}: online")
    await bob.does("/busy", "Others see you busy")
    await is_seen(alice, f"{table.name('Bob')}: busy")
    await bob.does("/away", "Others see you busy")  # which wins, on all devices
    await bob.does("/online", "Others see you online")
    await bob.does("/away", "Others see you away")
    await bob.does("/invisible", "Others see you offline")
    await is_seen(alice, f"{table.name('Bob')}: offline, last seen")
    await bob.does("/who", "you chose to be invisible")
    await bob.does("/online", "Others see you online")

    await bob.does("/add Dora", "Nobody called Dora has been here.")
    await table.rests["Carol"].me()  # she has been
    await bob.does(f"/add {table.name('Carol')}", "Your role does not allow this.")
    await alice.does(f"/add {table.name('Carol')}", f"{table.name('Alice')} added {table.name('Carol')}")
    await bob.sees(f"added {table.name('Carol')}")
    carol = await table.sit_down("Carol")
    await alice.does("/admin bob", f"{table.name('Alice')} made {table.name('Bob')} admin")
    await bob.sees("admin")
    await bob.does("/members", "3 members", f"{table.name('Bob')} (admin)")
    await bob.does("/member alice", f"took the admin role from {table.name('Alice')}")
    await bob.does("/remove Nobody", "Nobody here is called Nobody.")
    await bob.does("/remove carol", f"removed {table.name('Carol')}")
    assert await carol.ends() == 1
    assert "You are no longer in this conversation." in carol.text
    await alice.sees(f"{table.name('Bob')} removed {table.name('Carol')}")
    alice.type("/leave")
    assert await alice.ends() == 0
    await bob.sees(f"{table.name('Alice')} left")


async def test_a_conversation_is_changed(table: Table) -> None:
    alice, bob = await table.sit_down("Alice"), await table.sit_down("Bob")
    await bob.does("/rename Ours", "Your role does not allow this.")
    await alice.does("/rename Ours", f"{table.name('Alice')} named it Ours")
    await bob.sees("named it Ours")
    await alice.does("keep this", "✓")
    await alice.does("/pin", f"{table.name('Alice')} pinned a message")
    await bob.sees("pinned a message")
    await bob.does("/pins", "Pinned:", "#1 ", ": keep this")
    await bob.does("/unpin", "Your role does not allow this.")
    await alice.does("/unpin", "unpinned a message")
    await alice.does("/pins", "Nothing is pinned here.")
    await alice.does("/close", "closed it")
    await bob.sees("closed it")
    await bob.does("too late", "Not sent: The conversation is closed")
    await alice.does("/reopen", "opened it again")
    await bob.does("/audit", "Your role does not allow this.")
    await alice.does("/audit", "started the conversation", "named it Ours", "opened it again")
    await alice.does("/public", "Only a channel can be public.")
    await bob.does("/mute", "Muted")
    await bob.does("/mute", "No longer muted")
    await bob.does("/archive", "Archived")
    await bob.does("/archive", "No longer archived")


async def test_the_way_to_what_was_said_elsewhere(table: Table) -> None:
    alice_rest = table.rests["Alice"]
    for number in range(1, 16):
        await alice_rest.send(table.cid, f"{'walnut' if number == 3 else 'nothing'} {number}")
    body = {"type": "channel", "name": f"Trees {table.unique}", "memberIds": [], "public": True}
    created = await alice_rest.http.post("/api/conversations", json=body)
    await alice_rest.send(created.json()["id"], f"a walnut of {table.unique}")

    bob = await table.sit_down("Bob")
    await bob.does("/channels Trees", f"Trees {table.unique}: 1 members")
    await bob.does(f"/join trees {table.unique}", f"Trees {table.unique}: 2 members", f"a walnut of {table.unique}")
    await bob.does("in the channel", "in the channel ✓")
    await bob.does("/channels Trees", f"Trees {table.unique}: 2 members (joined)")
    await bob.does("/search walnut", f"2. Room {table.unique}", "walnut 3", f"1. Trees {table.unique}")
    await bob.does("/goto 1", "> #1 ", f"a walnut of {table.unique}", "in the channel")
    around = await bob.does("/goto 2", f"Room {table.unique}: 2 members", "nothing 15", "> #3 ")
    assert around.index("Around #3") > around.index(": nothing 15")
    users = [table.rests["Bob"].user_id]
    other = await alice_rest.create_conversation(users, f"Other {table.unique}")
    await alice_rest.send(other["id"], "psst", mentions=users)
    await bob.does("/conversations", f"Trees {table.unique}", f"Other {table.unique}: 1 unread, 1 for you")
    await bob.does("/open Nowhere", "You are in no conversation with the id or name 'Nowhere'")
    await bob.does(f"/open trees {table.unique}", f"Trees {table.unique}: 2 members", "in the channel")
    await bob.does("/search absurdity", "Nobody said that")
    bob.type("/quit")
    assert await bob.ends() == 0


async def pipe(table: Table, name: str, lines: str) -> tuple[int, str]:
    """Send lines through a pipe: the exit code, and what was printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "chat", table.cid),
        *("--as", table.name(name), "--url", str(table.rests[name].http.base_url)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(lines.encode())
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_pipe_sends_its_lines_as_they_are(table: Table) -> None:
    await table.rests["Alice"].send(table.cid, "before")
    code, output = await pipe(table, "Bob", "one\n/help\n\n@alice three")
    assert code == 0
    messages = await table.rests["Bob"].all_messages(table.cid)
    assert [message["content"] for message in messages] == ["before", "one", "/help", "@alice three"]
    assert ": before" in output
    assert " unread " not in output
    await table.rests["Alice"].http.patch(f"/api/conversations/{table.cid}", json={"closed": True})
    code, output = await pipe(table, "Bob", "too late")
    assert (code, "1 message(s) were not sent." in output) == (1, True)


async def test_tab_completes(table: Table) -> None:
    bob = await table.sit_down("Bob")
    bob.press("/conv\t")
    bob.press("\n")
    await bob.sees("Your conversations:")
    bob.press("hello @ali\t")
    bob.press("you\n")
    await bob.sees(f"hello @{table.name('Alice')} you ✓")
    [message] = await table.rests["Bob"].all_messages(table.cid)
    assert message["mentions"] == [table.rests["Alice"].user_id]

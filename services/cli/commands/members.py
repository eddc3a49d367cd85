"""About people: who is here, who comes and goes, who may what, and how one is seen."""

from collections.abc import Awaitable, Callable, Mapping

from contracts import limits
from services.cli import people
from services.cli.commands.command import Chat, Frame, Quit, needed, nothing
from services.cli.gateway import CommandError
from services.cli.lines import brief, when
from services.cli.people import called

STATES = ("online", "busy", "away", "offline")  # in the order of the list


async def who(chat: Chat, typed: str) -> None:
    """The members, and which of them are here."""
    nothing(typed)
    members = await _members(chat)
    listed = members[: limits.WATCHED]
    asked = {"userIds": [member["userId"] for member in listed]}
    page = await chat.conversation.rest.call("GET", "/api/presence", params=asked)
    seen = {item["userId"]: item for item in page["items"]}
    states = [(seen.get(member["userId"], {"status": "offline"}), member) for member in listed]
    states.sort(key=lambda pair: (STATES.index(pair[0]["status"]), pair[1]["userName"].casefold()))
    lines = [f"{_named(member)}: {state['status']}{_since(state)}" for state, member in states]
    choice = [] if page["chosen"] == "online" else [f"(you chose to be {page['chosen']})"]
    chat.say("Who is here:", *lines, *(["…"] if len(members) > len(listed) else []), *choice)


async def members(chat: Chat, typed: str) -> None:
    """The members and their roles."""
    nothing(typed)
    found = await _members(chat)
    count = f"{len(found)} members" if len(found) < people.READ else f"The first {len(found)} members"
    chat.say(f"{count}:", *map(_named, found))


async def add(chat: Chat, typed: str) -> None:
    """Bring somebody in."""
    wanted = needed(typed.removeprefix("@"))
    query = {"query": wanted[: limits.NAME_LENGTH]}
    found = (await chat.conversation.rest.call("GET", "/api/users", params=query))["items"]
    names = {person["userId"]: str(person["userName"]) for person in found}
    user_id = _one_of(wanted, names, f"Nobody called {wanted} has been here.")
    await chat.conversation.call("POST", "members", json={"userIds": [user_id]})


async def remove(chat: Chat, typed: str) -> None:
    """Take somebody out."""
    await chat.conversation.call("DELETE", "members", await _member(chat, typed))


async def leave(chat: Chat, typed: str) -> None:
    """Go, for good."""
    nothing(typed)
    await chat.conversation.call("DELETE", "members", chat.conversation.user_id)
    raise Quit


async def admin(chat: Chat, typed: str) -> None:
    """Give somebody the admin role."""
    await chat.conversation.call("PATCH", "members", await _member(chat, typed), json={"role": "admin"})


async def member(chat: Chat, typed: str) -> None:
    """Take the admin role from somebody."""
    await chat.conversation.call("PATCH", "members", await _member(chat, typed), json={"role": "member"})


def presence(status: str) -> Callable[[Chat, str], Awaitable[None]]:
    """A command that says how one wants to be seen."""

    async def choose(chat: Chat, typed: str) -> None:
        nothing(typed)
        await chat.conversation.ask({"type": "set_presence", "requestId": "presence", "status": status})

    return choose


async def _members(chat: Chat) -> list[Frame]:
    return await chat.conversation.people.read(chat.conversation.rest)


async def _member(chat: Chat, typed: str) -> str:
    wanted = needed(typed.removeprefix("@"))
    if not called(wanted, chat.conversation.people.names()):
        await _members(chat)  # not all are known from the beginning
    return _one_of(wanted, chat.conversation.people.names(), f"Nobody here is called {wanted}.")


def _one_of(wanted: str, names: Mapping[str, str], nobody: str) -> str:
    found = called(wanted, names)
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(nobody)
    each = "\n".join(f"{brief(names[user_id])}, id {user_id}" for user_id in found)
    raise CommandError(f"Several people are called {wanted}; use the whole name, or an id:\n{each}")


def _named(member: Frame) -> str:
    return f"{brief(member['userName'])}{' (admin)' if member['role'] == 'admin' else ''}"


def _since(state: Frame) -> str:
    return f", last seen {when(state['lastSeenAt'])}" if "lastSeenAt" in state else ""

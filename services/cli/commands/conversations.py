"""About conversations: this one, and the way to others."""

from typing import Any

from services.cli.changes import sentence
from services.cli.commands.command import Chat, Elsewhere, Frame, needed, nothing
from services.cli.gateway import CommandError, Rest
from services.cli.lines import brief, when

LISTED = 50  # conversations or channels in one list
AUDITED = 30  # changes that are shown


async def rename(chat: Chat, typed: str) -> None:
    """Give it another name."""
    await _change(chat, name=needed(typed))


async def close(chat: Chat, typed: str) -> None:
    """For all: it can be read, not changed."""
    nothing(typed)
    await _change(chat, closed=True)


async def reopen(chat: Chat, typed: str) -> None:
    """Open it again."""
    nothing(typed)
    await _change(chat, closed=False)


async def publish(chat: Chat, typed: str) -> None:
    """Let anybody find and join a channel."""
    nothing(typed)
    await _change(chat, public=True)


async def hide(chat: Chat, typed: str) -> None:
    """Let nobody find and join it any more."""
    nothing(typed)
    await _change(chat, public=False)


async def mute(chat: Chat, typed: str) -> None:
    """No notifications but for mentions; or all of them again."""
    nothing(typed)
    muted = await _toggle(chat, "muted")
    chat.say("Muted: you are told of mentions only" if muted else "No longer muted")


async def archive(chat: Chat, typed: str) -> None:
    """Out of the list of conversations, until somebody writes; or back into it."""
    nothing(typed)
    archived = await _toggle(chat, "archived")
    chat.say("Archived" if archived else "No longer archived")


async def audit(chat: Chat, typed: str) -> None:
    """Who changed what."""
    nothing(typed)
    page = await chat.conversation.call("GET", "audit", params={"limit": AUDITED})
    name_of = chat.conversation.people.name
    lines = [
        f"{when(entry['at'])} {brief(sentence(entry['action'], entry['actorId'], entry, name_of) or entry['action'])}"
        for entry in reversed(page["items"])
    ]
    chat.say("What was changed:", *(["…"] if page["nextCursor"] else []), *lines)


async def channels(chat: Chat, typed: str) -> None:
    """Public channels."""
    found = await _channels(chat, typed)
    lines = [
        f"{brief(channel['name'])}: {channel['memberCount']} members{' (joined)' if channel['joined'] else ''}"
        for channel in found
    ]
    chat.say("Public channels:" if found else "There is no such channel.", *lines)


async def join(chat: Chat, typed: str) -> None:
    """Come into a public channel, and go there."""
    wanted = needed(typed)
    found = [c for c in await _channels(chat, wanted) if c["name"].casefold() == wanted.casefold()]
    if len(found) > 1:
        ids = "\n".join(f"{channel['id']}: {channel['memberCount']} members" for channel in found)
        raise CommandError(f"Several channels are called {wanted}; use an id:\n{ids}")
    channel_id = found[0]["id"] if found else wanted
    raise Elsewhere(await chat.conversation.rest.call("POST", Rest.path("conversations", channel_id, "join")))


async def mine(chat: Chat, typed: str) -> None:
    """One's conversations, newest activity last."""
    nothing(typed)
    page = await chat.conversation.rest.call("GET", "/api/conversations", params={"limit": LISTED})
    lines = [f"{_name(chat, found)}{_unread(found)}" for found in reversed(page["items"])]
    chat.say("Your conversations:", *(["…"] if page["nextCursor"] else []), *lines)


async def open_other(chat: Chat, typed: str) -> None:
    """Go on in another conversation."""
    raise Elsewhere(await chat.conversation.rest.conversation(needed(typed)))


async def _change(chat: Chat, **fields: Any) -> None:
    await chat.conversation.call("PATCH", json=fields)


async def _toggle(chat: Chat, setting: str) -> bool:
    now = bool((await chat.conversation.call("GET"))[setting])
    return bool((await chat.conversation.call("PATCH", "me", json={setting: not now}))[setting])


async def _channels(chat: Chat, query: str) -> list[Frame]:
    page = await chat.conversation.rest.call("GET", "/api/channels", params={"query": query, "limit": LISTED})
    return list(page["items"])


def _name(chat: Chat, found: Frame) -> str:
    others = [m["userName"] for m in found["members"] if m["userId"] != chat.conversation.user_id]
    return brief(found["name"] or ", ".join(others) or "(only you)")


def _unread(found: Frame) -> str:
    if not found["unreadCount"]:
        return ""
    mentions = f", {found['unreadMentions']} for you" if found["unreadMentions"] else ""
    return f": {found['unreadCount']} unread{mentions}"

"""Searching, and going to what was found."""

from services.cli.commands import target
from services.cli.commands.command import Chat, Elsewhere, Frame, needed
from services.cli.gateway import CommandError, Rest
from services.cli.lines import brief, numbered, when

AROUND = 11  # messages that are shown around one


async def search(chat: Chat, typed: str) -> None:
    """Messages of all one's conversations. A hit's number counts from the bottom, where the newest is."""
    page = await chat.conversation.rest.call("GET", "/api/search", params={"q": needed(typed)})
    chat.found = page["items"]
    if not chat.found:
        chat.say("Nobody said that, as far as you can read.")
        return
    more = ["(there are older ones)"] if page["nextCursor"] else []
    lines = [_hit(number, hit) for number, hit in enumerate(chat.found, 1)]
    chat.say("Found; /goto NUMBER leads there:", *more, *reversed(lines))


async def goto(chat: Chat, typed: str) -> None:
    """What was said around a hit of the last search, or around the message with a `#` number."""
    number = target.only(typed)
    if number.startswith("#"):
        message = await target.message(chat, number)
        await _show_around(chat, message["seq"])
        return
    if not 1 <= int(number) <= len(chat.found):
        raise CommandError("There is no such hit; /search finds some.")
    hit = chat.found[int(number) - 1]
    if hit["conversationId"] == chat.conversation.id:
        await _show_around(chat, hit["message"]["seq"])
    else:
        there = Rest.path("conversations", hit["conversationId"])
        raise Elsewhere(await chat.conversation.rest.call("GET", there), hit["message"]["seq"])


async def _show_around(chat: Chat, seq: int) -> None:
    """The messages around one, which is pointed at."""
    page = await chat.conversation.call("GET", "messages", params={"aroundSeq": seq, "limit": AROUND})
    lines = [f"{'>' if message['seq'] == seq else ' '} {numbered(message)}" for message in page["items"]]
    chat.say(f"Around #{seq}:", *lines)


def _hit(number: int, hit: Frame) -> str:
    message = hit["message"]
    where = brief(hit["conversationName"] or "direct")
    return (
        f"{number}. {where} {when(message['createdAt'])} {brief(message['senderName'])}: {brief(hit['snippet'], 160)}"
    )

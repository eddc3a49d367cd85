"""About messages: change them, reply, read their threads and histories, pin them."""

from typing import Any

from services.cli.commands import target
from services.cli.commands.command import Chat, Frame, needed, nothing
from services.cli.lines import brief, numbered, when

REPLIES = 200  # of a thread that are shown


async def edit(chat: Chat, typed: str) -> None:
    """Another content for one's own message; it mentions whom the new text mentions."""
    number, text = target.split(typed)
    content = needed(text)
    message = await target.message(chat, number, own=True)
    meant = await chat.conversation.meant(content)
    mentions = {"mentions": meant.user_ids, "mentionAll": meant.everybody}
    await _change(chat, "edit_message", message, content=content, **mentions)


async def delete(chat: Chat, typed: str) -> None:
    """One's own message, or as an admin anybody's, which is named by its `#` number."""
    message = await target.message(chat, target.only(typed), own=True)
    await _change(chat, "delete_message", message)


async def react(chat: Chat, typed: str) -> None:
    """Put an emoji on a message, or take it back."""
    emoji, _, rest = needed(typed).partition(" ")
    message = await target.message(chat, target.only(rest.strip()))
    has = chat.conversation.user_id in message.get("reactions", {}).get(emoji, ())
    await _change(chat, "remove_reaction" if has else "add_reaction", message, emoji=emoji)


async def reply(chat: Chat, typed: str) -> None:
    """A message that quotes another one."""
    number, text = target.split(typed)
    content = needed(text)
    message = await target.message(chat, number)
    await chat.conversation.send(content, replyTo=message["id"])


async def thread(chat: Chat, typed: str) -> None:
    """A message and its replies."""
    message = await target.message(chat, target.only(typed))
    page = await chat.conversation.call("GET", "messages", message["id"], "replies", params={"limit": REPLIES})
    replies = [f"  {numbered({**reply, 'reply': None})}" for reply in page["items"]]
    more = ["  (there are more)"] if page["hasMore"] else []
    chat.say("Thread:", numbered(message), *(replies or ["  (no replies)"]), *more)


async def history(chat: Chat, typed: str) -> None:
    """What a message said before it was edited."""
    message = await target.message(chat, target.only(typed))
    page = await chat.conversation.call("GET", "messages", message["id"], "edits")
    before = [f"until {when(edit['at'])}: {edit['content']}" for edit in page["items"]]
    if not before:
        chat.say(f"It was never edited: {numbered(message)}")
        return
    more = ["…"] if page["nextCursor"] else []
    chat.say("What it said before:", *before, *more, f"now: {message['content']}")


async def seen(chat: Chat, typed: str) -> None:
    """Who has read a message."""
    message = await target.message(chat, target.only(typed))
    page = await chat.conversation.call("GET", "messages", message["id"], "readers")
    names = ", ".join(brief(person["userName"]) for person in page["items"])
    chat.say(f"Seen by {names or 'nobody yet'}: {brief(message['content'])}")


async def pin(chat: Chat, typed: str) -> None:
    """Keep a message at hand for everybody."""
    message = await target.message(chat, target.only(typed))
    await chat.conversation.call("PUT", "pins", message["id"])


async def unpin(chat: Chat, typed: str) -> None:
    """No longer."""
    message = await target.message(chat, target.only(typed))
    await chat.conversation.call("DELETE", "pins", message["id"])


async def pins(chat: Chat, typed: str) -> None:
    """All pinned messages."""
    nothing(typed)
    found = (await chat.conversation.call("GET", "pins"))["items"]
    chat.say("Pinned:" if found else "Nothing is pinned here.", *(numbered(pin["message"]) for pin in reversed(found)))


async def _change(chat: Chat, kind: str, message: Frame, **fields: Any) -> None:
    about = {"conversationId": chat.conversation.id, "messageId": message["id"]}
    await chat.conversation.ask({"type": kind, **about, **fields})

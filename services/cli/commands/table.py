"""Every command, once: what is typed, what for, and who does it."""

import re

from services.cli.commands import conversations, finding, members, messages
from services.cli.commands.command import Chat, Command, Misused, Quit, nothing
from services.cli.gateway import CommandError

NAME = re.compile(r"/[a-z]+(?=\s|$)")


async def show_help(chat: Chat, typed: str) -> None:
    """The table."""
    nothing(typed)
    usages = {name: f"{name} {command.arguments}".strip() for name, command in COMMANDS.items()}
    width = max(map(len, usages.values()))
    chat.say(
        "N counts from the bottom of the screen, and may be left out for the newest; #12 is a message's own number.",
        *(f"{usage:{width}}  {COMMANDS[name].help}" for name, usage in usages.items()),
        "Anything else is a message, also a line that begins with a space. @name and @all mention; Tab completes.",
    )


async def end(chat: Chat, typed: str) -> None:
    """End the chat."""
    nothing(typed)
    raise Quit


COMMANDS = {
    command.name: command
    for command in (
        Command("/reply", "[N] TEXT", "reply to a message", messages.reply),
        Command("/edit", "[N] TEXT", "say something else; N counts your own messages", messages.edit),
        Command("/delete", "[N]", "take back what you said; N counts your own messages", messages.delete),
        Command("/react", "EMOJI [N]", "put an emoji on a message, or take it back", messages.react),
        Command("/thread", "[N]", "show a message with its replies", messages.thread),
        Command("/history", "[N]", "show what a message said before it was edited", messages.history),
        Command("/seen", "[N]", "show who has read a message", messages.seen),
        Command("/pin", "[N]", "pin a message", messages.pin),
        Command("/unpin", "[N]", "unpin a message", messages.unpin),
        Command("/pins", "", "show the pinned messages", messages.pins),
        Command("/search", "WORDS", "search in all your conversations", finding.search),
        Command("/goto", "N", "show what was said around the Nth hit of a search, or around #12", finding.goto),
        Command("/who", "", "show who is here, and since when the others are not", members.who),
        Command("/online", "", "be seen as here", members.presence("online")),
        Command("/away", "", "be seen as away from this device", members.presence("away")),
        Command("/busy", "", "be seen as busy", members.presence("busy")),
        Command("/invisible", "", "be seen as offline", members.presence("invisible")),
        Command("/members", "", "show the members and their roles", members.members),
        Command("/add", "NAME", "bring somebody in", members.add),
        Command("/remove", "NAME", "take somebody out", members.remove),
        Command("/admin", "NAME", "give somebody the admin role", members.admin),
        Command("/member", "NAME", "take the admin role from somebody", members.member),
        Command("/leave", "", "leave the conversation for good", members.leave),
        Command("/rename", "NAME", "give the conversation another name", conversations.rename),
        Command("/mute", "", "be told of mentions only; again: of everything", conversations.mute),
        Command("/archive", "", "put it out of your list until somebody writes; again: back", conversations.archive),
        Command("/close", "", "let everybody read it, and nobody write", conversations.close),
        Command("/reopen", "", "open it again", conversations.reopen),
        Command("/public", "", "let anybody find and join this channel", conversations.publish),
        Command("/private", "", "let nobody find it any more", conversations.hide),
        Command("/audit", "", "show who changed what", conversations.audit),
        Command("/conversations", "", "show your conversations", conversations.mine),
        Command("/open", "NAME", "go on in another of your conversations", conversations.open_other),
        Command("/channels", "[WORD]", "show public channels", conversations.channels),
        Command("/join", "NAME", "come into a public channel, and go on there", conversations.join),
        Command("/help", "", "show this", show_help, alone=True),
        Command("/quit", "", "end the chat", end, alone=True),
    )
}


async def act(chat: Chat, line: str) -> None:
    """What somebody typed: a message, or a command. What it may not do is said to them.

    Raises:
        Quit: the chat is to end.
        Elsewhere: it is to go on in another conversation.
    """
    found = NAME.match(line)
    if found is None:
        await chat.conversation.send(line)
        return
    name = found.group()
    command = COMMANDS.get(name)
    if command is None:
        chat.say(f"There is no {name}: /help shows what there is. Begin with a space to send it as it is.")
        return
    try:
        if not command.alone:
            await chat.conversation.ready()
        await command.run(chat, line[found.end() :].strip())
    except Misused:
        chat.say(f"{name} {command.arguments}".rstrip() + f": {command.help}")
    except CommandError as error:
        chat.say(str(error))


def complete(chat: Chat, text: str) -> str:
    """The line with its last word completed, as far as it can only mean one thing: a command, or a `@name`."""
    if NAME.fullmatch(text):
        begun = [name for name in COMMANDS if name.startswith(text)]
        return f"{begun[0]} " if len(begun) == 1 else text
    before, at, word = text.rpartition("@")
    names = {name for name in chat.conversation.people.names().values() if name.casefold().startswith(word.casefold())}
    return f"{before}@{names.pop()} " if at and word and len(names) == 1 else text

"""`palabre chat`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

import typer

from services.cli.commands.command import Chat, Elsewhere, Frame, Quit
from services.cli.commands.table import act, complete
from services.cli.conversation import Conversation
from services.cli.gateway import CommandError, Rest, gateway_urls
from services.cli.terminal import Pipe, Screen
from services.cli.view import TerminalView

LAST_WAIT = 10.0  # seconds that the end of a chat waits for what was sent just before

Url = Annotated[
    str | None,
    typer.Option(
        envvar="PALABRE_URL",
        help="A gateway. Default: those of `make run` in this folder, else http://127.0.0.1:3000.",
    ),
]


def chat(
    conversation: Annotated[str, typer.Argument(help="An id, or the name of one of your conversations.")],
    name: Annotated[str | None, typer.Option("--as", help="Your name, for a development token.")] = None,
    url: Url = None,
    token: Annotated[str | None, typer.Option(help="A token of your identity provider, instead of --as.")] = None,
) -> None:
    """Chat in CONVERSATION. With a pipe as input, send each of its lines, wait until all are stored, and exit."""
    if name is None and token is None:
        raise typer.BadParameter("give your name with --as, or a token with --token")
    run(lambda: _chat(conversation, gateway_urls(url), name, token))


def run(command: Callable[[], Awaitable[None]]) -> None:
    """Carry out a command; what it cannot do is said on stderr."""

    async def carry_out() -> None:
        await command()

    try:
        asyncio.run(carry_out())
    except CommandError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _chat(wanted: str, urls: list[str], name: str | None, token: str | None) -> None:
    async def current_token(url: str) -> str:
        return token if token is not None else await Rest(url).development_token(name or "")

    def come_into(found: Frame) -> Conversation:
        usage = "/help shows what can be done here" if interactive else "/quit leaves"
        view.notice(f"{found['name'] or 'direct'}: {found['memberCount']} members. {usage}.")
        return Conversation(found, urls, current_token, view)

    found = await Rest(urls[0], await current_token(urls[0])).conversation(wanted)
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.name == "posix"
    if interactive:
        with Screen().attached() as screen:
            view = TerminalView(screen)
            await _talk(screen, Chat(come_into(found)), come_into)
    else:
        pipe = Pipe()
        view = TerminalView(pipe)
        conversation = come_into(found)
        await _first_to_end(conversation.run(), _send_lines(pipe, conversation))
    if view.refused:
        raise CommandError(f"{view.refused} message(s) were not sent.")


async def _send_lines(pipe: Pipe, conversation: Conversation) -> None:
    """One after the other, each stored before the next, until the input ends."""
    while (line := await pipe.read()) is not None and line.strip() != "/quit":
        await conversation.outgoing.stored(await conversation.send(line))
    await _settled(conversation)


async def _talk(screen: Screen, chat: Chat, come_into: Callable[[Frame], Conversation]) -> None:
    """Do what is typed, in one conversation after the other, until the input ends or somebody has enough."""
    keys = Keys(chat)
    screen.listen(keys.pressed, lambda text: complete(chat, text))
    seq: int | None = None
    while True:
        try:
            await _first_to_end(chat.conversation.run(), _do_lines(screen, chat, seq))
            return
        except Elsewhere as elsewhere:
            seq = elsewhere.seq
            chat.conversation = come_into(elsewhere.conversation)


async def _do_lines(screen: Screen, chat: Chat, seq: int | None) -> None:
    """Show what was said around `seq`, if there is one; then do what is typed. Raises Elsewhere."""
    if seq is not None:
        await act(chat, f"/goto #{seq}")
    try:
        while (line := await screen.read()) is not None:
            await act(chat, line)
    except Quit:
        pass
    except Elsewhere:
        await _settled(chat.conversation)
        raise
    await _settled(chat.conversation)


async def _settled(conversation: Conversation) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WAIT):
            await conversation.outgoing.settled()


async def _first_to_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all; when one ends or fails, cancel the others and pass on how it ended."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Keys:
    """Keys that are pressed: others are told that somebody writes."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._tasks: set[asyncio.Task[None]] = set()

    def pressed(self, text: bool) -> None:
        """Whether there is a message in the input line now."""
        task = asyncio.get_running_loop().create_task(self._chat.conversation.typed(text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

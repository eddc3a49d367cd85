"""`palabre token` and `palabre chat`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from services.cli.actions import HELP, frame_of, is_action
from services.cli.conversation import Conversation
from services.cli.gateway import CommandError, Rest, gateway_urls
from services.cli.terminal import Pipe, Screen, Terminal, clean

QUOTED = 40  # characters of what a message replies to
LAST_WAIT = 10.0  # seconds that the end of a chat waits for what was sent just before

Url = Annotated[
    str | None,
    typer.Option(
        envvar="PALABRE_URL",
        help="A gateway. Default: those of `make run` in this folder, else http://127.0.0.1:3000.",
    ),
]


def token(name: Annotated[str, typer.Argument(help="A person's name.")], url: Url = None) -> None:
    """Print a development token for NAME, and nothing else."""
    _run(lambda: _print_token(name, gateway_urls(url)[0]))


def chat(
    conversation: Annotated[str, typer.Argument(help="An id, or the name of one of your conversations.")],
    name: Annotated[str | None, typer.Option("--as", help="Your name, for a development token.")] = None,
    url: Url = None,
    token: Annotated[str | None, typer.Option(help="A token of your identity provider, instead of --as.")] = None,
) -> None:
    """Chat in CONVERSATION. With a pipe as input, send each of its lines, wait until all are stored, and exit."""
    if name is None and token is None:
        raise typer.BadParameter("give your name with --as, or a token with --token")
    _run(lambda: _chat(conversation, gateway_urls(url), name, token))


def _run(command: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await command()

    try:
        asyncio.run(run())
    except CommandError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _print_token(name: str, url: str) -> None:
    print(await Rest(url).development_token(name))


async def _chat(wanted: str, urls: list[str], name: str | None, token: str | None) -> None:
    async def current_token(url: str) -> str:
        return token if token is not None else await Rest(url).development_token(name or "")

    found = await Rest(urls[0], await current_token(urls[0])).conversation(wanted)
    view = ChatView()
    conversation = Conversation(found["id"], urls, current_token, view)
    view.conversation = conversation
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.name == "posix"
    with contextlib.ExitStack() as stack:
        if interactive:
            screen = Screen(view.typed)
            stack.enter_context(screen.attached())
            view.terminal = screen
        else:
            view.terminal = Pipe()
        usage = HELP if interactive else "/quit leaves."
        view.notice(f"{clean(found['name'] or 'direct')}: {found['memberCount']} members. {usage}")
        await _first_to_end(conversation.run(), _send_lines(view.terminal, conversation, wait=not interactive))
    if view.refused:
        raise CommandError(f"{view.refused} message(s) were not sent.")


async def _send_lines(terminal: Terminal, conversation: Conversation, wait: bool) -> None:
    """Send what is typed until the input ends. `wait`: one after the other, each stored before the next."""
    while (line := await terminal.read()) is not None and line.strip() != "/quit":
        if wait:
            await conversation.stored(await conversation.send(line))
        else:
            await act(conversation, line)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WAIT):
            await conversation.settled()


async def act(conversation: Conversation, line: str) -> None:
    """What somebody typed: a message, or something about one."""
    if not is_action(line):
        await conversation.send(line)
        return
    try:
        frame = frame_of(line, list(conversation.shown.values()), conversation.user_id)
    except CommandError as error:
        conversation.say(str(error))
        return
    if frame["type"] == "send_message":
        await conversation.send(frame["content"], replyTo=frame["replyTo"])
    else:
        await conversation.change(frame)


async def _first_to_end(*parts: Any) -> None:
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


class ChatView:
    """What is said, on a terminal."""

    conversation: Conversation
    terminal: Terminal

    def __init__(self) -> None:
        self.refused = 0
        self._typing: set[asyncio.Task[None]] = set()

    def message(self, message: dict[str, Any], own: bool) -> None:
        """`12:34 Alice: hello`, in local time; one's own with a check mark, since they are stored."""
        at = datetime.fromisoformat(message["createdAt"]).astimezone().strftime("%H:%M")
        content = "(deleted)" if message.get("isDeleted") else clean(message["content"])
        files = "".join(f" [{clean(file['name'])} {clean(file['url'])}]" for file in message.get("attachments", []))
        mark = " ✓" if own else " (mentions you)" if self._mentioned(message) else ""
        self.terminal.show(f"{at} {clean(message['senderName'])}: {_quote(message)}{content}{files}{mark}")

    def updated(self, message: dict[str, Any], change: str) -> None:
        """`-- Alice edited: hello`, `-- hello: 👍 2`."""
        content, sender = clean(message["content"]), clean(message["senderName"])
        match change:
            case "edited":
                self.notice(f"{sender} edited: {content}")
            case "deleted":
                self.notice(f"A message of {sender} was deleted")
            case "reactions":
                said = "  ".join(f"{clean(e)} {len(users)}" for e, users in message.get("reactions", {}).items())
                self.notice(f"{content[:QUOTED]}: {said or 'no reactions'}")

    def _mentioned(self, message: dict[str, Any]) -> bool:
        return message.get("mentionAll", False) or self.conversation.user_id in message.get("mentions", ())

    def notice(self, text: str) -> None:
        """`-- text`."""
        self.terminal.show(f"-- {clean(text)}")

    def not_sent(self, why: str) -> None:
        """Said, and remembered for the exit status."""
        self.refused += 1
        self.notice(f"Not sent: {why}")

    def changed(self) -> None:
        """Who is typing, what is on its way, whether we are connected."""
        conversation = self.conversation
        parts = [] if conversation.connected else ["connecting…"]
        if conversation.pending:
            parts.append(f"{len(conversation.pending)} on the way…")
        names = [clean(name) for name in conversation.typing.values()]
        if names:
            parts.append(f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} typing…")
        self.terminal.set_status("  ".join(parts))

    def typed(self, text: bool) -> None:
        """A key was pressed: others are told that somebody writes."""
        task = asyncio.get_running_loop().create_task(self.conversation.typed(text))
        self._typing.add(task)
        task.add_done_callback(self._typing.discard)


def _quote(message: dict[str, Any]) -> str:
    """`(to Alice: the beginning of what she said…) ` before a reply."""
    if (reply := message.get("reply")) is None:
        return ""
    said = "(deleted)" if reply.get("isDeleted") else clean(" ".join(reply["preview"].split())[:QUOTED])
    return f"(to {clean(reply['senderName'])}: {said}) "

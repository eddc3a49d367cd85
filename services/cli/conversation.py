"""One conversation over the real protocol, kept alive: what a client owes to its user, without any screen.

Reconnects with full-jitter back-off, resumes by `afterSeq` and `afterChange`, sends again what was not acknowledged under
the same `tempId`, and fetches what is missing, so that every message is shown once and in order.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from contracts.errors import CloseCode, ErrorCode
from services.cli.gateway import CommandError, Rest, Unreachable, uses_proxy, websocket_url

Frame = dict[str, Any]
HEADS_INTERVAL = 25.0
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
TYPING_RENEWAL = 5.0  # typing ends by itself after ten seconds
SHOWN = 200  # messages that are remembered, to do something with them
CLOSED_ABNORMALLY = 1006  # RFC 6455, section 7.1.5


class View(Protocol):
    """Who shows it."""

    def message(self, message: Frame, own: bool) -> None:
        """A message, in the order of the conversation."""

    def updated(self, message: Frame, change: str) -> None:
        """A message that was shown is `edited`, `deleted`, or has other `reactions`."""

    def notice(self, text: str) -> None:
        """Something that happened."""

    def not_sent(self, why: str) -> None:
        """A message was refused for good."""

    def changed(self) -> None:
        """`connected`, `typing` or `pending` is not what it was."""


class Lost(Exception):
    """The connection is of no use any more; another one is to be made."""


def reconnects(code: int) -> bool:
    """Whether to come back after this close code."""
    try:
        return CloseCode(code).reconnect
    except ValueError:
        return code != CloseCode.NORMAL and code < CloseCode.AUTHENTICATION_FAILED


def backoff(attempt: int) -> float:
    """Full jitter: anything up to a bound that doubles, so that clients do not come back all at once."""
    return random.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2**attempt))  # noqa: S311 - spreads load, guards nothing


class Conversation:
    """One joined conversation. `run` keeps it up; `send`, `typing` and `settled` may be called meanwhile."""

    def __init__(
        self, conversation_id: str, urls: list[str], token: Callable[[str], Awaitable[str]], view: View
    ) -> None:
        """`token` is asked at every connection, with the gateway's URL, so that an expired one is replaced."""
        self.id = conversation_id
        self.connected = False
        self.typing: dict[str, str] = {}  # user id → name
        self.pending: dict[str, Frame] = {}  # tempId → what was sent and is not acknowledged yet, oldest first
        self.shown: dict[int, Frame] = {}  # seq → the last messages, as they are now
        self.user_id = ""
        self._urls = urls
        self._token = token
        self._view = view
        self._socket: ClientConnection | None = None
        self._rest = Rest(urls[0])
        self._last: int | None = None  # the highest seq shown
        self._change: int | None = None  # every change up to it is known
        self._own = 0  # the highest seq of ours that was acknowledged
        self._refusal = ""
        self._failures = 0
        self._typed_at: float | None = None
        self._progress = asyncio.Condition()
        self._later: set[asyncio.Task[None]] = set()

    # ----------------------------------------------------------------------------------------- what one does

    async def send(self, content: str, **more: Any) -> str:
        """Send it, now or as soon as there is a connection. Returns its tempId."""
        temp_id = uuid4().hex
        self.pending[temp_id] = {"content": content, **more}
        self._typed_at = None  # a message ends typing
        self._view.changed()
        await self._post_message(temp_id)
        return temp_id

    async def change(self, frame: Frame) -> None:
        """Ask for a change of a message, if there is a connection."""
        if self._socket is None:
            self._view.notice("Not connected; try again in a moment")
        await self._post({**frame, "conversationId": self.id})

    def say(self, text: str) -> None:
        """Tell the user something."""
        self._view.notice(text)

    async def stored(self, temp_id: str) -> None:
        """Return once this message is stored or refused for good."""
        async with self._progress:
            await self._progress.wait_for(lambda: temp_id not in self.pending)

    async def settled(self) -> None:
        """Return once everything sent is stored, and shown."""
        async with self._progress:
            await self._progress.wait_for(lambda: not self.pending and (self._last or 0) >= self._own)

    async def typed(self, text: bool) -> None:
        """The user is writing, or has emptied the line: told at most every few seconds."""
        now = asyncio.get_running_loop().time()
        if text and (self._typed_at is None or now - self._typed_at > TYPING_RENEWAL):
            self._typed_at = now
            await self._post({"type": "typing_start", "requestId": "typing", "conversationId": self.id})
        elif not text and self._typed_at is not None:
            self._typed_at = None
            await self._post({"type": "typing_stop", "requestId": "typing", "conversationId": self.id})

    # --------------------------------------------------------------------------------------------- connection

    async def run(self) -> NoReturn:
        """Until cancelled.

        Raises:
            CommandError: when there is no use in trying again.
        """
        try:
            while True:
                delay = await self._connection()
                self.connected = False
                self.typing.clear()
                self._view.changed()
                await asyncio.sleep(delay)
        finally:
            for task in self._later:
                task.cancel()

    async def _connection(self) -> float:
        """One connection from its beginning to its end; returns how long to wait before the next."""
        url = self._urls[self._failures % len(self._urls)]  # another gateway may be well
        try:
            self._rest = Rest(url, await self._token(url))
            async with connect(websocket_url(url), compression=None, proxy=uses_proxy(url) or None) as socket:
                await self._serve(socket)
        except ConnectionClosed as closed:
            return self._delay_after(closed)
        except (Lost, Unreachable, OSError, TimeoutError, InvalidHandshake) as error:
            return self._delay(str(error) or "No answer")
        except InvalidURI as error:
            raise CommandError(str(error)) from None
        return self._delay("The connection ended")

    async def _serve(self, socket: ClientConnection) -> None:
        """Authenticate, join, then read. Ends by an exception, ConnectionClosed for most."""
        await self._write(socket, {"type": "authenticate", "token": self._rest.token})
        resume = {} if self._last is None else {"afterSeq": self._last, "afterChange": self._change or 0}
        join = {"type": "join_conversation", "requestId": "join", "conversationId": self.id, **resume}
        pinging = asyncio.create_task(self._ping(socket))
        try:
            while True:
                frame = json.loads(await socket.recv())
                if frame["type"] == "authenticated":
                    self.user_id = frame["userId"]
                    await self._write(socket, join)
                elif frame["type"] == "joined_conversation":
                    await self._joined(socket, frame)
                else:
                    await self._receive(frame)
        finally:
            self._socket = None
            pinging.cancel()

    def _delay_after(self, closed: ConnectionClosed) -> float:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (CLOSED_ABNORMALLY, "")
        if not reconnects(code):
            raise CommandError(self._refusal or f"The gateway closed the connection: {reason or code}")
        if code == CloseCode.DRAINING:
            with contextlib.suppress(ValueError, LookupError, TypeError):
                return min(float(json.loads(reason)["reconnectInMs"]) / 1000, LONGEST_DELAY)
        return self._delay(f"The connection was lost ({reason or code})")

    def _delay(self, why: str) -> float:
        if self._failures == 0:
            self._view.notice(f"{why}; trying again")
        self._failures += 1
        return backoff(self._failures)

    async def _joined(self, socket: ClientConnection, frame: Frame) -> None:
        self._socket = socket
        self.connected = True
        self._failures = 0
        if self._change is None:
            self._change = frame.get("lastChange", 0)
        if self._last is None:
            # The first frames after this one are the history; what is before it is not asked for.
            self._last = frame["lastSeq"] if frame["firstSeq"] is None else frame["firstSeq"] - 1
            if frame["hasMore"]:
                self._view.notice("(there are older messages)")
        self._view.changed()
        for temp_id in list(self.pending):
            await self._post_message(temp_id)

    async def _ping(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(HEADS_INTERVAL)
                heads = {} if self._last is None else {"heads": {self.id: self._last}}
                await self._write(socket, {"type": "ping", **heads})

    # ------------------------------------------------------------------------------------------------- frames

    async def _receive(self, frame: Frame) -> None:
        if frame.get("conversationId", self.id) != self.id:
            return  # a notification about another conversation
        match frame["type"]:
            case "new_message":
                await self._message(frame["message"])
            case "message_updated":
                self._message_updated(frame)
            case "message_sent":
                self._own = max(self._own, frame["seq"])
                await self._acknowledged(frame.get("tempId"))
            case "message_error":
                await self._not_sent(frame)
            case "user_typing":
                self.typing[frame["userId"]] = frame["userName"]
            case "user_stopped_typing":
                self.typing.pop(frame["userId"], None)
            case "resync":
                await self._catch_up()
            case "pong":
                if frame.get("heads", {}).get(self.id, 0) > (self._last or 0):
                    await self._catch_up()
            case "conversation_updated":
                self._updated(frame)
            case "auth_error":
                self._refusal = frame["error"]  # the close that follows says whether to come back
            case "error":
                self._error(frame)
        self._view.changed()

    async def _message(self, message: Frame) -> None:
        if message["conversationId"] != self.id:
            return
        if self._last is not None and message["seq"] > self._last + 1:
            await self._catch_up()
        await self._show(message)

    async def _show(self, message: Frame) -> None:
        if self._last is not None and message["seq"] <= self._last:
            return
        self._last = message["seq"]
        self.shown[message["seq"]] = message
        while len(self.shown) > SHOWN:
            del self.shown[next(iter(self.shown))]
        self.typing.pop(message["senderId"], None)
        self._view.message(message, message["senderId"] == self.user_id)
        await self._acknowledged(message.get("tempId"))  # it is stored, or we would not see it

    def _message_updated(self, frame: Frame) -> None:
        message, number = frame["message"], frame["message"].get("changeSeq", 0)
        if message["conversationId"] != self.id:
            return
        self._change = max(self._change or 0, number)
        known = self.shown.get(message["seq"])
        if known is not None and known.get("changeSeq", 0) < number:
            self.shown[message["seq"]] = message
            self._view.updated(message, frame["change"])

    async def _catch_up(self) -> None:
        """Fetch what is missing after the last message shown. Live ones that come again are dropped by their seq."""
        more = True
        while more:
            page = await self._rest.messages_after(self.id, self._last or 0)
            for message in page["items"]:
                await self._show(message)
            more = page["hasMore"] and bool(page["items"])

    async def _acknowledged(self, temp_id: str | None) -> None:
        async with self._progress:
            self.pending.pop(temp_id or "", None)
            self._progress.notify_all()

    async def _not_sent(self, frame: Frame) -> None:
        temp_id = frame.get("tempId", "")
        if frame["retryable"] and temp_id in self.pending:
            self._soon(temp_id, frame.get("retryAfterMs", 1000) / 1000)
            return
        self._view.not_sent(frame["error"])
        await self._acknowledged(temp_id)

    def _soon(self, temp_id: str, delay: float) -> None:
        async def again() -> None:
            await asyncio.sleep(delay + backoff(1))
            await self._post_message(temp_id)

        task = asyncio.create_task(again())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _updated(self, frame: Frame) -> None:
        change, concerned = frame["updateType"], frame.get("userIds", [])
        if change == "deleted":
            raise CommandError("The conversation was deleted.")
        if change == "member_removed" and self.user_id in concerned:
            raise CommandError("You are no longer in this conversation.")
        names = ", ".join(member["userName"] for member in frame.get("members", []))
        match change:
            case "name_changed":
                self._view.notice(f"The conversation is called {frame.get('name')} now")
            case "member_added":
                self._view.notice(f"{names or len(concerned)} joined")
            case "member_removed":
                self._view.notice(f"{len(concerned)} left")

    def _error(self, frame: Frame) -> None:
        if frame.get("requestId") == "typing":
            return  # nothing is lost by it
        if frame.get("requestId") == "join":
            if frame["code"] in (ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED):
                raise Lost(frame["error"])
            raise CommandError(frame["error"])
        self._view.notice(frame["error"])

    # ------------------------------------------------------------------------------------------------ writing

    async def _post_message(self, temp_id: str) -> None:
        if temp_id in self.pending:
            message = {"conversationId": self.id, "tempId": temp_id, **self.pending[temp_id]}
            await self._post({"type": "send_message", **message})

    async def _post(self, frame: Frame) -> None:
        """To the joined connection; without one a message waits in `pending`, and typing is not worth waiting."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):  # the reader sees it too, and acts
                await self._write(self._socket, frame)

    @staticmethod
    async def _write(socket: ClientConnection, frame: Frame) -> None:
        await socket.send(json.dumps(frame, ensure_ascii=False))

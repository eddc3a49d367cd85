"""One conversation over the real protocol: what a client owes to its user, without any screen.

It joins and resumes, shows every message once and in order (`timeline`), keeps what is sent until it is stored
(`outgoing`), says whom it mentions, and marks as read what was shown while somebody looked.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from contracts import limits, rights
from contracts.conversation import ConversationType, Role
from contracts.errors import ErrorCode
from services.cli.changes import sentence
from services.cli.connection import Connection, Lost
from services.cli.gateway import CommandError, Rest
from services.cli.later import Later
from services.cli.mentions import Mentions, mentions_in
from services.cli.outgoing import Outgoing
from services.cli.people import People
from services.cli.reading import Reading
from services.cli.timeline import Timeline
from services.cli.view import View

Frame = dict[str, Any]
TYPING_RENEWAL = 5.0  # typing ends by itself after ten seconds
READ_DELAY = 0.3  # what is shown within it is marked as read together
READY_TIMEOUT = 5.0
NOT_CONNECTED = "Not connected; try again in a moment."
UNHEARD = ("typing", "read")  # requests of which nothing is lost when they are refused


class Left(Exception):
    """The user left, here or on another device."""


class Conversation:
    """One joined conversation. `run` keeps it up; everything else may be called meanwhile."""

    def __init__(self, found: Frame, urls: list[str], token: Callable[[str], Awaitable[str]], view: View) -> None:
        """`found` is the conversation as REST shows it; `urls` and `token` are those of a Connection."""
        self.id = str(found["id"])
        self.connected = False
        self.typing: dict[str, str] = {}  # user id → name
        self.user_id = ""
        self.people = People(found)
        self.reading = Reading(found["lastSeq"] - found["unreadCount"])
        self._kind: ConversationType = found["type"]
        self._role: Role = found["role"]
        self._view = view
        self._connection = Connection(urls, token, self)
        self._typed_at: float | None = None
        self._marking = False
        self._later = Later()
        self.timeline = Timeline(self._page_after, self._show, view.updated)
        self.outgoing = Outgoing(self._post, self._later)

    # ----------------------------------------------------------------------------------------- what one does

    async def send(self, content: str, **more: Any) -> str:
        """Send it, now or as soon as there is a connection. Returns its tempId."""
        meant = await self.meant(content)
        temp_id = self.outgoing.add(
            {
                "content": content,
                **({"mentions": meant.user_ids} if meant.user_ids else {}),
                **({"mentionAll": True} if meant.everybody else {}),
                **more,
            }
        )
        self._typed_at = None  # a message ends typing
        self._tell_status()
        await self.outgoing.post(temp_id)
        return temp_id

    async def meant(self, content: str) -> Mentions:
        """Whom a text mentions, as far as this user may; the user is told of what does not."""
        if "@" not in content:
            return Mentions()
        found = mentions_in(content, self.people.names())
        if found.unknown:
            with contextlib.suppress(CommandError):  # then they stay unknown
                await self.people.read(self.rest)
            found = mentions_in(content, self.people.names())
        for word in found.unclear:
            self.notice(f"Several people are called {word}: nobody is mentioned by it; write the whole name")
        if found.everybody and not rights.allows("mention_all", self._kind, await self._current_role()):
            self.notice("Only an admin mentions everybody here: @all is a word like any other")
            return replace(found, everybody=False)
        return found

    async def _current_role(self) -> Role:
        with contextlib.suppress(CommandError):  # then as it was
            self._role = (await self.call("GET"))["role"]
        return self._role

    async def ready(self) -> None:
        """Return once everything is shown that was there at the beginning. Raises CommandError if that takes long."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self.timeline.caught_up()
        except TimeoutError:
            raise CommandError(NOT_CONNECTED) from None

    async def ask(self, frame: Frame) -> None:
        """Ask for something that waits for no connection. Raises CommandError when there is none."""
        if not self.connected:
            raise CommandError(NOT_CONNECTED)
        await self._connection.post(frame)

    @property
    def rest(self) -> Rest:
        """The REST calls of this user, at the gateway of the connection."""
        return self._connection.rest

    async def call(self, method: str, *path: object, **options: Any) -> Frame:
        """A REST call under this conversation. Raises CommandError with the gateway's words."""
        return await self.rest.call(method, Rest.path("conversations", self.id, *path), **options)

    async def typed(self, text: bool) -> None:
        """The user is writing, or has emptied the line: told at most every few seconds. Whoever writes has read."""
        self._read_soon()
        now = asyncio.get_running_loop().time()
        if text and (self._typed_at is None or now - self._typed_at > TYPING_RENEWAL):
            self._typed_at = now
            await self._post({"type": "typing_start", "requestId": "typing"})
        elif not text and self._typed_at is not None:
            self._typed_at = None
            await self._post({"type": "typing_stop", "requestId": "typing"})

    # --------------------------------------------------------------------------------------------- connection

    async def run(self) -> None:
        """Until cancelled, or the user leaves the conversation.

        Raises:
            CommandError: when there is no use in trying again.
        """
        self._tell_status()
        try:
            await self._connection.run()
        except Left:
            self.notice("You left")
        finally:
            self._later.cancel()

    async def authenticated(self, user_id: str, history: str | None) -> None:
        """Join, or resume."""
        self.user_id = user_id
        if self.timeline.begin(history):
            self.notice("A backup was restored. What there is now:")
        where = {"conversationId": self.id, **self.timeline.resume()}
        await self._connection.post({"type": "join_conversation", "requestId": "join", **where})

    def lost(self) -> None:
        """Nothing of what follows is told."""
        self.connected = False
        self.typing.clear()
        self._tell_status()

    def notice(self, text: str) -> None:
        """Tell the user something."""
        self._view.notice(text)

    def ping(self) -> Frame:
        """The last message that is here."""
        return {} if self.timeline.last is None else {"heads": {self.id: self.timeline.last}}

    async def _joined(self, frame: Frame) -> None:
        self.connected = True
        self._connection.works()
        if frame["hasMore"] and self.timeline.last is None:  # else they are fetched
            self.notice("(there are older messages)")
        self.timeline.joined(frame)
        await self.outgoing.again()
        self._read_soon()

    # ------------------------------------------------------------------------------------------------- frames

    async def received(self, frame: Frame) -> None:
        """What the gateway says."""
        about = frame["message"]["conversationId"] if "message" in frame else frame.get("conversationId", self.id)
        if about != self.id:
            self._elsewhere(frame)
            return
        match frame["type"]:
            case "joined_conversation":
                await self._joined(frame)
            case "new_message":
                await self.timeline.message(frame["message"])
            case "message_updated":
                self.timeline.updated(frame["message"], frame["change"])
            case "message_sent":
                await self.outgoing.sent(frame)
            case "message_error":
                if await self.outgoing.refused(frame):
                    self._view.not_sent(frame["error"])
            case "read_receipt" if frame["userId"] == self.user_id:
                self.reading.read(frame["seq"])
            case "presence" if frame.get("requestId") == "presence":
                self.notice(f"Others see you {frame['status']}")
            case "user_typing":
                self.typing[frame["userId"]] = frame["userName"]
            case "user_stopped_typing":
                self.typing.pop(frame["userId"], None)
            case "resync" if "lastChange" in frame:
                await self.timeline.refresh(frame["lastChange"])
            case "resync":
                await self.timeline.catch_up()
            case "pong" if frame.get("heads", {}).get(self.id, 0) > (self.timeline.last or 0):
                await self.timeline.catch_up()
            case "conversation_updated":
                self._updated(frame)
            case "error":
                self._error(frame)
        self._tell_status()

    async def _page_after(self, seq: int) -> Frame:
        return await self.call("GET", "messages", params={"afterSeq": seq, "limit": limits.HISTORY_PAGE})

    async def _show(self, message: Frame) -> None:
        seq = message["seq"]
        self.typing.pop(message["senderId"], None)
        self.people.spoke(message)
        own, mentioned = message["senderId"] == self.user_id, self._mentions_me(message)
        if own:
            self.reading.read(seq)  # sending marks as read
        elif self.reading.begins_unread(seq, seen=self._view.seen() and seq > self.timeline.head):
            self._view.unread()
        self._view.message(message, own, mentioned)
        if mentioned and seq > self.reading.mark:
            self._view.ring()
        self._read_soon()
        await self.outgoing.shown(message)

    def _mentions_me(self, message: Frame) -> bool:
        """Whether somebody else's message means this user."""
        meant = message.get("mentionAll", False) or self.user_id in message.get("mentions", ())
        return meant and message["senderId"] != self.user_id

    def _elsewhere(self, frame: Frame) -> None:
        if frame["type"] != "notification":
            return
        where = frame["conversationName"] or "a conversation without a name"
        match frame["kind"]:
            case "mention":
                self.notice(f"{frame['senderName']} mentions you in {where}: {frame.get('preview', '')}")
                self._view.ring()
            case "added":
                self.notice(f"You were added to {where}")

    def _updated(self, frame: Frame) -> None:
        change, actor, concerned = frame["updateType"], frame.get("actorId"), frame.get("userIds", [])
        if change == "deleted":
            raise CommandError("The conversation was deleted.")
        if change == "member_removed" and self.user_id in concerned:
            if actor == self.user_id:
                raise Left
            raise CommandError("You are no longer in this conversation.")
        self.people.told(frame)
        if words := sentence(change, actor, frame, self.people.name):
            self.notice(words)

    def _error(self, frame: Frame) -> None:
        if frame.get("requestId") in UNHEARD:
            return
        if frame.get("requestId") == "join":
            if frame["code"] in (ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED):
                raise Lost(frame["error"])
            raise CommandError(frame["error"])
        self.notice(frame["error"])

    # ------------------------------------------------------------------------------------------------ writing

    def _read_soon(self) -> None:
        """Mark as read what is shown, if somebody looks."""
        if not self._marking and (self.timeline.last or 0) > self.reading.mark and self._view.seen():
            self._marking = True
            self._later.soon(READ_DELAY, self._mark_read)

    async def _mark_read(self) -> None:
        self._marking = False
        # Its answer moves our mark; without one, the next message or key asks again.
        await self._post({"type": "mark_read", "requestId": "read", "seq": self.timeline.last})

    def _tell_status(self) -> None:
        self._view.status(self.connected, len(self.outgoing.pending), self.typing.values())

    async def _post(self, frame: Frame) -> None:
        """To the joined connection; without one a message waits in `outgoing`, and typing is not worth waiting."""
        if self.connected:
            await self._connection.post({"conversationId": self.id, **frame})

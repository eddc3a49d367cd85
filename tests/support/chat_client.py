"""A browser for the tests, written from `docs/protocol.md` alone, so that it agrees with nobody's mistakes.

rest = Rest(gateway_url)
token = await rest.token("Alice")
async with ChatClient.connect(ws_url, token=token) as alice:
    await alice.join(conversation_id)
    sent = await alice.send(conversation_id, "hello")
    await alice.expect("new_message", message={"seq": sent["seq"]})
    alice.check_order()
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
TIMEOUT = 5.0
CLOSED_ABNORMALLY = 1006  # RFC 6455, section 7.1.5: the connection broke without a close frame


class SendRefused(Exception):
    """A `message_error`, or an `error`, instead of what was asked for. `frame` is all of it."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame.get('code')}: {frame.get('error')}")
        self.frame = frame

    @property
    def code(self) -> str:
        """The error code."""
        return str(self.frame.get("code"))


class ConnectionEnded(Exception):
    """The connection closed while a frame was awaited."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class ChatClient:
    """One connection. Frames that nobody has expected yet stay queued; all are in `received`, in their order.

    Attributes:
        received: every frame so far.
        seqs: per conversation the seq of every `new_message`, in the order received.
        user_id, user_name, connection_id: from `authenticated`.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.received: list[Frame] = []
        self.seqs: dict[str, list[int]] = defaultdict(list)
        self.user_id = ""
        self.user_name = ""
        self.connection_id = ""
        self._socket = socket
        self._waiting: list[Frame] = []
        self._end: tuple[int, str] | None = None
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, ws_url: str, token: str | None = None, origin: str | None = None, **options: Any
    ) -> AsyncIterator[Self]:
        """Connect, and authenticate when a token is given. `options` go to `websockets`."""
        # No proxy, no compression, no pings of ours: tests see what the server does by itself.
        defaults: dict[str, Any] = {"compression": None, "proxy": None, "ping_interval": None, "close_timeout": 2}
        headers = {"Origin": origin} if origin is not None else None
        async with connect(ws_url, additional_headers=headers, max_size=None, **(defaults | options)) as socket:
            client = cls(socket)
            try:
                if token is not None:
                    await client.authenticate(token)
                yield client
            finally:
                await client.close()

    # --------------------------------------------------------------------------------------------- asking

    async def post(self, frame: Frame | str | bytes) -> None:
        """Send this frame as it is; a text goes unencoded, for what is not JSON."""
        try:
            await self._socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)
        except ConnectionClosed as closed:
            raise ConnectionEnded(*_end_of(closed)) from None

    async def authenticate(self, token: str) -> Frame:
        """Authenticate, or renew. Raises SendRefused on `auth_error`."""
        await self.post({"type": "authenticate", "token": token})
        answer = await self._take(lambda f: f["type"] in ("authenticated", "auth_error"), "authenticated")
        if answer["type"] == "auth_error":
            raise SendRefused(answer)
        self.user_id, self.user_name = answer["userId"], answer["userName"]
        self.connection_id = answer["connectionId"]
        return answer

    async def join(
        self, cid: str, after_seq: int | None = None, limit: int | None = None, after_change: int | None = None
    ) -> Frame:
        """Join and return `joined_conversation`; the messages after it are `new_message` frames.

        Raises:
            SendRefused: on `error`.
        """
        optional = {"afterSeq": after_seq, "limit": limit, "afterChange": after_change}
        return await self.ask(
            {
                "type": "join_conversation",
                "conversationId": cid,
                **{name: value for name, value in optional.items() if value is not None},
            },
            "joined_conversation",
        )

    async def leave(self, cid: str) -> Frame:
        """Leave and return `left_conversation`."""
        return await self.ask({"type": "leave_conversation", "conversationId": cid}, "left_conversation")

    async def ping(self, heads: dict[str, int] | None = None, changes: dict[str, int] | None = None) -> Frame:
        """The application's ping; returns `pong`."""
        held = {name: value for name, value in (("heads", heads), ("changes", changes)) if value is not None}
        return await self.ask({"type": "ping", **held}, "pong")

    async def change(self, type: str, cid: str, message_id: str, **fields: Any) -> Frame:
        """`edit_message`, `delete_message`, `add_reaction`, `remove_reaction`; returns `message_updated`.

        Raises:
            SendRefused: on `error`.
        """
        frame = {"type": type, "conversationId": cid, "messageId": message_id, **fields}
        return await self.ask(frame, "message_updated", timeout=15)

    async def edit(self, cid: str, message_id: str, content: str) -> Frame:
        """Another content."""
        return await self.change("edit_message", cid, message_id, content=content)

    async def delete(self, cid: str, message_id: str) -> Frame:
        """Empty it."""
        return await self.change("delete_message", cid, message_id)

    async def react(self, cid: str, message_id: str, emoji: str, present: bool = True) -> Frame:
        """Put an emoji on it, or take it back."""
        return await self.change("add_reaction" if present else "remove_reaction", cid, message_id, emoji=emoji)

    async def ask(self, frame: Frame, answer: str, timeout: float = TIMEOUT) -> Frame:
        """Send a frame with a `requestId` and return the answer that echoes it.

        Raises:
            SendRefused: when the answer is an `error`.
        """
        request_id = uuid4().hex
        await self.post({**frame, "requestId": request_id})
        found = await self._take(lambda f: f.get("requestId") == request_id, answer, timeout)
        if found["type"] != answer:
            raise SendRefused(found)
        return found

    async def send(
        self, cid: str, content: str, temp_id: str | None = None, *, timeout: float = 15, **more: Any
    ) -> Frame:
        """Send a message and return its `message_sent`.

        `timeout` is longer than the server's own (10 s), so that its TIMEOUT is seen as such.

        Raises:
            SendRefused: on `message_error`, or on `error` where the frame was refused as a whole.
        """
        temp_id = temp_id if temp_id is not None else uuid4().hex
        await self.post({"type": "send_message", "conversationId": cid, "content": content, "tempId": temp_id, **more})
        request_id = more.get("requestId")

        def answers(frame: Frame) -> bool:
            if frame["type"] in ("message_sent", "message_error"):
                return bool(frame.get("tempId") == temp_id)
            return frame["type"] == "error" and frame.get("requestId") == request_id

        answer = await self._take(answers, f"the answer to {temp_id}", timeout)
        if answer["type"] != "message_sent":
            raise SendRefused(answer)
        return answer

    async def typing(self, cid: str, active: bool = True) -> None:
        """Say that this user types, or no longer does. It has no answer."""
        await self.post({"type": "typing_start" if active else "typing_stop", "conversationId": cid})

    async def close(self, code: int = 1000) -> None:
        """Close, and wait until that is done."""
        await self._socket.close(code)
        await self._reading

    def drop(self) -> None:
        """Break the TCP connection without a word, as a lost network does."""
        self._socket.transport.abort()

    def garble(self) -> None:
        """Send what no frame begins with."""
        self._socket.transport.write(b"\xff\xff")

    # ------------------------------------------------------------------------------------------- awaiting

    async def expect(self, type: str, timeout: float = TIMEOUT, **fields: Any) -> Frame:
        """The next frame of this type with these fields; all others stay queued. A dict needs to match in part.

        Raises:
            AssertionError: when none came in time, with what came instead.
            ConnectionEnded: when the connection closed first.
        """
        wanted = {"type": type, **fields}
        return await self._take(lambda frame: _matches(frame, wanted), str(wanted), timeout)

    async def expect_messages(self, cid: str, count: int, timeout: float = TIMEOUT) -> list[Frame]:
        """The next `count` messages of a conversation (what is in `message`)."""
        frames = [await self.expect("new_message", timeout, message={"conversationId": cid}) for _ in range(count)]
        return [frame["message"] for frame in frames]

    async def nothing(self, type: str, within: float = 0.5, **fields: Any) -> None:
        """Nothing of this type with these fields is queued, or comes within so many seconds."""
        wanted = {"type": type, **fields}
        try:
            frame = await self._take(lambda f: _matches(f, wanted), str(wanted), within)
        except (AssertionError, ConnectionEnded):
            return
        raise AssertionError(f"{frame} came, and should not have")

    async def closed(self, timeout: float = TIMEOUT) -> tuple[int, str]:
        """Wait until the server has closed, and return code and reason (1006 when it broke off)."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._reading)
        except TimeoutError:
            raise AssertionError(f"still open after {timeout} s") from None
        assert self._end is not None
        return self._end

    @property
    def queued(self) -> list[Frame]:
        """What nobody has expected yet."""
        return list(self._waiting)

    # ------------------------------------------------------------------------------------------- asserting

    def messages(self, cid: str) -> list[Frame]:
        """All messages of a conversation so far, in the order received."""
        return [
            frame["message"]
            for frame in self.received
            if frame["type"] == "new_message" and frame["message"]["conversationId"] == cid
        ]

    def contents(self, cid: str) -> list[str]:
        """Their contents."""
        return [message["content"] for message in self.messages(cid)]

    def changes(self, cid: str) -> list[Frame]:
        """Every `message_updated` of a conversation so far, in the order received."""
        return [
            frame
            for frame in self.received
            if frame["type"] == "message_updated" and frame["message"]["conversationId"] == cid
        ]

    def state(self, cid: str) -> dict[int, Frame]:
        """Each message of a conversation by its seq, as it is after all frames; without `replies`, of which none tell."""
        held: dict[int, Frame] = {}
        for frame in self.received:
            message = frame.get("message", {})
            if frame["type"] not in ("new_message", "message_updated") or message["conversationId"] != cid:
                continue
            known = held.get(message["seq"])
            if known is None or message.get("changeSeq", 0) >= known.get("changeSeq", 0):
                held[message["seq"]] = {
                    name: value for name, value in message.items() if name not in ("tempId", "replies")
                }
        return held

    def last_change(self, cid: str) -> int:
        """Up to which change it knows everything, when all that follows its joins has come."""
        joins = [frame.get("lastChange", 0) for frame in self.received if frame.get("conversationId") == cid]
        return max([0, *joins, *(frame["message"].get("changeSeq", 0) for frame in self.changes(cid))])

    def check_order(self, cid: str | None = None) -> None:
        """The seqs received rise, without holes and without repeats; of one conversation, or of each."""
        for conversation, seqs in self.seqs.items():
            if cid not in (None, conversation) or not seqs:
                continue
            complete = list(range(seqs[0], seqs[0] + len(seqs)))
            assert seqs == complete, f"{self.user_name} in {conversation}: {_first_fault(seqs)}"

    def check_complete(self, cid: str, first: int, last: int) -> None:
        """Exactly the seqs from `first` to `last` were received, in order."""
        assert self.seqs[cid] == list(range(first, last + 1)), (
            f"{self.user_name} in {cid}: {first}..{last} expected, got {self.seqs[cid]}"
        )

    # ------------------------------------------------------------------------------------------- internals

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                await self._receive(json.loads(text))
            self._end = self._socket.close_code or CLOSED_ABNORMALLY, self._socket.close_reason or ""
        except ConnectionClosed as closed:
            self._end = _end_of(closed)
        finally:
            # Also when a frame was not JSON: whoever waits must not wait for ever.
            self._end = self._end or (CLOSED_ABNORMALLY, "the client stopped reading")
            async with self._news:
                self._news.notify_all()

    async def _receive(self, frame: Frame) -> None:
        self.received.append(frame)
        if frame["type"] == "new_message":
            self.seqs[frame["message"]["conversationId"]].append(frame["message"]["seq"])
        async with self._news:
            self._waiting.append(frame)
            self._news.notify_all()

    async def _take(self, wanted: Callable[[Frame], bool], what: str, timeout: float = TIMEOUT) -> Frame:
        def found() -> Frame | None:
            return next((frame for frame in self._waiting if wanted(frame)), None)

        frame: Frame | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: found() is not None or self._end is not None)
                frame = found()
                if frame is not None:
                    self._waiting.remove(frame)
        if frame is not None:
            return frame
        if self._end is not None:
            raise ConnectionEnded(*self._end)
        raise AssertionError(f"no {what} within {timeout} s; queued: {self._waiting[-10:]}")


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(value, dict):
        return all(name in value and _matches(value[name], part) for name, part in wanted.items())
    return bool(value == wanted)


def _end_of(closed: ConnectionClosed) -> tuple[int, str]:
    return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (CLOSED_ABNORMALLY, "")


def _first_fault(seqs: list[int]) -> str:
    for before, seq in pairwise(seqs):
        if seq != before + 1:
            return f"{before} was followed by {seq}"
    return "in order"


class Rest:
    """The REST calls, as one user: `Rest(url, token)`, or `Rest(url)` and then `await rest.login("Alice")`.

    Calls raise httpx.HTTPStatusError where they are refused; `http` is there for what is to be refused.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        # No proxy from the environment: the gateway is near.
        self.http = httpx.AsyncClient(base_url=url, timeout=20, trust_env=False)
        self.user_id = ""
        if token is not None:
            self.use(token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def use(self, token: str) -> None:
        """Call as this token's user from now on."""
        self.http.headers["Authorization"] = f"Bearer {token}"

    async def token(self, name: str, user_id: str | None = None) -> str:
        """A development token, without using it; `user_id` names the user beside the derived one."""
        body = {"userName": name, **({"userId": user_id} if user_id else {})}
        answer = await self._call("POST", "/api/dev/token", json=body)
        return str(answer["token"])

    async def login(self, name: str, user_id: str | None = None) -> str:
        """Get a development token, call as this user from now on, and return the token."""
        body = {"userName": name, **({"userId": user_id} if user_id else {})}
        answer = await self._call("POST", "/api/dev/token", json=body)
        self.use(answer["token"])
        self.user_id = answer["userId"]
        return str(answer["token"])

    async def me(self) -> Frame:
        """The caller."""
        return await self._call("GET", "/api/me")

    async def users(self, query: str = "") -> Frame:
        """People."""
        return await self._call("GET", "/api/users", params={"query": query})

    async def create_conversation(self, member_ids: list[str], name: str | None = "room", type: str = "group") -> Frame:
        """A new conversation with these members and the caller; `name` is left out of a direct one."""
        body: Frame = {"type": type, "memberIds": member_ids}
        if name is not None and type != "direct":
            body["name"] = name
        return await self._call("POST", "/api/conversations", json=body)

    async def conversations(self, **query: Any) -> Frame:
        """A page of the caller's conversations."""
        return await self._call("GET", "/api/conversations", params=query)

    async def conversation(self, cid: str) -> Frame:
        """One conversation."""
        return await self._call("GET", f"/api/conversations/{cid}")

    async def rename(self, cid: str, name: str) -> Frame:
        """Another name."""
        return await self._call("PATCH", f"/api/conversations/{cid}", json={"name": name})

    async def delete(self, cid: str) -> None:
        """Delete a conversation."""
        await self._call("DELETE", f"/api/conversations/{cid}")

    async def members(self, cid: str, **query: Any) -> Frame:
        """A page of its members."""
        return await self._call("GET", f"/api/conversations/{cid}/members", params=query)

    async def add_members(self, cid: str, user_ids: list[str]) -> Frame:
        """Bring people in."""
        return await self._call("POST", f"/api/conversations/{cid}/members", json={"userIds": user_ids})

    async def remove_member(self, cid: str, user_id: str) -> None:
        """Take somebody out, or leave."""
        await self._call("DELETE", f"/api/conversations/{cid}/members/{user_id}")

    async def messages(self, cid: str, **query: Any) -> Frame:
        """A page of messages: `beforeSeq`, `afterSeq`, `limit`."""
        return await self._call("GET", f"/api/conversations/{cid}/messages", params=query)

    async def all_messages(self, cid: str) -> list[Frame]:
        """Every message of a conversation, page after page."""
        found: list[Frame] = []
        while True:
            page = await self.messages(cid, afterSeq=found[-1]["seq"] if found else 0, limit=200)
            found += page["items"]
            if not page["hasMore"]:
                return found

    async def send(self, cid: str, content: str, key: str | None = None, **more: Any) -> Frame:
        """Send without a socket; `key` is the Idempotency-Key."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"content": content, **more}
        return await self._call("POST", f"/api/conversations/{cid}/messages", json=body, headers=headers)

    async def message(self, cid: str, message_id: str) -> Frame:
        """One message."""
        return await self._call("GET", f"/api/conversations/{cid}/messages/{message_id}")

    async def edit(self, cid: str, message_id: str, content: str) -> Frame:
        """Another content; the message after it."""
        return await self._call("PATCH", f"/api/conversations/{cid}/messages/{message_id}", json={"content": content})

    async def delete_message(self, cid: str, message_id: str) -> None:
        """Empty a message."""
        await self._call("DELETE", f"/api/conversations/{cid}/messages/{message_id}")

    async def react(self, cid: str, message_id: str, emoji: str, present: bool = True) -> Frame:
        """Put an emoji on a message, or take it back; the message after it."""
        path = f"/api/conversations/{cid}/messages/{message_id}/reactions/{quote(emoji)}"
        return await self._call("PUT" if present else "DELETE", path)

    async def edits(self, cid: str, message_id: str, **query: Any) -> Frame:
        """A page of what a message said before."""
        return await self._call("GET", f"/api/conversations/{cid}/messages/{message_id}/edits", params=query)

    async def mark_read(self, cid: str, seq: int) -> Frame:
        """How far this user has read after it."""
        return await self._call("POST", f"/api/conversations/{cid}/read", json={"seq": seq})

    async def readers(self, cid: str, message_id: str) -> list[str]:
        """The ids of those who have read a message."""
        page = await self._call("GET", f"/api/conversations/{cid}/messages/{message_id}/readers")
        return [person["userId"] for person in page["items"]]

    async def _call(self, method: str, path: str, **options: Any) -> Frame:
        answer = await self.http.request(method, path, **options)
        if answer.is_error:
            # The problem's words belong into the failure of a test.
            raise httpx.HTTPStatusError(
                f"{method} {path}: {answer.status_code} {answer.text}", request=answer.request, response=answer
            )
        return dict(answer.json()) if answer.content else {}

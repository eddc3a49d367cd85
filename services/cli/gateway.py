"""Where the gateways are, and the REST calls that the commands need."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from contracts import limits

FALLBACK = "http://127.0.0.1:3000"
TIMEOUT = 15.0
CONVERSATIONS = 10_000  # of one person, among which a name is looked for


class CommandError(Exception):
    """The command cannot be carried out; the message is for the person who typed it."""


def gateway_urls(given: str | None) -> list[str]:
    """The gateways to use: that of the option or PALABRE_URL, else those of `make run`, else the default port."""
    if given:
        return [given.rstrip("/")]
    try:
        state = json.loads((Path(os.environ.get("RUN_DIR") or ".run") / "state.json").read_text())
        return [gateway["url"] for gateway in state["gateways"]] or [FALLBACK]
    except (OSError, ValueError, LookupError, TypeError):
        return [FALLBACK]


def websocket_url(url: str) -> str:
    """`http://host:3000` → `ws://host:3000/ws/chat`."""
    return f"ws{url.removeprefix('http')}/ws/chat"


def uses_proxy(url: str) -> bool:
    """Whether the environment's proxies apply: not to this machine itself."""
    return urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost")


class Rest:
    """REST calls to one gateway. All raise CommandError with the gateway's own words."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token

    @staticmethod
    def path(*parts: object) -> str:
        """`conversations`, an id, … → `/api/conversations/…`, each part quoted."""
        return "/".join(("/api", *(quote(str(part), safe="") for part in parts)))

    async def development_token(self, name: str) -> str:
        """A token for this name, where the operator gives them to anybody."""
        try:
            answer = await self.call("POST", "/api/dev/token", json={"userName": name})
        except NotFound:
            raise CommandError(
                f"{self.url} gives no development tokens (AUTH_DEV is off); pass one of your identity provider"
            ) from None
        return str(answer["token"])

    async def conversation(self, wanted: str) -> dict[str, Any]:
        """The conversation with this id, else the caller's only one with this name."""
        if len(wanted) <= limits.ID_LENGTH:
            try:
                return await self.call("GET", self.path("conversations", wanted))
            except NotFound:
                pass  # then it is a name
        mine = await self.items("/api/conversations", CONVERSATIONS, limit=limits.LIST_PAGE)
        found = [c for c in mine if wanted.casefold() in _names(c)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise CommandError(f"You are in no conversation with the id or name {wanted!r}.")
        ids = "\n".join(f"  {c['id']}  {c['memberCount']} members" for c in found)
        raise CommandError(f"Several of your conversations are called {wanted!r}; use an id:\n{ids}")

    async def items(self, path: str, at_most: int, **query: Any) -> list[dict[str, Any]]:
        """What a list has, page after page, up to about so many."""
        items: list[dict[str, Any]] = []
        while len(items) < at_most:
            page = await self.call("GET", path, params=query)
            items += page["items"]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
        return items

    async def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """What the gateway answers; `options` are those of httpx."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            async with httpx.AsyncClient(
                base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=uses_proxy(self.url)
            ) as client:
                answer = await client.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.url} does not answer: {str(error) or type(error).__name__}") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(_detail(answer))
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unreachable(_detail(answer))
        if answer.is_error:
            raise CommandError(_detail(answer))
        return dict(answer.json()) if answer.content else {}


class NotFound(CommandError):
    """The gateway answered 404."""


class Unreachable(CommandError):
    """No gateway there, or one that is not well: later it may be."""


def _names(conversation: dict[str, Any]) -> set[str]:
    """What people call it: its name; a direct one by the name of either person."""
    if conversation["type"] == "direct":
        return {member["userName"].casefold() for member in conversation["members"]}
    return {(conversation["name"] or "").casefold()}


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}"

"""What `make run` prints when all is ready: the addresses, two people's tokens, and a command that chats."""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

ROOM = "Palabre"


@dataclass(frozen=True)
class Room:
    """A conversation with two people in it, ready to be chatted in."""

    conversation_id: str
    tokens: dict[str, str]


async def prepare_room(gateway: str) -> Room | None:
    """Make the conversation, or find that of an earlier run. None where development tokens are off."""
    async with httpx.AsyncClient(base_url=gateway, timeout=15, trust_env=False) as client:
        alice = await client.post("/api/dev/token", json={"userName": "Alice"})
        if alice.status_code == httpx.codes.NOT_FOUND:
            return None
        bob = await client.post("/api/dev/token", json={"userName": "Bob"})
        people = {"Alice": _body(alice), "Bob": _body(bob)}
        client.headers["Authorization"] = f"Bearer {people['Alice']['token']}"
        room = await _find_room(client) or _body(
            await client.post(
                "/api/conversations",
                json={"type": "group", "name": ROOM, "memberIds": [people["Bob"]["userId"]]},
            )
        )
    return Room(room["id"], {name: person["token"] for name, person in people.items()})


async def _find_room(client: httpx.AsyncClient) -> dict[str, Any] | None:
    cursor: str | None = None
    while True:
        params = {"cursor": cursor} if cursor else {}
        page = _body(await client.get("/api/conversations", params=params))
        for conversation in page["items"]:
            if conversation["name"] == ROOM and conversation["type"] == "group":
                return dict(conversation)
        cursor = page["nextCursor"]
        if not cursor:
            return None


def _body(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    return dict(response.json())


def addresses(state: dict[str, Any], logs: Path) -> str:
    gateways = [f"  gateway   {g['url']}   {g['ws']}   {g['url']}/api/docs" for g in state["gateways"]]
    return "\n".join(
        [
            "\nPalabre is running. Ctrl-C stops it.\n",
            f"  Open      {state['gateways'][0]['url']}/   (a second tab is a second person)\n",
            *gateways,
            f"  workers   {len(state['persisters'])} persister(s), {len(state['notifiers'])} notifier(s)",
            f"  RabbitMQ  {_without_password(state['rabbitmq']['url'])}",
            f"  MongoDB   {_without_password(state['mongodb']['url'])}",
            f"  logs      {logs}  (warnings and errors appear here too)\n",
        ]
    )


def invitation(room: Room | None, gateways: list[str]) -> str:
    """Each person is sent to another gateway, since that is what Palabre is about."""
    if room is None:
        return "  No development tokens, since AUTH_DEV is off: use those of your identity provider.\n"
    return "\n".join(
        [
            *(f"  {name}'s token\n    {token}\n" for name, token in room.tokens.items()),
            "  Chat, each in a terminal of their own:",
            *(
                f"    .venv/bin/palabre chat {room.conversation_id} --as {name} --url {gateway}"
                for name, gateway in zip(room.tokens, cycle(gateways), strict=False)
            ),
            "",
        ]
    )


def _without_password(url: str) -> str:
    address = httpx.URL(url)
    if not address.password or address.username == "guest":
        return url
    return url.replace(f":{address.password}@", ":***@", 1)

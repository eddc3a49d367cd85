"""What somebody types in the terminal becomes a message, or what the protocol has for it."""

from typing import Any

import pytest

from services.cli import conversation
from services.cli.commands.command import Chat, Elsewhere, Quit
from services.cli.commands.table import COMMANDS, act, complete
from services.cli.conversation import Conversation
from services.cli.mentions import Mentions

Frame = dict[str, Any]
FOUND: Frame = {
    "id": "c",
    "type": "group",
    "lastSeq": 4,
    "unreadCount": 0,
    "role": "admin",
    "members": [
        {"userId": "me", "userName": "Alice Martin", "role": "admin"},
        {"userId": "bob", "userName": "Bob", "role": "member"},
    ],
}
SAID = {"createdAt": "2026-11-24T12:34:56.789Z", "senderName": "Somebody"}
SHOWN: list[Frame] = [
    {"id": "m1", "senderId": "me", "content": "one"},
    {"id": "m2", "senderId": "bob", "content": "two", "reactions": {"👍": ["me"]}},
    {"id": "m3", "senderId": "me", "content": "three"},
    {"id": "m4", "senderId": "me", "content": "", "isDeleted": True},
]


class Silent:
    """Nothing is shown."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: False


class Asked(Conversation):
    """Writes down what it is asked for."""

    def __init__(self) -> None:
        async def token(_: str) -> str:
            return "token"

        super().__init__(FOUND, ["http://127.0.0.1:1"], token, Silent())
        self.user_id = "me"
        self.timeline.shown = {seq: {**SAID, **message, "seq": seq} for seq, message in enumerate(SHOWN, 1)}
        self.asked: list[Any] = []
        self.said: list[str] = []

    async def send(self, content: str, **more: Any) -> str:
        self.asked.append({"type": "send_message", "content": content, **more})
        return "t"

    async def meant(self, content: str) -> Mentions:
        return Mentions(("bob",)) if "@Bob" in content else Mentions()

    async def ask(self, frame: Frame) -> None:
        self.asked.append(frame)

    async def call(self, method: str, *path: object, **options: Any) -> Frame:
        self.asked.append((method, *path, *options.values()))
        return {"items": [], "nextCursor": None, "hasMore": False, "muted": False, "archived": True}

    def notice(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def asked() -> Asked:
    """All there is was shown."""
    asked = Asked()
    asked.timeline.joined({"lastSeq": 0, "firstSeq": None})
    return asked


def change(kind: str, message_id: str, **fields: Any) -> Frame:
    return {"type": kind, "conversationId": "c", "messageId": message_id, **fields}


def edited(message_id: str, content: str, *mentions: str) -> Frame:
    return change("edit_message", message_id, content=content, mentions=mentions, mentionAll=False)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/edit new text", edited("m3", "new text")),
        ("/edit 2  older one ", edited("m1", "older one")),
        ("/edit #1 ask @Bob", edited("m1", "ask @Bob", "bob")),
        ("/delete", change("delete_message", "m3")),
        ("/delete 2", change("delete_message", "m1")),
        ("/delete #2", change("delete_message", "m2")),
        ("/react 🎉", change("add_reaction", "m4", emoji="🎉")),
        ("/react 👍 3", change("remove_reaction", "m2", emoji="👍")),
        ("/reply 3 indeed", {"type": "send_message", "replyTo": "m2", "content": "indeed"}),
        ("/reply so it is", {"type": "send_message", "replyTo": "m4", "content": "so it is"}),
        ("/thread 3", ("GET", "messages", "m2", "replies", {"limit": 200})),
        ("/history #3", ("GET", "messages", "m3", "edits")),
        ("/seen", ("GET", "messages", "m4", "readers")),
        ("/pin 2", ("PUT", "pins", "m3")),
        ("/unpin 2", ("DELETE", "pins", "m3")),
        ("/pins", ("GET", "pins")),
        ("/goto #3", ("GET", "messages", {"aroundSeq": 3, "limit": 11})),
        ("/busy", {"type": "set_presence", "requestId": "presence", "status": "busy"}),
        ("/remove bob", ("DELETE", "members", "bob")),
        ("/admin @Bob", ("PATCH", "members", "bob", {"role": "admin"})),
        ("/member alice", ("PATCH", "members", "me", {"role": "member"})),
        ("/rename Saturday walk", ("PATCH", {"name": "Saturday walk"})),
        ("/mute", ("PATCH", "me", {"muted": True})),
        ("/archive", ("PATCH", "me", {"archived": False})),
        ("/close", ("PATCH", {"closed": True})),
        ("/reopen", ("PATCH", {"closed": False})),
        ("/public", ("PATCH", {"public": True})),
        ("/private", ("PATCH", {"public": False})),
        ("/audit", ("GET", "audit", {"limit": 30})),
    ],
)
async def test_commands(asked: Asked, line: str, wanted: Any) -> None:
    await act(Chat(asked), line)
    assert asked.asked[-1] == wanted


@pytest.mark.parametrize(
    "line",
    [
        *("/edit", "/edit 2", "/delete now", "/react", "/react 🎉 x", "/reply", "/reply 3", "/seen 1 2", "/pins all"),
        *("/search", "/goto x", "/who else", "/add", "/remove", "/rename", "/close it", "/join", "/open", "/quit now"),
    ],
)
async def test_what_is_missing_is_said(asked: Asked, line: str) -> None:
    await act(Chat(asked), line)
    command = COMMANDS[line.split()[0]]
    assert asked.asked == []
    assert asked.said == [f"{command.name} {command.arguments}".rstrip() + f": {command.help}"]


@pytest.mark.parametrize("line", ["/edit 9 x", "/edit 3 x", "/delete 3", "/delete 0", "/thread 5", "/reply 0 x"])
async def test_a_message_that_is_not_there(asked: Asked, line: str) -> None:
    await act(Chat(asked), line)
    assert (asked.asked, asked.said) == ([], ["There is no such message on the screen."])


async def test_a_message_that_is_not_on_the_screen_is_asked_for(asked: Asked) -> None:
    await act(Chat(asked), "/pin #7")
    assert asked.asked == [("GET", "messages", {"afterSeq": 6, "limit": 1})]
    assert asked.said == ["There is no message #7 here."]


@pytest.mark.parametrize("line", ["hello", "/usr/bin", "// comment", " /edit is what I typed", "/Edit", "/2"])
async def test_anything_else_is_a_message(asked: Asked, line: str) -> None:
    await act(Chat(asked), line)
    assert asked.asked == [{"type": "send_message", "content": line}]


async def test_an_unknown_command_is_not_said_to_everybody(asked: Asked) -> None:
    await act(Chat(asked), "/edt hello")
    assert asked.asked == []
    assert "/help" in asked.said[0]


async def test_somebody_who_is_not_here(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody_else(*_: object) -> list[Frame]:
        return []

    monkeypatch.setattr(asked.people, "read", nobody_else)
    await act(Chat(asked), "/remove Carol")
    assert (asked.asked, asked.said) == ([], ["Nobody here is called Carol."])


async def test_without_a_connection_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "READY_TIMEOUT", 0)
    unconnected = Asked()
    await act(Chat(unconnected), "/channels")
    assert unconnected.said == ["Not connected; try again in a moment."]


async def test_help_prints_the_whole_table(asked: Asked) -> None:
    await act(Chat(asked), "/help")
    lines = asked.said[0].splitlines()[1:-1]
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(line.endswith(command.help) for line, command in zip(lines, COMMANDS.values(), strict=True))


async def test_the_end_of_a_chat(asked: Asked) -> None:
    with pytest.raises(Quit):
        await act(Chat(asked), "/quit ")
    with pytest.raises(Quit):
        await act(Chat(asked), "/leave")
    assert asked.asked == [("DELETE", "members", "me")]


async def test_a_hit_leads_to_where_it_was_said(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def elsewhere(*_: object) -> Frame:
        return {"id": "d"}

    monkeypatch.setattr(asked.rest, "call", elsewhere)
    chat = Chat(asked, [{"conversationId": "c", "message": {"seq": 9}}, {"conversationId": "d", "message": {"seq": 5}}])
    await act(chat, "/goto")
    assert asked.asked == [("GET", "messages", {"aroundSeq": 9, "limit": 11})]
    with pytest.raises(Elsewhere) as raised:
        await act(chat, "/goto 2")
    assert (raised.value.conversation, raised.value.seq) == ({"id": "d"}, 5)
    await act(chat, "/goto 3")
    assert asked.said[-1] == "There is no such hit; /search finds some."


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("/hi", "/history "),
        ("/p", "/p"),
        ("/edit", "/edit "),
        ("ask @b", "ask @Bob "),
        ("ask @Alice M", "ask @Alice Martin "),
        ("ask @x", "ask @x"),
        ("ask @", "ask @"),
        ("ask", "ask"),
    ],
)
def test_tab(asked: Asked, text: str, completed: str) -> None:
    assert complete(Chat(asked), text) == completed

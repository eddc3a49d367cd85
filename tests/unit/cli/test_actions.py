"""What somebody types about a message becomes the frame that the protocol has for it."""

from typing import Any

import pytest

from services.cli.actions import frame_of, is_action
from services.cli.gateway import CommandError

SHOWN: list[dict[str, Any]] = [
    {"id": "m1", "senderId": "me"},
    {"id": "m2", "senderId": "bob", "reactions": {"👍": ["me"]}},
    {"id": "m3", "senderId": "me"},
    {"id": "m4", "senderId": "me", "isDeleted": True},
]


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("/edit new text", {"type": "edit_message", "messageId": "m3", "content": "new text"}),
        ("/edit 2  older one ", {"type": "edit_message", "messageId": "m1", "content": "older one"}),
        ("/delete", {"type": "delete_message", "messageId": "m3"}),
        ("/delete 2", {"type": "delete_message", "messageId": "m1"}),
        ("/react 🎉", {"type": "add_reaction", "messageId": "m4", "emoji": "🎉"}),
        ("/react 👍 3", {"type": "remove_reaction", "messageId": "m2", "emoji": "👍"}),
        ("/reply 3 indeed", {"type": "send_message", "replyTo": "m2", "content": "indeed"}),
        ("/reply so it is", {"type": "send_message", "replyTo": "m4", "content": "so it is"}),
    ],
)
def test_actions(line: str, frame: dict[str, Any]) -> None:
    assert is_action(line)
    assert frame_of(line, SHOWN, "me") == frame


@pytest.mark.parametrize(
    "line", ["/edit", "/edit 2", "/edit 9 x", "/delete 3", "/delete 0", "/react", "/reply", "/reply 3"]
)
def test_what_is_missing_is_said(line: str) -> None:
    with pytest.raises(CommandError):
        frame_of(line, SHOWN, "me")


@pytest.mark.parametrize("line", ["hello", "/editor is vim", "/usr/bin", "", "// comment"])
def test_anything_else_is_a_message(line: str) -> None:
    assert not is_action(line)

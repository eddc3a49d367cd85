"""The persister allows what the table of rights allows, cell by cell, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args

import pytest

from contracts import fanout
from contracts.commands import (
    AddMembers,
    AnyCommand,
    ChangeRole,
    ChangeSettings,
    CloseConversation,
    DeleteConversation,
    DeleteMessage,
    EditMessage,
    JoinChannel,
    PinMessage,
    PublishConversation,
    React,
    RemoveMember,
    RenameConversation,
)
from contracts.conversation import ConversationType
from contracts.rights import RIGHTS, Action
from contracts.shape import now
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, store_conversation
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration

# Each role, and those without one. Eve is the person that something is done to.
PEOPLE = {"alice": "admin", "bob": "member", "eve": "member"}
STRANGER = "third"


class Cell(NamedTuple):
    """Who tries it where."""

    kind: ConversationType
    actor: str
    public: bool
    closed: bool


def command(kind: Any, **fields: Any) -> Callable[[str, str], AnyCommand]:
    """A command about a conversation by somebody."""

    def make(conversation_id: str, actor: str) -> AnyCommand:
        made: AnyCommand = make_command(kind, conversation_id=conversation_id, actor=actor, **fields)
        return made

    return make


def about_message(kind: Any, conversation_id: str, actor: str, **fields: Any) -> AnyCommand:
    """A command about the one message of a conversation."""
    made: AnyCommand = make_command(
        kind, conversation_id=conversation_id, actor=actor, message_id=f"{conversation_id}-m", **fields
    )
    return made


# What only reads is asked by the gateway: tests/e2e/test_administration.py; webhooks are the notifier's:
# tests/integration/test_webhook_commands.py.
READS: set[Action] = {"read_audit", "manage_webhooks"}
TRIES: Mapping[Action, Callable[[str, str], AnyCommand]] = {
    "send": lambda conversation_id, actor: make_message(conversation_id, actor=actor),
    "mention_all": lambda conversation_id, actor: make_message(conversation_id, actor=actor, mention_all=True),
    "edit": lambda cid, actor: about_message(EditMessage, cid, actor, content="other"),
    "react": lambda cid, actor: about_message(React, cid, actor, emoji="👍", present=True),
    "delete_own": lambda cid, actor: about_message(DeleteMessage, cid, actor),
    "delete_any": lambda cid, actor: about_message(DeleteMessage, cid, actor),
    "rename": command(RenameConversation, name="Other"),
    "add_members": command(AddMembers, member_ids=["fourth"]),
    "remove_member": command(RemoveMember, member_id="eve"),
    "leave": lambda cid, actor: make_command(RemoveMember, conversation_id=cid, actor=actor, member_id=actor),
    "join": command(JoinChannel),
    "change_role": command(ChangeRole, member_id="eve", role="admin"),
    "publish": command(PublishConversation, public=True),
    "pin": lambda cid, actor: about_message(PinMessage, cid, actor),
    "close": command(CloseConversation, closed=True),
    "delete": command(DeleteConversation),
    "change_settings": command(ChangeSettings, muted=True),
}
ABOUT_MESSAGE: set[Action] = {"pin", "edit", "react", "delete_own", "delete_any"}
CELLS: list[Cell] = [
    Cell(kind, actor, public, closed)
    for kind in get_args(ConversationType)
    for actor in ("alice", "bob", STRANGER)
    for public in (False, True)[: 2 if kind == "channel" else 1]
    for closed in (False, True)
]


@pytest.mark.parametrize("action", sorted(set(get_args(Action)) - READS))
async def test_every_cell(settings: Settings, database: Database, tap: Tap, action: Action) -> None:
    tried: dict[Cell, AnyCommand] = {}
    async with Persister(settings, database):
        for cell in CELLS:
            state: dict[str, Any] = {"public": cell.public, "closedAt": now() if cell.closed else None}
            cid = await store_conversation(database, PEOPLE, type=cell.kind, **state)
            if action in ABOUT_MESSAGE:
                sender = "eve" if action == "delete_any" else cell.actor
                document = {"conversationId": cid, "seq": 1, "senderId": sender, "senderName": sender, "content": "m"}
                await database.messages.insert_one({**document, "_id": f"{cid}-m", "createdAt": now()})
            tried[cell] = TRIES[action](cid, cell.actor)
            await tap.publish(tried[cell])
        await tap.all_handled()
    assert {cell: _answer(tap, made) for cell, made in tried.items()} == {c: _expected(action, c) for c in CELLS}


def _expected(action: Action, cell: Cell) -> str | None:
    right = RIGHTS[action]
    allowed = right.of(cell.kind)
    if cell.actor == STRANGER and not (cell.public and "visitor" in allowed):
        return "NOT_A_MEMBER"
    if cell.actor != STRANGER and PEOPLE[cell.actor] not in allowed:
        return "FORBIDDEN"
    return "FORBIDDEN" if cell.closed and not right.closed else None


def _answer(tap: Tap, made: AnyCommand) -> str | None:
    replies = tap.replies_to(made)
    if not replies and made.type != "message.send":  # a message that changed answers with its change
        assert [made.id] in [item.command_ids for item, _ in tap.items if isinstance(item, fanout.MessageUpdated)]
        return None
    if not replies:  # a message that was stored is its own answer
        assert len(tap.messages_of(made.key)) == 1
        return None
    (reply,) = replies
    return reply.code

"""The persister allows what the table of rights allows, cell by cell, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest

from contracts.commands import (
    AddMembers,
    AnyCommand,
    DeleteConversation,
    RemoveMember,
    RenameConversation,
)
from contracts.conversation import ConversationType
from contracts.rights import RIGHTS, Action
from services.mongo import Database
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, store_conversation
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration

# Each role, and those without one. Eve is the person that something is done to.
PEOPLE = {"alice": "admin", "bob": "member", "eve": "member"}
STRANGER = "third"


def command(kind: Any, **fields: Any) -> Callable[[str, str], AnyCommand]:
    """A command about a conversation by somebody."""

    def make(conversation_id: str, actor: str) -> AnyCommand:
        made: AnyCommand = make_command(kind, conversation_id=conversation_id, actor=actor, **fields)
        return made

    return make


TRIES: Mapping[Action, Callable[[str, str], AnyCommand]] = {
    "send": lambda conversation_id, actor: make_message(conversation_id, actor=actor),
    "rename": command(RenameConversation, name="Other"),
    "add_members": command(AddMembers, member_ids=["fourth"]),
    "remove_member": command(RemoveMember, member_id="eve"),
    "leave": lambda cid, actor: make_command(RemoveMember, conversation_id=cid, actor=actor, member_id=actor),
    "delete": command(DeleteConversation),
}


@pytest.mark.parametrize("action", get_args(Action))
async def test_every_cell(settings: Settings, database: Database, tap: Tap, action: Action) -> None:
    cells = [(kind, actor) for kind in get_args(ConversationType) for actor in ("alice", "bob", STRANGER)]
    tried: dict[tuple[ConversationType, str], AnyCommand] = {}
    async with Persister(settings, database):
        for kind, actor in cells:
            cid = await store_conversation(database, PEOPLE, type=kind)
            tried[kind, actor] = TRIES[action](cid, actor)
            await tap.publish(tried[kind, actor])
        await tap.all_handled()
    answers = {cell: _answer(tap, made) for cell, made in tried.items()}
    assert answers == {(kind, actor): _expected(action, kind, actor) for kind, actor in cells}


def _expected(action: Action, kind: ConversationType, actor: str) -> str | None:
    if actor == STRANGER:
        return "NOT_A_MEMBER"
    return None if PEOPLE[actor] in RIGHTS[action].of(kind) else "FORBIDDEN"


def _answer(tap: Tap, made: AnyCommand) -> str | None:
    replies = tap.replies_to(made)
    if not replies:  # a message that was stored is its own answer
        assert len(tap.messages_of(made.key)) == 1
        return None
    (reply,) = replies
    return reply.code

"""However large a conversation is, each of its members is told of a change once."""

from datetime import UTC, datetime

from contracts import fanout, limits
from contracts.commands import Origin, RenameConversation
from contracts.conversation import Profile
from contracts.events import ConversationChange
from services.persister.outcome import changed

MOMENT = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
COMMAND = RenameConversation(
    id="0" * 32,
    origin=Origin(gateway_id="g1"),
    actor=Profile(user_id="alice", user_name="Alice", avatar=None),
    expires_at=MOMENT,
    conversation_id="c1",
    name="Room",
)
CHANGE = ConversationChange(conversation_id="c1", update_type="name_changed", actor_id="alice", name="Room")


def items(audience: list[str], removed: list[str]) -> list[fanout.ConversationUpdated]:
    outcome = changed(COMMAND, CHANGE, MOMENT, audience, removed)
    return [item for item, _ in outcome.items if isinstance(item, fanout.ConversationUpdated)]


def test_a_large_audience_comes_in_parts() -> None:
    people = [f"u{number}" for number in range(2 * limits.UPDATE_AUDIENCE + 1)]
    parts = items(people, ["u0"])
    assert [user for part in parts for user in part.audience] == people
    assert [part.more for part in parts] == [None, True, True]
    assert [part.removed for part in parts] == [["u0"], None, None]


def test_nobody_left_is_still_told_of() -> None:
    assert len(items([], [])) == 1

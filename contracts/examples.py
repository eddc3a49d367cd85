"""One event of each kind, as it is on the wire: shown in the documentation, and good for an integrator's own tests."""

from datetime import UTC, datetime

from contracts.conversation import Member
from contracts.events import (
    ConversationChange,
    ConversationUpdated,
    Event,
    MessageChange,
    MessageCreated,
    MessageUpdated,
    Read,
    ReadUpdated,
)
from contracts.ids import change_event_id, message_event_id, read_event_id
from contracts.message import Attachment, Message, Quote

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 12, 5, tzinfo=UTC)
ROOM = "019c1390cc007d03a1f2b4c6d8e0f213"
COMMAND = "019c1395600072a49b3c5d7e9f102132"

MEMBER = Member(user_id="bob", user_name="Bob", avatar=None, role="member", last_read_seq=6, joined_at=MOMENT)
MESSAGE = Message(
    id="019c1390f2107c51a0b1c2d3e4f50617",
    conversation_id=ROOM,
    seq=7,
    sender_id="alice",
    sender_name="Alice",
    sender_avatar="https://example.com/alice.png",
    content="Bonjour @Bob",
    created_at=MOMENT,
    attachments=[Attachment(name="plan.png", url="/files/plan.png", type="image/png", size=31337)],
    reply_to="019c1390e5507b408f9ea0b1c2d3e4f5",
    reply=Quote(
        message_id="019c1390e5507b408f9ea0b1c2d3e4f5", seq=6, sender_id="bob", sender_name="Bob", preview="Salut"
    ),
    mentions=["bob"],
)

MESSAGE_CREATED = MessageCreated(id=message_event_id(ROOM, 7), subject=ROOM, time=MOMENT, data=MESSAGE)
MESSAGE_UPDATED = MessageUpdated(
    id=change_event_id(ROOM, 2),
    subject=ROOM,
    time=LATER,
    data=MessageChange(
        message=MESSAGE.model_copy(
            update={"content": "Bonjour Bob", "edited_at": LATER, "reactions": {"👍": ["bob"]}, "change_seq": 2}
        ),
        change="edited",
    ),
)
CONVERSATION_UPDATED = ConversationUpdated(
    id=f"{ROOM}:{COMMAND}",
    subject=ROOM,
    time=LATER,
    data=ConversationChange(
        conversation_id=ROOM, update_type="member_added", actor_id="alice", user_ids=["bob"], members=[MEMBER]
    ),
)
READ_UPDATED = ReadUpdated(
    id=read_event_id(ROOM, "bob", 7),
    subject=ROOM,
    time=LATER,
    data=Read(conversation_id=ROOM, user_id="bob", seq=7),
)

EVENTS: tuple[Event, ...] = (MESSAGE_CREATED, MESSAGE_UPDATED, CONVERSATION_UPDATED, READ_UPDATED)

"""Bytes of what travels, taken from the contracts' own shapes with ids and names of ordinary length."""

from datetime import UTC, datetime

from contracts import commands, fanout
from contracts.conversation import Profile
from contracts.events import MessageCreated
from contracts.ids import message_event_id
from contracts.message import Message

CONTENT = "x" * 100
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
ID = "019c1390f2107c51a0b1c2d3e4f50617"  # of a message, a conversation, a gateway, a person
NAME = "Somebody Called So"
ACTOR = Profile(user_id=ID, user_name=NAME, avatar=None)
MESSAGE = Message(
    id=ID,
    conversation_id=ID,
    seq=12345,
    sender_id=ID,
    sender_name=NAME,
    sender_avatar=None,
    content=CONTENT,
    created_at=MOMENT,
)


def _item(item: fanout.Item, data: bytes = fanout.NULL) -> int:
    return len(fanout.pack([(item, data)])) + 1


def _notice(members: int) -> int:
    unread = {f"{number:032x}": 3 for number in range(members)}
    preview = b'{"kind":"message","preview":"%b"}' % CONTENT.encode()
    return _item(fanout.Notification(id=f"{ID}:12345/0", conversation_id=ID, unread=unread), preview)


BODY = MESSAGE.encode()
COMMAND = len(
    commands.SendMessage(
        id=ID,
        origin=commands.Origin(gateway_id=ID),
        actor=ACTOR,
        expires_at=MOMENT,
        conversation_id=ID,
        content=CONTENT,
        temp_id=ID,
    ).encode()
)
EVENT = len(MessageCreated(id=message_event_id(ID, 12345), subject=ID, time=MOMENT, data=MESSAGE).encode())
CREATED = _item(
    fanout.MessageCreated(
        conversation_id=ID, seq=12345, message_id=ID, sender_id=ID, created_at=MOMENT, gateway_id=ID, temp_id=ID
    ),
    BODY,
)
CHANGED = _item(
    fanout.MessageUpdated(
        conversation_id=ID,
        seq=12345,
        change_seq=99,
        change="reactions",
        command_ids=[ID],
        sender_id=ID,
        temp_id=ID,
    ),
    BODY,
)
READ = _item(fanout.ReadUpdated(command_id=ID, conversation_id=ID, user_id=ID, seq=12345), b"x" * 130)
TYPING = _item(fanout.Typing(conversation_id=ID, user_id=ID, user_name=NAME, active=True))
NOTICE = _notice(0)
TOLD = (_notice(100) - NOTICE) / 100  # of each who is told, in a notice
HERE = 45  # of each name in an item of presence
FRAME = len(BODY) + 80  # a `new_message` on its socket

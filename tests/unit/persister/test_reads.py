"""What is told of a mark can be published, whoever moved it."""

import pytest

from contracts import limits
from contracts.commands import MarkRead
from contracts.shape import now
from services.amqp import Outgoing, frames
from services.persister.reads import _told
from tests.support.builders import make_command, new_id


@pytest.mark.parametrize("character", ["a", "é", "€", "𐀀"], ids=["1", "2", "3", "4"])  # bytes each
def test_a_mark_of_anybody_can_be_published(character: str) -> None:
    user = character * limits.ID_LENGTH
    command = make_command(MarkRead, conversation_id=new_id(), seq=1, actor=user)
    ((key, event_id, body),) = _told(command, user, 2**53 - 1, now(), private=False).events
    assert frames.publish(1, Outgoing("chat.events", key, body, message_id=event_id), 4096)

"""Who types is told to the other gateways in rounds."""

import asyncio
from typing import cast

from contracts import fanout
from contracts.topology import Topology
from services.amqp import Broker, Outgoing
from services.gateway.typing import AT_ONCE, ROUND, Rounds
from tests.support.eventually import eventually


class Told:
    """A broker that keeps what was told: who, and whether they type, for each AMQP message."""

    def __init__(self) -> None:
        self.topology = Topology("")
        self.messages: list[list[tuple[str, bool]]] = []

    def tell(self, message: Outgoing) -> None:
        items = [item for item, _ in fanout.unpack(message.body)]
        assert all(isinstance(item, fanout.Typing) for item in items)
        self.messages.append([(i.user_id, i.active) for i in items if isinstance(i, fanout.Typing)])


def typing(user: str, active: bool = True, conversation: str = "c1") -> fanout.Typing:
    return fanout.Typing(conversation_id=conversation, user_id=user, user_name=user.title(), active=active)


async def test_the_first_is_told_at_once_and_others_together_as_they_are_by_then() -> None:
    told = Told()
    rounds = Rounds(cast(Broker, told))
    begun = asyncio.get_running_loop().time()
    rounds.tell(typing("alice"))
    await eventually(lambda: told.messages == [[("alice", True)]], poll=0.001)
    rounds.tell(typing("alice", active=False))
    rounds.tell(typing("bob"))
    rounds.tell(typing("alice"))
    rounds.tell(typing("carol"))
    rounds.tell(typing("carol", active=False))
    await eventually(lambda: len(told.messages) == 2, poll=0.005)
    assert told.messages[1] == [("alice", True), ("bob", True), ("carol", False)]
    assert asyncio.get_running_loop().time() - begun >= ROUND
    rounds.tell(typing("alice", active=False))
    rounds.flush()
    rounds.flush()
    assert told.messages[2:] == [[("alice", False)]], "what waits is told when it ends, once"


async def test_somebody_types_in_several_conversations_and_thousands_are_several_messages() -> None:
    told = Told()
    rounds = Rounds(cast(Broker, told))
    for number in range(2 * AT_ONCE + 1):
        rounds.tell(typing("alice", conversation=f"c{number}"))
    rounds.flush()
    assert [len(message) for message in told.messages] == [AT_ONCE, AT_ONCE, 1]

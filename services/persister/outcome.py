"""What became of a command: what the world, the gateways and the sender are to be told."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic_core import to_json

from contracts import commands, events, fanout, limits
from contracts.errors import Refusal
from contracts.topology import Topology
from services.amqp import Outgoing


@dataclass(slots=True)
class Outcome:
    """The consequences of one command, to be published before it is acknowledged.

    Attributes:
        events: routing key, event id and body for `chat.events`.
        items: for every gateway.
        reply: for the gateway that asked, unless an item says it all.
        follow_ups: commands to itself.
        traceparent: what events and items carry, where the command is traced.
    """

    events: list[tuple[str, str, bytes]] = field(default_factory=list)
    items: list[tuple[fanout.Item, bytes]] = field(default_factory=list)
    reply: fanout.Reply | None = None
    follow_ups: list[commands.AnyCommand] = field(default_factory=list)
    traceparent: str | None = None


def to_itself(command: commands.AnyCommand, topology: Topology) -> Outgoing:
    """A follow-up, for whoever has its partition then."""
    key = commands.routing_key(command, topology.partitions)
    return Outgoing(topology.commands.name, key, command.encode(), mandatory=True)


def refused(command: commands.AnyCommand, refusal: Refusal) -> Outcome:
    """The command changed nothing, and its sender learns why."""
    return Outcome(reply=fanout.Reply(command_id=command.id, code=refusal.code, detail=refusal.detail))


def done(command: commands.AnyCommand) -> Outcome:
    """The command is carried out, and nobody but its sender needs to know."""
    return Outcome(reply=fanout.Reply(command_id=command.id))


def changed(
    command: commands.AnyCommand,
    change: events.ConversationChange,
    at: datetime,
    audience: list[str],
    removed: list[str],
) -> Outcome:
    """A conversation changed: an event for the world, a frame for its people."""
    event = events.ConversationUpdated(
        id=f"{change.conversation_id}:{command.id}",
        subject=change.conversation_id,
        time=at,
        data=change,
    )
    body = change.encode()
    items: list[tuple[fanout.Item, bytes]] = [
        (
            fanout.ConversationUpdated(
                conversation_id=change.conversation_id,
                update_type=change.update_type,
                audience=audience[start : start + limits.UPDATE_AUDIENCE],
                removed=removed or None if start == 0 else None,
                more=True if start else None,
            ),
            body,
        )
        for start in range(0, max(len(audience), 1), limits.UPDATE_AUDIENCE)
    ]
    return Outcome(
        events=[(events.routing_key(event.type, change.conversation_id), event.id, event.encode())],
        items=items,
        reply=fanout.Reply(command_id=command.id),
    )


def settings_changed(command: commands.ChangeSettings, *, muted: bool, archived: bool) -> Outcome:
    """A frame for the actor's own connections."""
    item = fanout.SettingsChanged(conversation_id=command.conversation_id, user_id=command.actor.user_id)
    fields = {
        "conversationId": command.conversation_id,
        "updateType": "settings_changed",
        "muted": muted,
        "archived": archived,
    }
    return Outcome(items=[(item, to_json(fields))], reply=fanout.Reply(command_id=command.id))

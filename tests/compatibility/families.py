"""What travels between versions, by family: examples of today, and today's schemas."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from contracts import commands, events, fanout, frames, notifying
from contracts.examples import EVENTS
from contracts.generate import Command, definitions
from contracts.shape import Shape
from tests.compatibility.compare import Json, inline
from tests.support.examples import CLIENT_FRAMES, COMMANDS, ITEMS, SERVER_FRAMES

Schemas = dict[str, Json]


@dataclass(frozen=True)
class Family:
    """Shapes that are told apart by one field.

    Attributes:
        tag: that field.
        models: each shape by its value.
        samples: today's examples, as JSON.
        read: reads one as today's code does; None where only others read them.
        readers: who reads what today's code writes. Others go by the published schema, in which what is always written is
            required; services of the version before, side by side with today's during a deploy, by their models.
    """

    tag: Literal["type", "kind"]
    models: Mapping[str, type[BaseModel]]
    samples: Sequence[bytes]
    read: Callable[[bytes], Shape] | None
    readers: Literal["others", "services"] | None

    def schemas(self, mode: JsonSchemaMode) -> Schemas:
        """Each shape's schema by its tag: what is read (`validation`) or written (`serialization`)."""
        found = definitions(self.models.values(), mode)
        return {tag: inline(found[model.__name__], found) for tag, model in self.models.items()}


def _tagged(union: Any, tag: str) -> dict[str, type[BaseModel]]:
    return {get_args(model.model_fields[tag].annotation)[0]: model for model in get_args(union)}


def _command(line: bytes) -> Shape:
    decode = notifying.decode if json.loads(line)["type"].startswith("notifier.") else commands.decode
    return decode(line)


def _item(header: bytes) -> Shape:
    ((item, _),) = fanout.unpack(header + b"\n" + fanout.NULL)
    return item


def _client_frame(body: bytes) -> Shape:
    return frames.CLIENT_FRAMES[json.loads(body)["type"]].decode(body)


FAMILIES = {
    "events": Family(
        "type", _tagged(events.Event, "type"), [event.encode() for event in EVENTS], events.parse_event, "others"
    ),
    "commands": Family(
        "type",
        _tagged(Command, "type"),
        [command.encode() for command in COMMANDS],
        _command,
        "services",
    ),
    "client_frames": Family(
        "type",
        frames.CLIENT_FRAMES,
        [json.dumps(frame, ensure_ascii=False).encode() for frame in CLIENT_FRAMES],
        _client_frame,
        None,
    ),
    "server_frames": Family("type", frames.SERVER_FRAMES, [frame.encode() for frame in SERVER_FRAMES], None, "others"),
    "items": Family("kind", _tagged(fanout.Item, "kind"), [item.encode() for item in ITEMS], _item, "services"),
}

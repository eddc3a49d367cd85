"""Writes `contracts/schema/` from the models: `python -m contracts.generate`.

With `--check` nothing is written: each file that is not what the models say is named, and the exit code is 1.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from contracts import commands, events, examples, notifying, reference
from contracts.conversation import Conversation
from contracts.frames import CLIENT_FRAMES, SERVER_FRAMES
from contracts.shape import to_text
from contracts.topology import Exchange, Queue, Topology

Json = dict[str, Any]
Command = commands.AnyCommand | notifying.AnyCommand

SCHEMA = Path(__file__).parent / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
LOCAL = "#/$defs/{model}"
ASYNCAPI = "#/components/schemas/{model}"
# https://github.com/asyncapi/bindings/tree/master/amqp
AMQP_BINDING = "0.3.0"


class _Schema(GenerateJsonSchema):
    """pydantic's generator, telling what is on the wire rather than what a constructor takes."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # "Conversationid" tells nobody more than "conversationId"

    def field_is_required(self, field: Any, total: bool) -> bool:
        if self.mode == "serialization":
            # A default is always written out; only `optional()` fields are ever left out.
            return field.get("serialization_exclude_if") is None
        # A command's `type` has a default for its constructor, and is what a reader tells it by.
        return _constant(field["schema"]) or super().field_is_required(field, total)

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        if schema.get("function") is to_text:
            return {"type": "string", "format": "date-time"}
        return super().ser_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = schema["schema"]
        if _constant(schema):
            return self.generate_inner(inner)
        if inner["type"] == "nullable" and schema.get("default", ...) is None:
            # An optional field is left out, never null.
            return self.generate_inner(inner["schema"])
        return super().default_schema(schema)


def _constant(schema: Any) -> bool:
    """Whether this is a constant with its only value as the default, as `type` is."""
    inner = schema.get("schema", {})
    return schema["type"] == "default" and inner["type"] == "literal" and len(inner["expected"]) == 1


def definitions(models: Iterable[type[BaseModel]], mode: JsonSchemaMode, template: str = LOCAL) -> dict[str, Json]:
    """The schema of each model and of everything they mention, by name."""
    inputs = [(model.__name__, mode, TypeAdapter(model)) for model in models]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template=template, schema_generator=_Schema)
    found: dict[str, Json] = schema["$defs"]
    return found


def _one_of(models: Sequence[type[BaseModel]], template: str = LOCAL) -> Json:
    """Any of the models, told apart by `type`."""
    mapping = {
        get_args(model.model_fields["type"].annotation)[0]: template.format(model=model.__name__) for model in models
    }
    return {
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _merge(*parts: dict[str, Json]) -> dict[str, Json]:
    """All definitions, by name in alphabetical order.

    Raises:
        ValueError: when one name would mean two things.
    """
    merged: dict[str, Json] = {}
    for part in parts:
        for name, definition in part.items():
            if merged.setdefault(name, definition) != definition:
                raise ValueError(f"two different shapes are called {name}")
    return dict(sorted(merged.items()))


def frames_schema() -> Json:
    """What browser and gateway say to each other."""
    client, server = list(CLIENT_FRAMES.values()), list(SERVER_FRAMES.values())
    unions = {
        "ClientFrame": {"description": "Any frame of a client.", **_one_of(client)},
        "ServerFrame": {"description": "Any frame of the server.", **_one_of(server)},
    }
    return {
        "$schema": DIALECT,
        "title": "Palabre frames, version 1",
        "description": "Every text frame between browser and gateway. Unknown fields are ignored.",
        "oneOf": [{"$ref": LOCAL.format(model=name)} for name in unions],
        "$defs": _merge(
            unions,
            definitions(client, "validation"),
            # REST answers with conversations; a browser wants both in one file.
            definitions([*server, Conversation], "serialization"),
        ),
    }


def _union_schema(title: str, description: str, union: Any, mode: JsonSchemaMode) -> Json:
    models = get_args(union)
    return {
        "$schema": DIALECT,
        "title": title,
        "description": description,
        **_one_of(models),
        "$defs": _merge(definitions(models, mode)),
    }


def commands_schema() -> Json:
    """What a gateway asks of the persister and the notifier."""
    return _union_schema(
        "Palabre commands",
        "One line of an AMQP message on chat.commands. Internal: integrators write over REST.",
        Command,
        "validation",
    )


def events_schema() -> Json:
    """What is told to everyone."""
    return _union_schema(
        "Palabre events, version 1",
        "The body of any AMQP message on chat.events. Public; within v1 only optional fields are added.",
        events.Event,
        "serialization",
    )


# --------------------------------------------------------------------------------------------------- AsyncAPI


def _exchange_binding(exchange: Exchange) -> Json:
    described = {"name": exchange.name, "type": exchange.kind, "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": described, "bindingVersion": AMQP_BINDING}}


def _queue_binding(queue: Queue) -> Json:
    described = {
        "name": queue.name,
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "autoDelete": queue.auto_delete,
    }
    return {"amqp": {"is": "queue", "queue": described, "bindingVersion": AMQP_BINDING}}


def _messages(models: Iterable[type[BaseModel]], content_type: str) -> Json:
    """AsyncAPI messages, each referring to its schema, with an example of those that are public."""
    shown = {type(event): event for event in examples.EVENTS}
    return {
        model.__name__: {
            "name": get_args(model.model_fields["type"].annotation)[0],
            "summary": (model.__doc__ or "").strip().splitlines()[0],
            "contentType": content_type,
            "payload": {"$ref": ASYNCAPI.format(model=model.__name__)},
            **({"examples": [{"payload": json.loads(shown[model].encode())}]} if model in shown else {}),
        }
        for model in models
    }


def _message_refs(models: Iterable[type[BaseModel]]) -> Json:
    return {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in models}


def _operation(action: str, channel: str, summary: str, binding: Json, models: Iterable[type[BaseModel]]) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "bindings": {"amqp": {**binding, "bindingVersion": AMQP_BINDING}},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{model.__name__}"} for model in models],
    }


def _channels(topology: Topology, command_models: Any, event_models: Any) -> Json:
    conversation = {"description": "The conversation's id, which is also the event's subject."}
    return {
        "commands": {
            "address": "{entity}.{verb}.{partition}",
            "title": topology.commands.name,
            "description": (
                "Internal: gateways ask, persisters and the notifier carry out; integrators write over REST. "
                "An AMQP message holds commands of one type and partition, one JSON object a line. "
                "The routing key is the command's type and its partition, as message.send.07; "
                "what is for the notifier has no partition, as notifier.settings."
            ),
            "parameters": {
                "entity": {"description": "First part of the command's type, as message."},
                "verb": {"description": "Second part of the command's type, as send."},
                "partition": {
                    "description": "Two digits: crc32 of the conversation's id (profile.store: the user's) "
                    f"modulo the number of partitions, {topology.partitions} unless configured."
                },
            },
            "messages": _message_refs(command_models),
            "bindings": _exchange_binding(topology.commands),
        },
        "events": {
            "address": "{entity}.{fact}.{conversationId}",
            "title": topology.events.name,
            "description": (
                "Public: facts, after they are stored. One CloudEvent an AMQP message. "
                "The routing key is the event's type without chat. and version, then the conversation's id, "
                "as message.created.c1. Deliveries may repeat: drop what you have by the event's id."
            ),
            "parameters": {
                "entity": {"enum": ["message", "conversation", "read"], "description": "What it is about."},
                "fact": {"enum": ["created", "updated"], "description": "What happened."},
                "conversationId": conversation,
            },
            "messages": _message_refs(event_models),
            "bindings": _exchange_binding(topology.events),
        },
        "eventsLog": {
            "address": topology.log.name,
            "title": topology.log.name,
            "description": (
                "Public: a stream queue with every event of the last days "
                f"(x-max-age {topology.log.arguments['x-max-age']}), bound to {topology.events.name} with #. "
                "Read it from any offset with the consumer argument x-stream-offset and a prefetch; "
                "reading takes nothing away."
            ),
            "messages": _message_refs(event_models),
            "bindings": _queue_binding(topology.log),
        },
    }


def asyncapi() -> Json:
    """AsyncAPI 3.0: what travels over RabbitMQ (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    command_models, event_models = get_args(Command), get_args(events.Event)
    persistent = {"deliveryMode": 2}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Palabre over RabbitMQ",
            "version": "1.0.0",
            "description": (
                "Commands are internal and change without notice; "
                "events are the public contract for integrators. "
                "Names carry the environment's prefix where one is configured."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(Topology(), command_models, event_models),
        "operations": {
            "takeCommands": _operation(
                "receive", "commands", "Carry out commands (internal).", {"ack": True}, command_models
            ),
            "publishEvents": _operation(
                "send", "events", "Tell everyone what was stored (public).", persistent, event_models
            ),
            "keepEvents": _operation(
                "send",
                "eventsLog",
                "Keep the last days of events for replay (public).",
                persistent,
                event_models,
            ),
        },
        "components": {
            "messages": {
                **_messages(command_models, "application/json"),
                **_messages(event_models, events.CONTENT_TYPE),
            },
            "schemas": _merge(
                definitions(command_models, "validation", ASYNCAPI),
                definitions(event_models, "serialization", ASYNCAPI),
            ),
        },
    }


# ------------------------------------------------------------------------------------------------------ files


def files() -> dict[str, str]:
    """The content of each generated file, by its name."""
    documents = {
        "frames.schema.json": frames_schema(),
        "commands.schema.json": commands_schema(),
        "events.schema.json": events_schema(),
        "asyncapi.json": asyncapi(),
    }
    schemas = {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}
    return {**schemas, "asyncapi.md": reference.markdown(documents["asyncapi.json"])}


def stale(folder: Path = SCHEMA) -> list[str]:
    """The names of the files that are missing or not what the models say."""
    return [
        name
        for name, content in files().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != content
    ]


def write(folder: Path = SCHEMA) -> None:
    """Write every file."""
    folder.mkdir(exist_ok=True)
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")


def main(arguments: Sequence[str] | None = None, folder: Path = SCHEMA) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.generate", description="write contracts/schema/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    if not parser.parse_args(arguments).check:
        write(folder)
        return 0
    names = stale(folder)
    for name in names:
        print(f"{folder.name}/{name} is stale: run python -m contracts.generate", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())

"""An AsyncAPI document as one page to read: channels, operations, messages with their examples, shapes field by field."""

import json
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

HEAD = "<!-- Generated from asyncapi.json: python -m contracts.generate -->\n"


def markdown(document: Json) -> str:
    """The page."""
    info = document["info"]
    parts = [
        HEAD,
        f"# {info['title']}, version {info['version']}\n",
        info["description"] + "\n",
        "## Channels\n",
        *(_channel(channel) for channel in document["channels"].values()),
        "## Operations\n",
        _table(
            ("operation", "direction", "channel", "what"),
            (
                (name, operation["action"], _code(_name(operation["channel"])), operation["summary"])
                for name, operation in document["operations"].items()
            ),
        ),
        "## Messages\n",
        *_messages(document["components"]["messages"].values()),
        "## Shapes\n",
        "A field with `?` is left out when it has no value. Unknown fields are to be ignored.\n",
        *(_shape(name, schema) for name, schema in document["components"]["schemas"].items()),
    ]
    return "\n".join(parts)


def _channel(channel: Json) -> str:
    binding = channel["bindings"]["amqp"]
    kind = f"{binding['exchange']['type']} exchange" if binding["is"] == "routingKey" else "queue"
    lines = [f"### {channel['title']}\n", f"A {kind}. {channel['description']}\n"]
    if "parameters" in channel:
        rows = (
            (_code(name), parameter["description"], ", ".join(map(_code, parameter.get("enum", ()))))
            for name, parameter in channel["parameters"].items()
        )
        lines += [f"Routing key: `{channel['address']}`.\n", _table(("part", "what", "one of"), rows)]
    lines.append("Messages: " + ", ".join(_link(name) for name in channel["messages"]) + ".\n")
    return "\n".join(lines)


def _messages(messages: Iterable[Json]) -> Iterable[str]:
    """Those with an example are what integrators read: each a section; the others are a table below them."""
    others = []
    for message in messages:
        shape = _name(message["payload"])
        summary = message["summary"]
        if "examples" not in message:
            others.append((_code(message["name"]), _link(shape), summary))
            continue
        yield f"### {message['name']}\n\n`{message['contentType']}`, a {_link(shape)}. {summary}\n"
        for example in message["examples"]:
            yield "```json\n" + json.dumps(example["payload"], indent=2, ensure_ascii=False) + "\n```\n"
    if others:
        yield "### Internal messages\n"
        yield _table(("type", "shape", "what"), others)


def _shape(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = (
        (_code(field if field in required else f"{field}?"), _type(inner), _limits(inner))
        for field, inner in schema["properties"].items()
    )
    return "\n".join([f"### {name}\n", schema.get("description", "") + "\n", _table(("field", "type", "within"), rows)])


def _type(schema: Json) -> str:
    match schema:
        case {"$ref": reference}:
            return _link(reference.rsplit("/", 1)[1])
        case {"anyOf": choices} | {"oneOf": choices}:
            return " or ".join(_type(choice) for choice in choices)
        case {"const": value}:
            return _code(json.dumps(value))
        case {"enum": values}:
            return ", ".join(_code(json.dumps(value)) for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_type(values)}"
        case {"format": "date-time"}:
            return "instant (ISO 8601, UTC)"
        case {"type": str(kind)}:
            return kind
    return "anything"


def _limits(schema: Json) -> str:
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "minimum": "from {}",
        "maximum": "to {}",
        "pattern": "`{}`",
        "default": "default `{}`",
    }
    shown = {name: str(schema[name]).replace("|", "\\|") for name in words if name in schema}
    return ", ".join(words[name].format(value) for name, value in shown.items())


def _name(reference: Json) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]


def _link(shape: str) -> str:
    return f"[{shape}](#{shape.lower()})"


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

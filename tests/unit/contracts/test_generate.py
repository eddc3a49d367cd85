"""The published schemas are what the models say, and what is really sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts import frames, generate
from contracts.examples import EVENTS
from tests.support.examples import CLIENT_FRAMES, COMMANDS, SERVER_FRAMES


def schema(name: str) -> Any:
    return json.loads((generate.SCHEMA / name).read_text(encoding="utf-8"))


def problems(document: Any, instance: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(document).iter_errors(instance)]


def test_files_are_what_the_models_say():
    assert generate.stale() == []


@pytest.mark.parametrize("name", ["frames.schema.json", "commands.schema.json", "events.schema.json"])
def test_schemas_are_valid(name):
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: frame.type)
def test_server_frames_validate(frame):
    assert problems(schema("frames.schema.json"), json.loads(frame.encode())) == []


@pytest.mark.parametrize("frame", CLIENT_FRAMES, ids=lambda frame: frame["type"])
def test_client_frames_validate_where_the_gateway_takes_them(frame):
    frames.CLIENT_FRAMES[frame["type"]].model_validate(frame)
    assert problems(schema("frames.schema.json"), frame) == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.type)
def test_commands_validate(command):
    assert problems(schema("commands.schema.json"), json.loads(command.encode())) == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_events_validate(event):
    assert problems(schema("events.schema.json"), json.loads(event.encode())) == []


def test_examples_are_complete():
    assert {frame["type"] for frame in CLIENT_FRAMES} == set(frames.CLIENT_FRAMES)
    assert {json.loads(frame.encode())["type"] for frame in SERVER_FRAMES} == set(frames.SERVER_FRAMES)
    assert len(COMMANDS) == len(schema("commands.schema.json")["oneOf"])
    assert len(EVENTS) == len(schema("events.schema.json")["oneOf"])


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "dance"},
        {"type": "ping", "requestId": None},
        {"type": "new_message"},
        {"type": "send_message", "conversationId": "", "content": "Bonjour"},
        {"type": "resync", "conversationId": "c1", "fromSeq": 4},
    ],
)
def test_wrong_frames_do_not_validate(frame):
    assert problems(schema("frames.schema.json"), frame)


@pytest.mark.parametrize("name", [name for name in generate.files() if name.endswith(".json")])
def test_no_reference_leads_nowhere(name):
    document = schema(name)
    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def references(node: Any) -> list[str]:
    """Every `$ref` of a document."""
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in references(item)]


def test_optional_fields_are_never_null():
    new_message = schema("frames.schema.json")["$defs"]["Message"]
    assert new_message["properties"]["editedAt"] == {"type": "string", "format": "date-time"}
    assert "editedAt" not in new_message["required"]
    assert {"type": "null"} in new_message["properties"]["senderAvatar"]["anyOf"]
    assert "senderAvatar" in new_message["required"]


def test_asyncapi_has_every_message_on_its_channel():
    document = schema("asyncapi.json")
    assert document["asyncapi"] == "3.0.0"
    channels = document["channels"]
    assert channels["commands"]["bindings"]["amqp"]["exchange"]["name"] == "chat.commands"
    assert len(channels["commands"]["messages"]) == len(COMMANDS)
    assert channels["events"]["bindings"]["amqp"]["exchange"]["name"] == "chat.events"
    assert len(channels["events"]["messages"]) == len(EVENTS)
    assert channels["eventsLog"]["bindings"]["amqp"]["queue"]["name"] == "chat.events.log"


def test_check_names_what_is_stale_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "asyncapi.json").write_text("{}", encoding="utf-8")
    (tmp_path / "events.schema.json").unlink()
    capsys.readouterr()

    assert generate.main(["--check"], tmp_path) == 1

    told = capsys.readouterr().err
    assert "asyncapi.json" in told
    assert "events.schema.json" in told
    assert "frames.schema.json" not in told
    assert (tmp_path / "asyncapi.json").read_text(encoding="utf-8") == "{}"
    assert not (tmp_path / "events.schema.json").exists()

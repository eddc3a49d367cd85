"""The published schemas are what the models say, and what is really sent."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts import commands, events, frames, generate
from contracts.conversation import Member, Profile
from contracts.errors import ErrorCode
from contracts.message import Attachment, Message

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
MESSAGE = Message(
    id="m1",
    conversation_id="c1",
    seq=7,
    sender_id="alice",
    sender_name="Alice",
    sender_avatar=None,
    content="Bonjour",
    created_at=MOMENT,
    attachments=[Attachment(name="a.png", url="/files/a.png", type="image/png", size=3)],
    reactions={"👍": ["bob"]},
    change_seq=2,
)
MEMBER = Member(user_id="bob", user_name="Bob", avatar=None, role="member", last_read_seq=0, joined_at=MOMENT)
SERVER_FRAMES: list[frames.ServerFrame] = [
    frames.Authenticated(
        user_id="alice",
        user_name="Alice",
        connection_id="s1",
        heartbeat_interval_ms=30000,
        expires_at=None,
        request_id="r",
    ),
    frames.AuthError(error="The token is not valid.", code=ErrorCode.INVALID_TOKEN),
    frames.JoinedConversation(conversation_id="c1", last_seq=0, first_seq=None, has_more=False, last_change=2),
    frames.LeftConversation(conversation_id="c1"),
    frames.NewMessage(message=MESSAGE),
    frames.MessageSent(message_id="m1", conversation_id="c1", seq=7, created_at=MOMENT, duplicate=False, temp_id="t"),
    frames.MessageError(error="Too many.", code=ErrorCode.RATE_LIMITED, retryable=True, retry_after_ms=50),
    frames.MessageUpdated(message=MESSAGE, change="edited"),
    frames.UserTyping(conversation_id="c1", user_id="bob", user_name="Bob"),
    frames.UserStoppedTyping(conversation_id="c1", user_id="bob"),
    frames.ReadReceipt(conversation_id="c1", user_id="bob", seq=7, request_id="r"),
    frames.Presence(user_id="bob", status="offline", last_seen_at=MOMENT),
    frames.ConversationUpdated(
        conversation_id="c1", update_type="member_added", actor_id="alice", user_ids=["bob"], members=[MEMBER]
    ),
    frames.Notification(kind="added", conversation_id="c1", conversation_name=None, unread_count=0),
    frames.Resync(conversation_id="c1", from_seq=4, last_change=2),
    frames.Pong(heads={"c1": 9}, changes={"c1": 3}),
    frames.Error(error="Join first.", code=ErrorCode.NOT_JOINED, conversation_id="c1"),
]
CLIENT_FRAMES: list[dict[str, Any]] = [
    {"type": "authenticate", "token": "t", "timestamp": "whenever"},
    {"type": "join_conversation", "conversationId": "c1", "afterSeq": 0, "afterChange": 0, "limit": 200},
    {"type": "leave_conversation", "conversationId": "c1"},
    {"type": "send_message", "conversationId": "c1", "content": "Bonjour", "tempId": "t", "later": True},
    {"type": "typing_start", "conversationId": "c1"},
    {"type": "typing_stop", "conversationId": "c1"},
    {"type": "ping", "heads": {"c1": 3}, "changes": {"c1": 2}},
    {"type": "edit_message", "conversationId": "c1", "messageId": "m1", "content": "Salut"},
    {"type": "delete_message", "conversationId": "c1", "messageId": "m1"},
    {"type": "add_reaction", "conversationId": "c1", "messageId": "m1", "emoji": "👍"},
    {"type": "remove_reaction", "conversationId": "c1", "messageId": "m1", "emoji": "👍"},
    {"type": "mark_read", "conversationId": "c1", "seq": 3},
    {"type": "set_presence", "status": "invisible"},
    {"type": "watch_presence", "userIds": ["bob"]},
]


def common() -> dict[str, Any]:
    return {
        "id": "0" * 32,
        "origin": commands.Origin(gateway_id="g1"),
        "actor": Profile(user_id="alice", user_name="Alice", avatar=None),
        "expires_at": MOMENT,
    }


COMMANDS: list[commands.AnyCommand] = [
    commands.SendMessage(**common(), conversation_id="c1", content="Bonjour", temp_id="t"),
    commands.EditMessage(**common(), conversation_id="c1", message_id="m1", content="Salut"),
    commands.DeleteMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.React(**common(), conversation_id="c1", message_id="m1", emoji="👍", present=True),
    commands.CreateConversation(
        **common(), conversation_id="c1", conversation_type="group", name="Team", member_ids=["bob"]
    ),
    commands.RenameConversation(**common(), conversation_id="c1", name="Team"),
    commands.PublishConversation(**common(), conversation_id="c1", public=True),
    commands.CloseConversation(**common(), conversation_id="c1", closed=True),
    commands.DeleteConversation(**common(), conversation_id="c1"),
    commands.PurgeConversation(**common(), conversation_id="c1"),
    commands.AddMembers(**common(), conversation_id="c1", member_ids=["bob"]),
    commands.RemoveMember(**common(), conversation_id="c1", member_id="bob"),
    commands.MarkRead(**common(), conversation_id="c1", seq=7),
    commands.JoinChannel(**common(), conversation_id="c1"),
    commands.ChangeRole(**common(), conversation_id="c1", member_id="bob", role="admin"),
    commands.ChangeSettings(**common(), conversation_id="c1", muted=True),
    commands.PinMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.UnpinMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.IndexMessages(**common(), conversation_id="c1", block=0),
    commands.StoreProfile(**common()),
    commands.StorePresence(**common(), chosen="invisible", seen_at=MOMENT),
]
EVENTS: list[events.Event] = [
    events.MessageCreated(id="c1:7", subject="c1", time=MOMENT, data=MESSAGE),
    events.MessageUpdated(
        id="e1", subject="c1", time=MOMENT, data=events.MessageChange(message=MESSAGE, change="deleted")
    ),
    events.ConversationUpdated(
        id="c1:0",
        subject="c1",
        time=MOMENT,
        data=events.ConversationChange(conversation_id="c1", update_type="created", actor_id="alice", members=[MEMBER]),
    ),
    events.ReadUpdated(
        id="c1:bob:7", subject="c1", time=MOMENT, data=events.Read(conversation_id="c1", user_id="bob", seq=7)
    ),
]


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


@pytest.mark.parametrize("name", generate.files())
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

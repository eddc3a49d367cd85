"""The documentation names everything that is on the wire."""

import re
from pathlib import Path

import pytest

from contracts import limits, rights, scopes
from contracts.conversation import AuditEntry, Channel, Conversation, Found, Member, Pin
from contracts.errors import CloseCode, ErrorCode
from contracts.frames import CLIENT_FRAMES, SERVER_FRAMES
from contracts.message import Attachment, Message, Quote, Replies
from contracts.notifying import ConversationNotifications, DoNotDisturb, Notification, NotificationSettings
from contracts.webhooks import Attempt, Webhook, WebhookDelivery

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
# Every word in a piece of code, so that `[{id?, name}]` names two fields.
CODE = {
    word
    for inline, block in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", PROTOCOL, re.S)
    for word in re.findall(r"[A-Za-z_]\w*", inline + block)
}
SHAPES = [
    *CLIENT_FRAMES.values(),
    *SERVER_FRAMES.values(),
    Message,
    Attachment,
    Quote,
    Replies,
    Member,
    Conversation,
    Channel,
    Pin,
    AuditEntry,
    Found,
    Notification,
    NotificationSettings,
    DoNotDisturb,
    ConversationNotifications,
    Webhook,
    WebhookDelivery,
    Attempt,
]


@pytest.mark.parametrize("name", [*CLIENT_FRAMES, *SERVER_FRAMES])
def test_frame_types(name):
    assert name in CODE


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_field_names(shape):
    names = {field.serialization_alias for field in shape.model_fields.values()}
    assert names - CODE == set()


@pytest.mark.parametrize("code", list(ErrorCode))
def test_error_codes(code):
    # In its table: with its status, and whether to try again.
    retry = "yes" if code.retryable else "no"
    assert re.search(rf"^\| `{code}` \| {code.status} \| {retry} \|", PROTOCOL, re.M)


@pytest.mark.parametrize("code", list(CloseCode))
def test_close_codes(code):
    assert re.search(rf"^\| {code.value} \| {'yes' if code.reconnect else 'no'} \|", PROTOCOL, re.M)


def test_limits_of_attachments():
    (said,) = re.findall(r"^- A message has at most .* `attachments`.*?(?=^\n)", PROTOCOL, re.M | re.S)
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d", said)]
    bounds = [limits.ATTACHMENTS, limits.URL_LENGTH, limits.NAME_LENGTH, limits.ID_LENGTH, limits.WAVEFORM]
    assert numbers == [*bounds, ErrorCode.CONTENT_EMPTY.status]


def test_rights():
    assert rights.table() in PROTOCOL


def test_scopes():
    assert scopes.table() in PROTOCOL

"""Commands: several in one AMQP message, each decoded by itself, all of a conversation in one partition."""

from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import pytest
from pydantic import ValidationError

from contracts import commands, lines
from contracts.conversation import Profile
from contracts.ids import partition_of


def common(number: int = 0) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "origin": commands.Origin(gateway_id="g1", connection_id="s1"),
        "actor": Profile(user_id="alice", user_name="Alice", avatar=None),
        "expires_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
    }


def send(number: int = 0, content: str = "Bonjour") -> commands.SendMessage:
    return commands.SendMessage(**common(number), conversation_id="c1", content=content)


def test_pack_and_unpack():
    sent = [send(1), send(2, "two\nlines \u2028 and 👍"), send(3)]
    packed = lines.pack([command.encode() for command in sent])
    assert [commands.decode(line) for line in lines.unpack(packed)] == sent


def test_a_single_command_is_its_own_body():
    assert lines.pack([send().encode()]) == send().encode()
    assert lines.unpack(b"") == []


def test_a_bad_line_does_not_spoil_the_others():
    good, bad, other = lines.unpack(send(1).encode() + b'\n{"type":"message.send"}\n' + send(2).encode())
    assert commands.decode(good) == send(1)
    with pytest.raises(ValidationError, match="conversationId"):
        commands.decode(bad)
    assert commands.decode(other) == send(2)


@pytest.mark.parametrize("line", [b"not JSON", b"[]", b'{"type":"message.dance"}', b"{}"])
def test_what_is_no_command_is_refused(line):
    with pytest.raises(ValidationError):
        commands.decode(line)


def test_the_partition_is_the_conversations():
    assert partition_of("c1", 16) == crc32(b"c1") % 16
    assert commands.routing_key(send(), 16) == f"message.send.{crc32(b'c1') % 16:02d}"
    rename = commands.RenameConversation(**common(), conversation_id="c1", name="Team")
    assert commands.routing_key(rename, 16).split(".")[-1] == commands.routing_key(send(), 16).split(".")[-1]


def test_the_partition_of_a_profile_is_its_users():
    assert commands.routing_key(commands.StoreProfile(**common()), 16) == (f"profile.store.{crc32(b'alice') % 16:02d}")


def test_partitions_have_two_digits():
    assert commands.routing_key(send(), 1) == "message.send.00"


def test_ids_are_hexadecimal():
    with pytest.raises(ValidationError, match="id"):
        commands.StoreProfile(**{**common(), "id": "no"})


def test_lines_are_cut_into_as_few_bodies_as_hold_them():
    bodies = list(lines.pack_all([b"aaa", b"bbb", b"c", b"much too long", b"d"], 8))
    assert bodies == [b"aaa\nbbb", b"c", b"much too long", b"d"]
    assert list(lines.pack_all([], 8)) == []

"""Roles, channels, pins, settings and the audit trail, beside what tests/integration/test_rights.py tries cell by cell."""

import json
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from contracts import fanout, limits
from contracts.commands import (
    AddMembers,
    AnyCommand,
    ChangeRole,
    ChangeSettings,
    CloseConversation,
    CreateConversation,
    DeleteConversation,
    JoinChannel,
    PinMessage,
    PublishConversation,
    RemoveMember,
    RenameConversation,
    UnpinMessage,
)
from contracts.shape import now
from services.gateway.directory import Directory
from services.mongo import Database
from services.persister import conversations
from services.persister.settings import Settings
from tests.support.builders import make_command, make_message, new_id, store_conversation
from tests.support.faults import Fault
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
BOTH = {"alice": "admin", "bob": "member"}


async def carry_out(settings: Settings, database: Database, tap: Tap, *batch: AnyCommand) -> list[str | None]:
    """The code with which each command is answered; None for success."""
    async with Persister(settings, database):
        for command in batch:
            await tap.publish(command)
        await tap.all_handled()
    return [next((reply.code for reply in tap.replies_to(command)), None) for command in batch]


def updates(tap: Tap, conversation_id: str) -> list[fanout.ConversationUpdated]:
    return [item for item, _ in tap.items_of(conversation_id) if isinstance(item, fanout.ConversationUpdated)]


def told_oneself(tap: Tap, conversation_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Whose settings were told, and how they are."""
    found = []
    for item, data in tap.items_of(conversation_id):
        if isinstance(item, fanout.SettingsChanged):
            frame = json.loads(data)
            found.append((item.user_id, {name: frame[name] for name in ("updateType", "muted", "archived")}))
    return found


# --------------------------------------------------------------------------------------------------- roles


async def test_the_last_admin_stays_one_until_there_is_another(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, BOTH)
    step_down = {"conversation_id": cid, "member_id": "alice", "role": "member"}
    codes = await carry_out(
        settings,
        database,
        tap,
        make_command(ChangeRole, **step_down),
        make_command(ChangeRole, conversation_id=cid, member_id="nobody", role="admin"),
        make_command(ChangeRole, conversation_id=cid, member_id="bob", role="admin"),
        make_command(ChangeRole, conversation_id=cid, member_id="bob", role="admin"),
        make_command(ChangeRole, **step_down),
        make_command(ChangeRole, **step_down),
    )
    assert codes == ["FORBIDDEN", "NOT_FOUND", None, None, None, "FORBIDDEN"]
    roles = {d["userId"]: d["role"] async for d in database.memberships.find({"conversationId": cid})}
    assert roles == {"alice": "member", "bob": "admin"}
    assert [item.update_type for item in updates(tap, cid)] == ["role_changed"] * 2, "what is so already is not told"


# ------------------------------------------------------------------------------------------------- channels


async def test_public_channels_are_found_by_the_beginnings_of_their_words(
    settings: Settings, database: Database, tap: Tap
) -> None:
    names = ["Zebra crossing", "apples", "Apples & pears", "hidden apples", "closed apples", "once apples"]
    ids = {name: new_id() for name in names}
    made: list[AnyCommand] = [
        make_command(
            CreateConversation,
            conversation_id=ids[name],
            conversation_type="channel",
            name=name,
            member_ids=["bob"],
            public=True if name != "hidden apples" else None,
        )
        for name in names
    ]
    made += [
        make_command(CloseConversation, conversation_id=ids["closed apples"], closed=True),
        make_command(PublishConversation, conversation_id=ids["once apples"], public=False),
        make_command(RenameConversation, conversation_id=ids["Zebra crossing"], name="Zebras"),
        make_command(JoinChannel, conversation_id=ids["apples"], actor="third"),
    ]
    assert set(await carry_out(settings, database, tap, *made)) == {None}
    directory = Directory(database)

    async def found(query: str) -> list[str]:
        return [channel.name for channel in (await directory.channels("third", query, 10, None))[0]]

    assert await found("") == ["Apples & pears", "Zebras", "apples"]
    assert await found("APP") == ["Apples & pears", "apples"]
    assert await found("pear") == ["Apples & pears"]
    assert await found("zebras") == ["Zebras"]
    for hostile in ("crossing", ".*", "(", "\0", "$", "apples\\"):
        assert await found(hostile) == ([] if hostile != "\0" else await found("")), hostile
    channels, _ = await directory.channels("third", "", 10, None)
    assert {c.name: (c.member_count, c.joined) for c in channels} == {
        "Apples & pears": (2, False),
        "Zebras": (2, False),
        "apples": (3, True),
    }
    pages: list[str] = []
    after = None
    more = True
    while more:
        page, more = await directory.channels("third", "", 1, after)
        pages += [channel.name for channel in page]
        after = [page[-1].name, page[-1].id]
    assert pages == ["Apples & pears", "Zebras", "apples"]


async def test_a_deleted_channel_is_found_and_joined_no_more(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, BOTH, type="channel", public=True)
    delete = make_command(DeleteConversation, conversation_id=cid)
    join = make_command(JoinChannel, conversation_id=cid, actor="third")
    assert await carry_out(settings, database, tap, delete, join) == [None, "NOT_A_MEMBER"]
    assert await Directory(database).channels("third", "", 10, None) == ([], False)


async def test_a_channel_of_ten_thousand_works(settings: Settings, database: Database, tap: Tap) -> None:
    cid = new_id()
    people = [f"user-{number:05}" for number in range(10_000)]
    chunks = [people[start : start + limits.MEMBERS_IN_CALL] for start in range(0, len(people), limits.MEMBERS_IN_CALL)]
    create = make_command(
        CreateConversation, conversation_id=cid, conversation_type="channel", name="All", member_ids=[], public=True
    )
    adds = [make_command(AddMembers, conversation_id=cid, member_ids=chunk) for chunk in chunks]
    join = make_command(JoinChannel, conversation_id=cid, actor="new")
    leave = make_command(RemoveMember, conversation_id=cid, actor="new", member_id="new")
    rename = make_command(RenameConversation, conversation_id=cid, name="Everybody")
    codes = await carry_out(settings, database, tap, create, *adds, join, leave, rename)
    assert set(codes) == {None}
    by_type: dict[str, list[fanout.ConversationUpdated]] = {}
    for item in updates(tap, cid):
        by_type.setdefault(item.update_type, []).append(item)
    # Each member is told of what concerns them all, in parts; of who comes and goes, those concerned.
    told = [user for item in by_type["name_changed"] for user in item.audience]
    assert sorted(told) == sorted([*people, "alice"])
    assert len(by_type["name_changed"]) == 11
    assert [item.audience for item in by_type["member_added"]][-1] == ["new"]
    assert [item.audience for item in by_type["member_removed"]] == [["new"]]
    assert await database.memberships.count_documents({"conversationId": cid}) == 10_001


# --------------------------------------------------------------------------------------------------- closed


async def test_what_is_closed_is_read_and_not_written(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, BOTH)
    before, refused, after = make_message(cid, "before"), make_message(cid, "too late"), make_message(cid, "after")
    retried = make_message(cid, "before", temp_id="t", actor="bob")
    again = retried.model_copy(update={"id": new_id()})
    codes = await carry_out(
        settings,
        database,
        tap,
        before,
        retried,
        make_command(CloseConversation, conversation_id=cid, closed=True),
        refused,
        again,
        make_command(CloseConversation, conversation_id=cid, closed=True),
        make_command(CloseConversation, conversation_id=cid, closed=False),
        after,
    )
    assert codes == [None, None, None, "FORBIDDEN", None, None, None, None]
    (reply,) = tap.replies_to(again)
    assert reply.duplicate, "what was stored once is never refused later"
    assert tap.messages_of(cid) == [(1, "before"), (2, "before"), (3, "after")]
    assert [item.update_type for item in updates(tap, cid)] == ["closed", "reopened"]


async def test_a_persister_that_starts_knows_what_is_closed(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, BOTH, closedAt=now())
    assert await carry_out(settings, database, tap, make_message(cid)) == ["FORBIDDEN"]


# ----------------------------------------------------------------------------------------------------- pins


async def test_pins_have_a_bound_and_are_of_this_conversation(settings: Settings, database: Database, tap: Tap) -> None:
    cid, other = await store_conversation(database, BOTH), await store_conversation(database, BOTH)
    documents = [{"_id": f"m{n}", "conversationId": cid, "seq": n} for n in range(1, limits.PINS + 2)]
    documents += [
        {"_id": "elsewhere", "conversationId": other, "seq": 1},
        {"_id": "deleted", "conversationId": cid, "seq": 99, "isDeleted": True},
    ]
    await database.messages.insert_many(documents)

    def pin(message_id: str) -> PinMessage:
        return make_command(PinMessage, conversation_id=cid, message_id=message_id)

    def unpin(message_id: str) -> UnpinMessage:
        return make_command(UnpinMessage, conversation_id=cid, message_id=message_id)

    assert (
        await carry_out(settings, database, tap, pin("elsewhere"), pin("nowhere"), pin("deleted")) == ["NOT_FOUND"] * 3
    )
    assert set(await carry_out(settings, database, tap, *(pin(f"m{n}") for n in range(1, limits.PINS + 1)))) == {None}
    last = f"m{limits.PINS + 1}"
    codes = await carry_out(settings, database, tap, pin(last), pin("m1"), unpin("m1"), unpin("m1"), pin(last))
    assert codes == ["FORBIDDEN", None, None, None, None]
    assert await database.pins.count_documents({"conversationId": cid}) == limits.PINS
    assert len(updates(tap, cid)) == limits.PINS + 2, "what is so already is not told"


# ------------------------------------------------------------------------------------------------- settings


async def test_settings_are_told_to_their_owner_alone_and_to_no_integrator(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, BOTH)
    changes: list[AnyCommand] = [
        make_command(ChangeSettings, conversation_id=cid, actor="bob", muted=True),
        make_command(ChangeSettings, conversation_id=cid, actor="bob", archived=True),
        make_command(ChangeSettings, conversation_id=cid, actor="bob", muted=False, archived=False),
        make_command(ChangeSettings, conversation_id=cid, actor="bob"),
    ]
    assert await carry_out(settings, database, tap, *changes) == [None] * 4
    assert told_oneself(tap, cid) == [
        ("bob", {"updateType": "settings_changed", "muted": True, "archived": False}),
        ("bob", {"updateType": "settings_changed", "muted": True, "archived": True}),
        ("bob", {"updateType": "settings_changed", "muted": False, "archived": False}),
    ]
    assert (tap.events, updates(tap, cid)) == ([], [])
    assert await database.audit.count_documents({}) == 0


async def test_a_death_at_any_step_of_a_setting_is_made_good(
    settings: Settings, database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = set()
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            cid = await store_conversation(database, BOTH)
            command = make_command(ChangeSettings, conversation_id=cid, muted=True, archived=True)
            persister.fault.arm(at)
            acked = persister.inbox.acked
            await tap.publish(command)
            died = await persister.acknowledged_or_faulty(acked + 1)
            document = await database.conversations.find_one({"_id": cid})
            assert document is not None
            noted = document["change"]["id"] == command.id
            with monkeypatch.context() as later:
                if noted:
                    later.setattr(conversations, "now", lambda: now() + timedelta(hours=1))
                await persister.kill()
                await tap.all_handled()
            mine = await database.memberships.find_one({"conversationId": cid, "userId": "alice"})
            assert mine is not None
            assert (mine["muted"], mine["archivedSeq"]) == (True, 0)
            wanted = {"updateType": "settings_changed", "muted": True, "archived": True}
            assert {json.dumps(data) for _, data in told_oneself(tap, cid)} == {json.dumps(wanted)}
            begun.add(noted)
            if not died:
                assert at > 5, "a change takes several steps"
                break
    assert begun == {False, True}


async def test_what_is_archived_comes_back_with_a_message_unless_it_is_muted(
    settings: Settings, database: Database, tap: Tap
) -> None:
    plain, tidy, silent = [await store_conversation(database, BOTH) for _ in range(3)]
    directory = Directory(database)

    async def listed(archived: bool) -> set[str]:
        found, _ = await directory.conversations("alice", 10, None, archived=archived)
        assert {conversation.archived for conversation in found} <= {archived}
        return {conversation.id for conversation in found}

    await carry_out(
        settings,
        database,
        tap,
        make_message(tidy, "read and done"),
        make_command(ChangeSettings, conversation_id=tidy, archived=True),
        make_command(ChangeSettings, conversation_id=silent, archived=True, muted=True),
    )
    assert (await listed(False), await listed(True)) == ({plain}, {tidy, silent})
    # It is Alice's setting alone.
    theirs, _ = await directory.conversations("bob", 10, None)
    assert len(theirs) == 3
    await carry_out(settings, database, tap, make_message(tidy, actor="bob"), make_message(silent, actor="bob"))
    assert (await listed(False), await listed(True)) == ({plain, tidy}, {silent})
    await carry_out(settings, database, tap, make_command(ChangeSettings, conversation_id=silent, muted=False))
    assert (await listed(False), await listed(True)) == ({plain, tidy, silent}, set())
    assert told_oneself(tap, silent)[-1][1]["archived"] is False


# ---------------------------------------------------------------------------------------------------- audit


async def test_the_audit_trail_tells_who_gave_whom_what(settings: Settings, database: Database, tap: Tap) -> None:
    cid, third = new_id(), "$the.third\0"  # ids are opaque
    happened: list[AnyCommand] = [
        make_command(
            CreateConversation, conversation_id=cid, conversation_type="channel", name="Room", member_ids=["bob"]
        ),
        make_command(RenameConversation, conversation_id=cid, name="Hall"),
        make_command(PublishConversation, conversation_id=cid, public=True),
        make_command(JoinChannel, conversation_id=cid, actor=third),
        make_command(ChangeRole, conversation_id=cid, member_id=third, role="admin"),
        make_command(RemoveMember, conversation_id=cid, actor=third, member_id="alice"),
        make_command(RemoveMember, conversation_id=cid, actor=third, member_id=third),
    ]
    assert set(await carry_out(settings, database, tap, *happened)) == {None}
    directory = Directory(database)
    found: list[dict[str, Any]] = []
    cursor: tuple[datetime, str] | None = None
    while True:
        page, cursor = await directory.audit(cid, 2, cursor)
        found += [entry.model_dump(exclude={"id", "conversation_id", "at", "names"}) for entry in page]
        if cursor is None:
            break
    assert found[::-1] == [
        {
            "actorId": "alice",
            "action": "created",
            "name": "Room",
            "public": False,
            "userIds": ["alice", "bob"],
            "roles": {"alice": "admin"},
        },
        {"actorId": "alice", "action": "name_changed", "name": "Hall"},
        {"actorId": "alice", "action": "visibility_changed", "public": True},
        {"actorId": third, "action": "member_added", "userIds": [third]},
        {"actorId": "alice", "action": "role_changed", "roles": {third: "admin"}},
        {"actorId": third, "action": "member_removed", "userIds": ["alice"]},
        {"actorId": third, "action": "member_removed", "userIds": [third], "roles": {"bob": "admin"}},
    ]

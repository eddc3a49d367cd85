"""A change of a conversation is carried out whole, once, and told to everybody, wherever its persister dies."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, cast

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection

from contracts import fanout
from contracts.commands import (
    AddMembers,
    AnyCommand,
    ChangeRole,
    CloseConversation,
    CreateConversation,
    DeleteConversation,
    JoinChannel,
    PinMessage,
    PublishConversation,
    PurgeConversation,
    RemoveMember,
    RenameConversation,
    StoreProfile,
    UnpinMessage,
)
from contracts.conversation import Role
from contracts.shape import now
from services.mongo import Database
from services.persister import changes, conversations, erasing
from services.persister.changes import Plan
from services.persister.settings import Settings
from tests.support.builders import expired, make_command, make_message, new_id, store_conversation
from tests.support.faults import Fault, Instead, Kind
from tests.support.persister import Persister
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
BOTH = {"alice": "admin", "bob": "member"}


async def conversation_of(database: Database, conversation_id: str) -> dict[str, Any]:
    document = await database.conversations.find_one({"_id": conversation_id})
    assert document is not None
    return document


async def members_of(database: Database, conversation_id: str) -> dict[str, str]:
    """The members with their roles."""
    return {d["userId"]: d["role"] async for d in database.memberships.find({"conversationId": conversation_id})}


async def carry_out(settings: Settings, database: Database, tap: Tap, *batch: AnyCommand, **kwargs: Any) -> list[Any]:
    """The code with which each command is answered; None for success."""
    async with Persister(settings, database, **kwargs) as persister:
        for command in batch:
            await tap.publish(command)
        await persister.acknowledged(len(batch))
    await tap.caught_up()
    answers = [tap.replies_to(command) for command in batch]
    assert [len(replies) for replies in answers] == [1] * len(batch)
    return [reply.code for (reply,) in answers]


def updates_of(tap: Tap, conversation_id: str) -> list[dict[str, Any]]:
    """The data of the events that tell of a conversation's changes."""
    kind = "chat.conversation.updated.v1"
    return [event["data"] for event in tap.events if (event["subject"], event["type"]) == (conversation_id, kind)]


def told(tap: Tap, conversation_id: str) -> list[fanout.ConversationUpdated]:
    """Who was told of them through the gateways."""
    return [item for item, _ in tap.items_of(conversation_id) if isinstance(item, fanout.ConversationUpdated)]


# ------------------------------------------------------------------------------------------------ the changes


@dataclass
class Case:
    """A change, and all that must be true when it is done."""

    command: AnyCommand
    members: dict[str, str]
    event: dict[str, Any]
    shown: dict[str, str] = field(default_factory=dict)  # memberships in the event
    audience: Sequence[str] = ("alice", "bob")
    removed: Sequence[str] | None = None
    ended: bool = False
    deliveries: int = 1  # with the commands that it brings about
    pins: Sequence[str] = ()

    async def check(self, database: Database, tap: Tap) -> None:
        cid = self.command.key
        assert await members_of(database, cid) == self.members
        document = await conversation_of(database, cid)
        assert ("deletedAt" in document) is self.ended
        assert document["name"] == (None if self.ended else self.event.get("name", document["name"]))
        events = [event for event in tap.events if event["subject"] == cid]
        assert {event["id"] for event in events} == {f"{cid}:{self.command.id}"}
        assert all(event == events[0] for event in events), "whoever drops the second loses nothing"
        data = dict(events[0]["data"])
        members = {member["userId"]: member["role"] for member in data.pop("members", ())}
        assert (data, members) == ({"conversationId": cid, "actorId": "alice", **self.event}, self.shown)
        items = told(tap, cid)
        assert items
        for item in items:
            assert (item.update_type, sorted(item.audience)) == (self.event["updateType"], sorted(self.audience))
            assert item.removed == self.removed
        assert {reply.code for reply in tap.replies_to(self.command)} == {None}
        assert [pin["messageId"] async for pin in database.pins.find({"conversationId": cid})] == list(self.pins)
        (entry,) = [entry async for entry in database.audit.find({"conversationId": cid})]
        kept = {name: entry[name] for name in ("_id", "actorId", "action")}
        assert kept == {"_id": events[0]["id"], "actorId": "alice", "action": self.event["updateType"]}
        for name in {"userIds", "messageId", "public"} & self.event.keys():
            assert entry[name] == self.event[name]


async def group_created(_: Database) -> Case:
    command = make_command(
        CreateConversation, conversation_id=new_id(), conversation_type="group", name="Team", member_ids=["bob"]
    )
    event = {"updateType": "created", "name": "Team", "conversationType": "group", "createdBy": "alice"}
    return Case(command, BOTH, {**event, "userIds": ["alice", "bob"]}, shown=BOTH)


async def direct_created(_: Database) -> Case:
    command = make_command(CreateConversation, conversation_id=new_id(), conversation_type="direct", member_ids=["bob"])
    event = {"updateType": "created", "conversationType": "direct", "createdBy": "alice"}
    return Case(command, BOTH, {**event, "userIds": ["alice", "bob"]}, shown=BOTH)


async def direct_brought_back(database: Database) -> Case:
    cid = await store_conversation(database, {"bob": "member"}, type="direct", name=None, createdBy="bob")
    command = make_command(CreateConversation, conversation_id=cid, conversation_type="direct", member_ids=["bob"])
    event = {"updateType": "created", "conversationType": "direct", "createdBy": "bob", "userIds": ["alice"]}
    both = {"alice": "member", "bob": "member"}
    return Case(command, both, event, shown=both)


async def renamed(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    command = make_command(RenameConversation, conversation_id=cid, name="Other")
    return Case(command, BOTH, {"updateType": "name_changed", "name": "Other"})


async def members_added(database: Database) -> Case:
    cid = await store_conversation(database)
    command = make_command(AddMembers, conversation_id=cid, member_ids=["bob", "alice", "bob"])
    return Case(command, BOTH, {"updateType": "member_added", "userIds": ["bob"]}, shown={"bob": "member"})


async def member_removed(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    command = make_command(RemoveMember, conversation_id=cid, member_id="bob")
    event = {"updateType": "member_removed", "userIds": ["bob"]}
    return Case(command, {"alice": "admin"}, event, removed=["bob"])


async def last_admin_left(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    command = make_command(RemoveMember, conversation_id=cid, member_id="alice")
    event = {"updateType": "member_removed", "userIds": ["alice"]}
    return Case(command, {"bob": "admin"}, event, shown={"bob": "admin"}, removed=["alice"])


async def joined(database: Database) -> Case:
    cid = await store_conversation(database, {"bob": "admin"}, type="channel", public=True)
    command = make_command(JoinChannel, conversation_id=cid)
    event = {"updateType": "member_added", "userIds": ["alice"]}
    return Case(command, {"bob": "admin", "alice": "member"}, event, shown={"alice": "member"})


async def made_admin(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    command = make_command(ChangeRole, conversation_id=cid, member_id="bob", role="admin")
    both = {"alice": "admin", "bob": "admin"}
    return Case(command, both, {"updateType": "role_changed"}, shown={"bob": "admin"})


async def stepped_down(database: Database) -> Case:
    cid = await store_conversation(database, {"alice": "admin", "bob": "admin"})
    command = make_command(ChangeRole, conversation_id=cid, member_id="alice", role="member")
    both = {"alice": "member", "bob": "admin"}
    return Case(command, both, {"updateType": "role_changed"}, shown={"alice": "member"})


async def published(database: Database) -> Case:
    cid = await store_conversation(database, BOTH, type="channel", public=False)
    command = make_command(PublishConversation, conversation_id=cid, public=True)
    return Case(command, BOTH, {"updateType": "visibility_changed", "public": True})


async def closed(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    return Case(make_command(CloseConversation, conversation_id=cid, closed=True), BOTH, {"updateType": "closed"})


async def reopened(database: Database) -> Case:
    cid = await store_conversation(database, BOTH, closedAt=now())
    return Case(make_command(CloseConversation, conversation_id=cid, closed=False), BOTH, {"updateType": "reopened"})


async def pinned(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    await database.messages.insert_one({"_id": f"{cid}-m", "conversationId": cid, "seq": 1})
    command = make_command(PinMessage, conversation_id=cid, message_id=f"{cid}-m")
    event = {"updateType": "pinned", "messageId": f"{cid}-m"}
    return Case(command, BOTH, event, pins=[f"{cid}-m"])


async def unpinned(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    await database.pins.insert_one({"conversationId": cid, "messageId": "m"})
    command = make_command(UnpinMessage, conversation_id=cid, message_id="m")
    return Case(command, BOTH, {"updateType": "unpinned", "messageId": "m"})


async def deleted(database: Database) -> Case:
    cid = await store_conversation(database, BOTH)
    command = make_command(DeleteConversation, conversation_id=cid)
    return Case(command, {}, {"updateType": "deleted"}, ended=True, deliveries=2)


CHANGES = [
    group_created,
    direct_created,
    direct_brought_back,
    renamed,
    members_added,
    member_removed,
    last_admin_left,
    joined,
    made_admin,
    stepped_down,
    published,
    closed,
    reopened,
    pinned,
    unpinned,
    deleted,
]
Change = Callable[[Database], Awaitable[Case]]


# The others take no other steps than these.
DIFFERENT = [group_created, direct_brought_back, renamed, last_admin_left, pinned, deleted]


@pytest.fixture(params=CHANGES, ids=lambda change: change.__name__)
def change(request: pytest.FixtureRequest) -> Change:
    return cast(Change, request.param)


async def test_a_change_is_carried_out_and_told(
    settings: Settings, database: Database, tap: Tap, change: Change
) -> None:
    case = await change(database)
    assert await carry_out(settings, database, tap, case.command) == [None]
    await case.check(database, tap)
    assert (len(tap.events), len(tap.items)) == (1, 1)


async def test_a_death_at_any_step_is_made_good_by_the_next_in_line_however_late(
    settings: Settings, database: Database, tap: Tap, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = set()
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            case = await change(database)
            persister.fault.arm(at)
            acked = persister.inbox.acked
            await tap.publish(case.command)
            died = await persister.acknowledged_or_faulty(acked + case.deliveries)
            document = await database.conversations.find_one({"_id": case.command.key})
            begun = document is not None and document["change"]["id"] == case.command.id
            with monkeypatch.context() as later:
                if begun:  # what had not begun would be refused
                    later.setattr(conversations, "now", lambda: now() + timedelta(hours=1))
                await persister.kill()
                await tap.all_handled()
            await case.check(database, tap)
            outcomes.add(begun)
            if not died:
                assert at > 5, "a change takes several steps"
                break
    assert outcomes == {False, True}


@pytest.mark.parametrize("kind", ["fails", "unheard"])
@pytest.mark.parametrize("change", DIFFERENT, ids=lambda change: change.__name__, indirect=True)
async def test_a_failure_of_any_step_is_made_good(
    settings: Settings, database: Database, tap: Tap, change: Change, kind: Kind, no_pause: None
) -> None:
    async with Persister(settings, database, Fault(kind)) as persister:
        for at in count(1):
            case = await change(database)
            persister.fault.arm(at)
            acked = persister.inbox.acked
            await tap.publish(case.command)
            await persister.acknowledged(acked + case.deliveries)
            await tap.caught_up()
            await case.check(database, tap)
            if not persister.fault.happened:
                assert at > 5, "a change takes several steps"
                return


# ------------------------------------------------------------------------------------------------- refusals


def create(conversation_id: str, kind: str = "group", *people: str, **fields: Any) -> CreateConversation:
    return make_command(
        CreateConversation, conversation_id=conversation_id, conversation_type=kind, member_ids=list(people), **fields
    )


def add(conversation_id: str, *people: str, **fields: Any) -> AddMembers:
    return make_command(AddMembers, conversation_id=conversation_id, member_ids=list(people), **fields)


def remove(conversation_id: str, user: str, **fields: Any) -> RemoveMember:
    return make_command(RemoveMember, conversation_id=conversation_id, member_id=user, **fields)


def rename(conversation_id: str, name: str, **fields: Any) -> RenameConversation:
    return make_command(RenameConversation, conversation_id=conversation_id, name=name, **fields)


def delete(conversation_id: str, **fields: Any) -> DeleteConversation:
    return make_command(DeleteConversation, conversation_id=conversation_id, **fields)


async def test_who_is_not_allowed_to_is_refused_and_nothing_changes(
    settings: Settings, database: Database, tap: Tap
) -> None:
    group = await store_conversation(database, BOTH)
    direct = await store_conversation(database, {"alice": "admin", "bob": "member"}, type="direct", name=None)
    ended = await store_conversation(database, BOTH, deletedAt=now())
    member, stranger = {"actor": "bob"}, {"actor": "third"}
    refused: list[tuple[AnyCommand, str]] = [
        # A member who is no admin.
        (rename(group, "x", **member), "FORBIDDEN"),
        (add(group, "third", **member), "FORBIDDEN"),
        (remove(group, "alice", **member), "FORBIDDEN"),
        (delete(group, **member), "FORBIDDEN"),
        # Somebody else, who must not even learn that there is such a conversation.
        (rename(group, "x", **stranger), "NOT_A_MEMBER"),
        (add(group, "third", **stranger), "NOT_A_MEMBER"),
        (remove(group, "third", **stranger), "NOT_A_MEMBER"),
        (delete(group, **stranger), "NOT_A_MEMBER"),
        (rename(new_id(), "x"), "NOT_A_MEMBER"),
        # What cannot be done to a direct conversation.
        (rename(direct, "x"), "FORBIDDEN"),
        (add(direct, "third"), "FORBIDDEN"),
        (remove(direct, "bob"), "FORBIDDEN"),
        (delete(direct), "FORBIDDEN"),
        # What is over, what is not there, what is taken, what is late.
        (rename(ended, "x"), "NOT_A_MEMBER"),
        (remove(ended, "alice"), "NOT_A_MEMBER"),
        (remove(group, "third"), "NOT_FOUND"),
        (create(group, "group", "bob"), "FORBIDDEN"),
        (expired(rename(group, "x")), "TIMEOUT"),
        (expired(add(group, "third")), "TIMEOUT"),
        (expired(remove(group, "bob")), "TIMEOUT"),
        (expired(delete(group)), "TIMEOUT"),
        (expired(create(new_id(), "group", "bob")), "TIMEOUT"),
        (expired(create(direct, "direct", "third")), "TIMEOUT"),
    ]
    before = [d async for d in database.conversations.find()], [d async for d in database.memberships.find()]
    codes = await carry_out(settings, database, tap, *(command for command, _ in refused))
    assert codes == [code for _, code in refused]
    assert before == ([d async for d in database.conversations.find()], [d async for d in database.memberships.find()])
    assert (tap.events, tap.items) == ([], [])


async def test_what_is_so_already_is_confirmed_and_not_told(settings: Settings, database: Database, tap: Tap) -> None:
    group = await store_conversation(database, BOTH)
    direct = await store_conversation(database, {"alice": "admin", "bob": "member"}, type="direct", name=None)
    again: list[AnyCommand] = [
        add(group, "bob"),
        create(direct, "direct", "bob"),
        create(direct, "direct", "alice", actor="bob"),
    ]
    assert await carry_out(settings, database, tap, *again) == [None] * 3
    assert (tap.events, tap.items) == ([], [])


async def test_a_command_that_comes_again_after_other_changes_is_not_carried_out_again(
    settings: Settings, database: Database, tap: Tap
) -> None:
    # A gateway that saw no confirm publishes again; whoever drops events by their id would not learn of a second time.
    cid = new_id()
    changes: list[AnyCommand] = [
        create(cid, "group", "bob", name="first"),
        rename(cid, "second"),
        add(cid, "third"),
        remove(cid, "third"),
        rename(cid, "last"),
        remove(cid, "bob"),
        add(cid, "bob"),
    ]
    async with Persister(settings, database) as persister:
        for command in [*changes, *changes]:
            await tap.publish(command)
        await persister.acknowledged(2 * len(changes))
    await tap.caught_up()
    assert (await conversation_of(database, cid))["name"] == "last"
    assert await members_of(database, cid) == {"alice": "admin", "bob": "member"}
    # The newest one could have been interrupted, and is told again.
    assert [event["id"] for event in tap.events] == [f"{cid}:{command.id}" for command in [*changes, changes[-1]]]
    assert [[reply.code for reply in tap.replies_to(command)] for command in changes] == [[None, None]] * len(changes)


# -------------------------------------------------------------------------------------------- what follows


async def test_who_comes_has_nothing_unread_and_is_shown_with_their_profile(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database)
    async with Persister(settings, database) as persister:
        await tap.publish(make_command(StoreProfile, actor="bob"))
        await tap.publish(make_message(cid), make_message(cid))
        await tap.publish(add(cid, "bob"))
        await persister.acknowledged(3)
    await tap.caught_up()
    bob = await database.memberships.find_one({"conversationId": cid, "userId": "bob"})
    assert bob is not None
    assert (bob["lastReadSeq"], bob["role"], bob["muted"]) == (2, "member", False)
    ((shown,),) = [data["members"] for data in updates_of(tap, cid)]
    assert (shown["userName"], shown["lastReadSeq"]) == ("Bob", 2)


async def test_the_longest_standing_member_inherits_and_only_from_the_last_admin(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, {"alice": "admin", "fourth": "member", "bob": "admin", "third": "member"})
    assert await carry_out(settings, database, tap, remove(cid, "alice")) == [None]
    assert await members_of(database, cid) == {"fourth": "member", "bob": "admin", "third": "member"}
    assert await carry_out(settings, database, tap, remove(cid, "bob", actor="bob")) == [None]
    assert await members_of(database, cid) == {"fourth": "admin", "third": "member"}
    leaving = [remove(cid, "fourth", actor="fourth"), remove(cid, "third", actor="third")]
    assert await carry_out(settings, database, tap, *leaving) == [None, None]
    assert await members_of(database, cid) == {}


async def test_a_direct_conversation_comes_back_with_all_that_was_said(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = new_id()
    async with Persister(settings, database) as persister:
        await tap.publish(create(cid, "direct", "bob"))
        await tap.publish(make_message(cid, "before"))
        await tap.publish(remove(cid, "bob", actor="bob"))
        await tap.publish(remove(cid, "alice"))
        await tap.publish(make_message(cid, "nobody is there"))
        await tap.publish(create(cid, "direct", "alice", actor="bob"))
        await tap.publish(make_message(cid, "after", actor="bob"))
        await persister.acknowledged(7)
    said = [(d["seq"], d["content"]) async for d in database.messages.find({"conversationId": cid}).sort("seq", 1)]
    assert said == [(1, "before"), (2, "after")]
    assert set(await members_of(database, cid)) == {"alice", "bob"}


async def test_a_deleted_conversation_is_erased_in_parts_and_no_other(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid, other = await store_conversation(database, BOTH), await store_conversation(database)
    async with Persister(settings.model_copy(update={"purge_size": 2}), database) as persister:
        await tap.publish(*(make_message(conversation) for conversation in (cid, other) * 5))
        await tap.publish(delete(cid))
        await tap.publish(make_message(cid, "too late"))
        # Erased in parts of 2, 2 and 1; then it is seen that nothing is left.
        await persister.acknowledged(3 + 4)
    assert await database.conversations.count_documents({"erasing": True}) == 0
    assert await database.messages.count_documents({"conversationId": cid}) == 0
    assert await database.messages.count_documents({"conversationId": other}) == 5
    await tap.caught_up()
    assert [data["updateType"] for data in updates_of(tap, cid)] == ["deleted"]


async def test_a_death_at_any_step_of_erasing_leaves_nothing(settings: Settings, database: Database, tap: Tap) -> None:
    settings = settings.model_copy(update={"purge_size": 2})
    async with AsyncExitStack() as stack:
        following = await stack.enter_async_context(Persister(settings, database, Fault("dies")))
        for at in count(1):
            persister, following = following, Persister(settings, database, Fault("dies"))
            await stack.enter_async_context(following)
            cid = await store_conversation(database, BOTH, deletedAt=now())
            await database.messages.insert_many([{"conversationId": cid, "seq": seq} for seq in (1, 2, 3)])
            persister.fault.arm(at)
            before = persister.inbox.acked
            await tap.publish(expired(make_command(PurgeConversation, conversation_id=cid)))
            died = await persister.acknowledged_or_faulty(before + 3)
            await persister.kill()
            await following.all_done(tap, parts=3)
            assert await database.messages.count_documents({"conversationId": cid}) == 0
            if not died:
                assert at > 8, "erasing in parts takes several steps"
                assert tap.events == []
                return


async def test_erasing_goes_on_when_the_broker_has_lost_it(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, BOTH)
    async with Persister(settings, database) as persister:
        await tap.publish(*(make_message(cid) for _ in range(3)))
        await persister.acknowledged(1)
    deletion = delete(cid)
    conversation = await database.conversations.find_one({"_id": cid})
    assert conversation is not None
    plan = Plan({"deletedAt": now(), "erasing": True}, audience=[*BOTH])
    await changes.note(database, conversation, deletion, plan)  # and nothing else: the rest was in RabbitMQ
    settings = settings.model_copy(update={"purge_size": 2})
    async with Persister(settings, database) as persister:
        await erasing.take_up(database, persister.broker, new_id())
        await persister.acknowledged(3)
        await erasing.take_up(database, persister.broker, new_id())
    assert await database.messages.count_documents({"conversationId": cid}) == 0
    kept = await database.conversations.find_one({"_id": cid})
    assert kept is not None
    assert "erasing" not in kept
    assert persister.inbox.acked == 3, "nothing was left to be taken up"


async def test_what_is_not_deleted_is_not_erased(settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database)
    async with Persister(settings, database) as persister:
        await tap.publish(make_message(cid))
        await tap.publish(make_command(PurgeConversation, conversation_id=cid))
        await tap.publish(make_command(PurgeConversation, conversation_id=new_id()))
        await persister.acknowledged(3)
    assert await database.messages.count_documents({"conversationId": cid}) == 1


# -------------------------------------------------------------------------------------------------- contention


def meanwhile(other: Awaitable[Any]) -> Instead:
    """Another persister does this just before a change is noted, or a conversation inserted."""
    waiting = [other]

    async def write(collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        while waiting:
            await waiting.pop()
        if kwargs:
            return await collection.find_one_and_update(*args, **kwargs)
        return await collection.insert_one(*args)

    return write


async def test_a_change_that_meets_another_begins_again_from_what_is_then(
    settings: Settings, database: Database, tap: Tap
) -> None:
    # Alice, the only admin, would hand her role to Bob, who leaves at the same moment.
    cid = await store_conversation(database, {**BOTH, "third": "member"})
    other = conversations.change(database, remove(cid, "bob", actor="bob"))
    instead = {"conversations.find_one_and_update": meanwhile(other)}
    assert await carry_out(settings, database, tap, remove(cid, "alice"), instead=instead) == [None]
    assert await members_of(database, cid) == {"third": "admin"}
    ((member,),) = [data["members"] for data in updates_of(tap, cid)]
    assert (member["userId"], member["role"]) == ("third", "admin")


async def test_a_change_that_is_not_allowed_any_more_when_it_begins_again_is_refused(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, BOTH)
    other = conversations.change(database, remove(cid, "alice"))
    instead = {"conversations.find_one_and_update": meanwhile(other)}
    assert await carry_out(settings, database, tap, rename(cid, "mine"), instead=instead) == ["NOT_A_MEMBER"]
    assert (await conversation_of(database, cid))["name"] == "Team"


def role(conversation_id: str, user: str, role: Role) -> ChangeRole:
    return make_command(ChangeRole, conversation_id=conversation_id, member_id=user, role=role)


@pytest.mark.parametrize(
    ("before", "first", "then"),
    [
        ({"alice": "admin"}, lambda cid: add(cid, "bob"), lambda cid: remove(cid, "bob")),
        (BOTH, lambda cid: role(cid, "bob", "admin"), lambda cid: role(cid, "bob", "member")),
    ],
    ids=["added", "promoted"],
)
async def test_who_is_held_up_after_a_note_brings_nothing_back(
    settings: Settings,
    database: Database,
    tap: Tap,
    before: dict[str, str],
    first: Callable[[str], AnyCommand],
    then: Callable[[str], AnyCommand],
) -> None:
    cid = await store_conversation(database, before)
    noted, released = asyncio.Event(), asyncio.Event()

    async def held_up(collection: AsyncIOMotorCollection[Any], *args: Any, **kwargs: Any) -> Any:
        conversation = await collection.find_one_and_update(*args, **kwargs)
        noted.set()
        await released.wait()
        return conversation

    stalled = Persister(settings, database, instead={"conversations.find_one_and_update": held_up})
    async with stalled, Persister(settings, database) as other:  # in this order they stand in line
        await tap.publish(first(cid))
        await noted.wait()
        stalled.drop()
        await other.acknowledged(1)
        await tap.publish(then(cid))
        await other.acknowledged(2)
        released.set()
        async with stalled.consumer.at_rest():  # until it is done with it
            assert stalled.inbox.acked == 0
    assert await members_of(database, cid) == before


async def test_two_who_start_the_same_direct_conversation_at_once_have_one(
    settings: Settings, database: Database, tap: Tap
) -> None:
    cid = new_id()
    other = conversations.change(database, create(cid, "direct", "alice", actor="bob"))
    instead = {"conversations.insert_one": meanwhile(other)}
    assert await carry_out(settings, database, tap, create(cid, "direct", "bob"), instead=instead) == [None]
    assert (await conversation_of(database, cid))["createdBy"] == "bob"
    assert await members_of(database, cid) == {"bob": "admin", "alice": "member"}


async def test_two_who_carry_out_the_same_command_do_so_once(settings: Settings, database: Database, tap: Tap) -> None:
    command = create(new_id(), "group", "bob", name="Team")
    instead = {"conversations.insert_one": meanwhile(conversations.change(database, command))}
    assert await carry_out(settings, database, tap, command, instead=instead) == [None]
    assert await members_of(database, command.key) == BOTH
    assert [data["name"] for data in updates_of(tap, command.key)] == ["Team"]

"""Who may do what with webhooks: as the table of rights and the operator say, and once however often it is asked."""

from typing import Any

import pytest

from contracts import collections, limits, rights
from contracts.conversation import ConversationType
from contracts.errors import ErrorCode, Refusal
from contracts.shape import now
from contracts.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    PingWebhook,
    RedeliverWebhook,
    RotateWebhookSecret,
)
from services.mongo import Database
from services.notifier.settings import Settings
from services.persister.settings import Settings as Environment
from tests.support.builders import expired, store_conversation
from tests.support.tap import Tap
from tests.support.webhooks import SECRET, Webhooks, asked, hook, webhook_settings

pytestmark = pytest.mark.integration
URL = "https://example.com/hook"
PEOPLE = {"alice": "admin", "bob": "member"}


@pytest.fixture
def webhooks_on(settings: Environment) -> Settings:
    return webhook_settings(settings)


def create(conversation_id: str | None, actor: str = "alice", **fields: Any) -> CreateWebhook:
    about: dict[str, Any] = {
        "conversation_id": conversation_id,
        "url": URL,
        "events": [],
        "description": "",
        "secret": SECRET,
    }
    return asked(CreateWebhook, actor=actor, **{**about, **fields})


async def code(webhooks: Webhooks, command: Any) -> ErrorCode | None:
    """With which it is refused."""
    try:
        await webhooks.ask(command)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("kind", ["direct", "group", "channel"])
async def test_rights(webhooks_on: Settings, database: Database, tap: Tap, kind: ConversationType) -> None:
    async with Webhooks(webhooks_on, database) as webhooks:
        for closed in (False, True):
            fields: dict[str, Any] = {"closedAt": now()} if closed else {}
            cid = await store_conversation(database, PEOPLE, type=kind, **fields)
            for actor, role in (*PEOPLE.items(), ("third", None)):
                expected = None
                try:
                    rights.check("manage_webhooks", kind, role, closed=closed)  # type: ignore[arg-type]
                except Refusal as refusal:
                    expected = refusal.code
                assert await code(webhooks, create(cid, actor)) == expected, (actor, closed)


async def test_of_a_webhook_of_others_nobody_learns_that_it_is_there(
    webhooks_on: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, PEOPLE)
    async with Webhooks(webhooks_on, database) as webhooks:
        one = await webhooks.create(URL, cid)
        of_all = await webhooks.create(URL)
        before = await hook(database, one), await hook(database, of_all)
        for hook_id, actor, expected in (
            (one, "bob", ErrorCode.FORBIDDEN),
            (one, "third", ErrorCode.NOT_FOUND),
            (of_all, "alice", ErrorCode.NOT_FOUND),
            ("unknown", "alice", ErrorCode.NOT_FOUND),
        ):
            for command in (
                asked(ChangeWebhook, actor=actor, webhook_id=hook_id, url="https://elsewhere.example/"),
                asked(DeleteWebhook, actor=actor, webhook_id=hook_id),
                asked(RotateWebhookSecret, actor=actor, webhook_id=hook_id, secret="whsec_", previous_until=now()),
                asked(PingWebhook, actor=actor, webhook_id=hook_id),
                asked(RedeliverWebhook, actor=actor, webhook_id=hook_id, delivery_id="d"),
            ):
                assert await code(webhooks, command) == expected, (hook_id, actor, command.type)
        assert (await hook(database, one), await hook(database, of_all)) == before
        assert await code(webhooks, asked(RedeliverWebhook, webhook_id=one, delivery_id="d")) == ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("mode", "administrator", "conversation", "expected"),
    [
        ("off", True, False, ErrorCode.FORBIDDEN),
        ("off", False, True, ErrorCode.FORBIDDEN),
        ("administrators", True, False, None),
        ("administrators", True, True, None),
        ("administrators", False, True, ErrorCode.FORBIDDEN),
        ("everybody", False, True, None),
        ("everybody", False, False, ErrorCode.FORBIDDEN),
        ("everybody", True, False, None),
    ],
)
async def test_the_operator_says_who_makes_them(
    settings: Environment,
    database: Database,
    tap: Tap,
    mode: str,
    administrator: bool,
    conversation: bool,
    expected: ErrorCode | None,
) -> None:
    cid = await store_conversation(database, PEOPLE) if conversation else None
    async with Webhooks(webhook_settings(settings, webhooks=mode), database) as webhooks:
        assert await code(webhooks, create(cid, administrator=administrator)) == expected
    made = await database[collections.WEBHOOKS.name].count_documents({})
    assert made == (expected is None)


@pytest.mark.parametrize("mode", ["off", "administrators"])
async def test_who_may_make_none_may_only_end_them(
    settings: Environment, database: Database, tap: Tap, mode: str
) -> None:
    cid = await store_conversation(database, PEOPLE)
    async with Webhooks(webhook_settings(settings), database) as webhooks:
        hook_id = await webhooks.create(URL, cid)
        before = await hook(database, hook_id)
    about: dict[str, Any] = {"webhook_id": hook_id}
    pause = asked(ChangeWebhook, **about, active=False)
    changes = [
        asked(ChangeWebhook, **about, url="https://elsewhere.example/"),
        asked(ChangeWebhook, **about, url="https://elsewhere.example/", active=False),
        asked(ChangeWebhook, **about, events=["chat.message.created.v1"]),
        asked(ChangeWebhook, **about, description="Mine"),
        asked(ChangeWebhook, **about, active=True),
        asked(RotateWebhookSecret, **about, secret="whsec_other", previous_until=now()),
    ]
    async with Webhooks(webhook_settings(settings, webhooks=mode), database) as webhooks:
        for command in changes:
            assert await code(webhooks, command) == ErrorCode.FORBIDDEN, command
        assert await hook(database, hook_id) == before
        await webhooks.ask(pause)
        assert not (await hook(database, hook_id))["active"]
        for command in changes:
            allowed = command.model_copy(update={"administrator": True})
            assert await code(webhooks, allowed) == (ErrorCode.FORBIDDEN if mode == "off" else None), command
        await webhooks.ask(asked(DeleteWebhook, **about))
    assert "deletedBy" in await hook(database, hook_id)


async def test_there_are_so_many_and_what_comes_again_makes_no_other(
    webhooks_on: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, PEOPLE)
    async with Webhooks(webhooks_on, database) as webhooks:
        made = [create(cid) for _ in range(limits.WEBHOOKS)]
        for command in (*made, made[-1]):
            await webhooks.ask(command)
        assert await code(webhooks, create(cid)) == ErrorCode.FORBIDDEN
        assert await code(webhooks, create(await store_conversation(database, PEOPLE))) is None
        await webhooks.ask(asked(DeleteWebhook, webhook_id=made[0].id))
        assert await code(webhooks, create(cid)) is None


async def test_what_comes_too_late_is_not_carried_out(webhooks_on: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, PEOPLE)
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(URL, cid)
        before = await hook(database, hook_id)
        about: dict[str, Any] = {"webhook_id": hook_id}
        for command in (
            create(cid),
            asked(ChangeWebhook, **about, url="https://elsewhere.example/"),
            asked(ChangeWebhook, **about, active=False),
            asked(DeleteWebhook, **about),
            asked(RotateWebhookSecret, **about, secret="whsec_other", previous_until=now()),
            asked(PingWebhook, **about),
            asked(RedeliverWebhook, **about, delivery_id="d"),
        ):
            assert await code(webhooks, expired(command)) == ErrorCode.TIMEOUT, command.type
        assert await hook(database, hook_id) == before
        assert await database[collections.WEBHOOKS.name].distinct("_id") == [hook_id]


async def test_what_was_done_in_time_is_done_when_it_comes_again(
    webhooks_on: Settings, database: Database, tap: Tap
) -> None:
    cid = await store_conversation(database, PEOPLE)
    made = create(cid)
    about: dict[str, Any] = {"webhook_id": made.id}
    commands = [
        made,
        asked(ChangeWebhook, **about, url="https://elsewhere.example/", description="Build"),
        asked(ChangeWebhook, **about, active=False),
        asked(ChangeWebhook, **about, active=True),
        asked(RotateWebhookSecret, **about, secret="whsec_other", previous_until=now()),
        asked(DeleteWebhook, **about),
    ]
    async with Webhooks(webhooks_on, database) as webhooks:
        for command in commands:
            await webhooks.ask(command)
            await webhooks.ask(expired(command))


async def test_who_has_read_is_not_for_conversations(webhooks_on: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, PEOPLE)
    read = ["chat.read.updated.v1"]
    async with Webhooks(webhooks_on, database) as webhooks:
        assert await code(webhooks, create(cid, events=read)) == ErrorCode.FORBIDDEN
        hook_id = await webhooks.create(URL, cid)
        assert await code(webhooks, asked(ChangeWebhook, webhook_id=hook_id, events=read)) == ErrorCode.FORBIDDEN
        assert await code(webhooks, create(None, events=read, administrator=True)) is None


async def test_who_says_where_it_goes_answers_for_it(webhooks_on: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, {"alice": "admin", "carol": "admin"})
    async with Webhooks(webhooks_on, database) as webhooks:
        hook_id = await webhooks.create(URL, cid)
        await webhooks.ask(asked(ChangeWebhook, actor="carol", webhook_id=hook_id, description="Build"))
        assert (await hook(database, hook_id))["ownerId"] == "alice"
        await webhooks.ask(asked(ChangeWebhook, actor="carol", webhook_id=hook_id, url="https://carol.example/"))
        stored = await hook(database, hook_id)
        assert (stored["ownerId"], stored["url"], stored["description"]) == ("carol", "https://carol.example/", "Build")

"""What people ask of the notifier is stored, answered once it is, and done once however often it comes."""

from typing import Any

import pytest

from contracts import fanout
from contracts.commands import NotifierCommand
from contracts.errors import ErrorCode
from contracts.notifying import (
    DoNotDisturb,
    Level,
    NotificationSettings,
    StoreConversationNotifications,
    StoreNotificationSettings,
)
from services.mongo import Database
from services.notifier.preferences import Remembered
from services.notifier.settings import Settings
from tests.support.builders import GATEWAY, expired, make_command, store_conversation
from tests.support.eventually import eventually
from tests.support.faults import Fault, Kind
from tests.support.notifier import Notifier
from tests.support.tap import Tap

pytestmark = pytest.mark.integration
NIGHT = DoNotDisturb(start="22:00", end="07:00", time_zone="Europe/Paris", days=["mon", "tue"])


def general(level: Level = "mentions", **fields: Any) -> StoreNotificationSettings:
    return make_command(StoreNotificationSettings, settings=NotificationSettings(level=level, **fields))


async def ask(tap: Tap, *asked: NotifierCommand) -> None:
    for command in asked:
        await tap.put(tap.topology.commands.name, command.type, command.encode())


async def answers(settings: Settings, database: Database, tap: Tap, *asked: NotifierCommand) -> list[ErrorCode | None]:
    """What each is answered, by a notifier that carries them out."""
    async with Notifier(settings, database):
        await ask(tap, *asked)
        await eventually(lambda: all(tap.replies_to(command) for command in asked))
    await tap.caught_up()
    replies = [tap.replies_to(command) for command in asked]
    assert [len(found) for found in replies] == [1] * len(asked)
    return [found[0].code for found in replies]


async def test_settings_are_stored_and_answered(notifier_settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database)
    of_one = make_command(StoreConversationNotifications, conversation_id=cid, level="nothing")
    assert await answers(notifier_settings, database, tap, general(do_not_disturb=NIGHT), of_one) == [None, None]
    known = (await Remembered(database).of(["alice", "bob"]))["alice"]
    assert known.general == NotificationSettings(level="mentions", do_not_disturb=NIGHT)
    assert (known.level(cid), known.level("another")) == ("nothing", "mentions")
    changed = [item.user_id for item, _ in tap.items if isinstance(item, fanout.PreferencesChanged)]
    assert changed == ["alice", "alice"], "every notifier is told, by way of the exchange that gateways hear too"


async def test_what_was_asked_last_holds(notifier_settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database)
    asked: list[NotifierCommand] = [general("nothing", do_not_disturb=NIGHT), general("all")]
    asked += [make_command(StoreConversationNotifications, conversation_id=cid, level=x) for x in ("mentions", None)]
    assert await answers(notifier_settings, database, tap, *asked) == [None] * 4
    known = (await Remembered(database).of(["alice"]))["alice"]
    assert (known.general, known.level(cid)) == (NotificationSettings(), "all")


async def test_strangers_and_the_late_are_refused(notifier_settings: Settings, database: Database, tap: Tap) -> None:
    cid = await store_conversation(database, {"bob": "admin"})
    asked = [make_command(StoreConversationNotifications, conversation_id=cid, level="all"), expired(general())]
    assert await answers(notifier_settings, database, tap, *asked) == [ErrorCode.NOT_A_MEMBER, ErrorCode.TIMEOUT]
    assert await database.notification_settings.count_documents({}) == 0


@pytest.mark.parametrize("kind", ["dies", "fails", "unheard"])
@pytest.mark.parametrize("step", ["notification_settings.update_one", "publish chat.presence", "publish chat.replies"])
async def test_wherever_it_stops_what_was_asked_is_stored_and_answered(
    notifier_settings: Settings, database: Database, tap: Tap, kind: Kind, step: str
) -> None:
    async with Notifier(notifier_settings, database, Fault(kind, step)) as faulty:
        await ask(tap, command := general())
        await eventually(lambda: faulty.fault.happened)
        if kind != "dies":
            await eventually(lambda: bool(tap.replies_to(command)))
    async with Notifier(notifier_settings, database):
        await eventually(lambda: bool(tap.replies_to(command)))
    assert {reply.code for reply in tap.replies_to(command)} == {None}
    found = await database.notification_settings.find({}, {"_id": 0}).to_list(None)
    settings = {"level": "mentions", "doNotDisturb": None}
    assert found == [{"userId": "alice", "conversationId": None, "commandId": command.id, "settings": settings}]


async def test_what_was_stored_before_a_crash_is_answered_well_however_late(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    command = general()
    assert await answers(notifier_settings, database, tap, command) == [None]
    async with Notifier(notifier_settings, database):
        await ask(tap, expired(command))
        await eventually(lambda: len(tap.replies_to(command)) == 2)
    assert {reply.code for reply in tap.replies_to(command)} == {None}


async def test_what_cannot_be_read_is_set_aside_and_spoils_nothing(
    notifier_settings: Settings, database: Database, tap: Tap
) -> None:
    command = general()
    body = b'{"type":"notifier.dance"}\n' + command.encode()
    async with Notifier(notifier_settings, database):
        await tap.put(tap.topology.commands.name, command.type, body)
        await eventually(lambda: bool(tap.replies_to(command)))
    await tap.caught_up()
    (letter,) = tap.dead
    assert (letter.body, letter.headers["x-service"]) == (b'{"type":"notifier.dance"}', "notifier")
    assert (letter.headers["x-exchange"], letter.headers["x-routing-key"]) == (
        tap.topology.commands.name,
        command.type,
    )
    assert GATEWAY in tap.replies

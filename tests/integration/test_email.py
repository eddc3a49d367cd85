"""The mail digest: one mail with what stayed unread, once, to a real mail server that does as it likes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import topology
from contracts.email import EmailSettings, EndEmails, StoreEmail
from contracts.notifying import Delivery
from contracts.shape import now
from services.mongo import Database, create_collections
from services.notifier import digest, email, mailboxes
from services.notifier.digest import Digests
from services.notifier.settings import Settings
from services.persister.settings import Settings as Environment
from tests.support.builders import make_command, new_id, store_conversation
from tests.support.certificates import self_signed
from tests.support.channel import RunningChannel
from tests.support.eventually import eventually
from tests.support.faults import Fault, watched
from tests.support.mail_server import MailServer
from tests.support.tap import Tap

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits, waits for a second."""
    monkeypatch.setattr(topology, "WAITS", (1,))
    monkeypatch.setattr(email, "FIRST_RETRY", 0.1)


@pytest.fixture(autouse=True)
def declared(short_waits: None, tap: Tap) -> None:
    """Queues that are taken away in the end."""


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server."""
    async with MailServer() as server:
        yield server


@pytest.fixture
def notifier_settings(settings: Environment, server: MailServer) -> Settings:
    """The same environment, for a notifier that mails."""
    return Settings(
        **settings.model_dump(include=set(Settings.model_fields) - {"prefetch", "batch_size"}),
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_security="none",
        smtp_timeout=5,
        email_from="Palabre <chat@example.org>",
        email_delay=0.5,
        email_secret=SecretStr("a secret of the tests, long enough"),
        public_url="https://chat.example.org",
    )


class Mailer(RunningChannel):
    """The mail digest of one notifier."""

    def __init__(self, settings: Settings, database: Database, fault: Fault | None = None) -> None:
        super().__init__(settings, "email", email.PREFETCH, fault)
        self.channel = email.Email(settings, self.broker, watched(database, self.fault), self.inbox)


@asynccontextmanager
async def mailing(settings: Settings, database: Database) -> AsyncIterator[Mailer]:
    """A mailer, for Bob, who wants mails."""
    await wants(database, "bob")
    async with Mailer(settings, database) as mailer:
        yield mailer


async def wants(database: Database, user: str, **fields: Any) -> None:
    """Somebody wants mails."""
    await create_collections(database, "notifier")
    wanted = EmailSettings(**{"digest": True, "address": f"{user}@example.org", **fields})
    await mailboxes.store(database, make_command(StoreEmail, actor=user, settings=wanted))


class Room:
    """A conversation, and who writes in it."""

    def __init__(self, database: Database, conversation_id: str, name: str | None) -> None:
        self.id = conversation_id
        self._database = database
        self._name = name
        self._seq = 0

    async def said(self, content: str, user: str = "bob", **fields: Any) -> Delivery:
        """Alice writes, and somebody is to be told."""
        self._seq += 1
        message = {
            "_id": new_id(),
            "conversationId": self.id,
            "seq": self._seq,
            "senderId": "alice",
            "senderName": "Alice",
            "senderAvatar": None,
            "content": content,
            "createdAt": now(),
            **fields,
        }
        await self._database.messages.insert_one(message)
        mentioned = user in fields.get("mentions", ()) or fields.get("mentionAll")
        return Delivery(
            id=f"{self.id}:{self._seq}:{user}",
            user_id=user,
            conversation_id=self.id,
            conversation_name=self._name,
            kind="mention" if mentioned else "message",
            message_id=message["_id"],
            seq=self._seq,
            sender_name="Alice",
            preview=content,
            created_at=now(),
            expires_at=now() + timedelta(hours=1),
        )

    async def read(self, user: str = "bob") -> None:
        """Somebody reads everything."""
        place = {"conversationId": self.id, "userId": user}
        await self._database.memberships.update_one(place, {"$set": {"lastReadSeq": self._seq}})


@pytest.fixture
async def team(database: Database) -> Room:
    """A group."""
    members = {"alice": "admin", "bob": "member", "third": "member"}
    return Room(database, await store_conversation(database, members), "Team")


@pytest.fixture
async def direct(database: Database) -> Room:
    """Alice and Bob alone."""
    cid = await store_conversation(database, {"alice": "admin", "bob": "admin"}, type="direct", name=None)
    return Room(database, cid, None)


def text(mail: Any) -> str:
    """Its words."""
    return str(mail.get_body(("plain",)).get_content())


# ----------------------------------------------------------------------------------------- what a mail tells


async def test_one_mail_tells_everything_that_is_unread(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room, direct: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        told = [
            await team.said("@Bob first", mentions=["bob"]),
            await team.said("nobody's business"),
            await team.said("@all second", mentionAll=True),
            await direct.said("psst"),
        ]
        await team.said("taken back", mentions=["bob"], isDeleted=True)
        await mailer.deliver(*told)
        (mail,) = await server.received(1)
        await mailer.handled(5)
    assert mail["To"] == "bob@example.org"
    assert mail["Subject"] == "3 unread messages for you"
    shown = text(mail)
    assert all(words in shown for words in ("You were mentioned in Team", "@Bob first", "@all second", "psst"))
    assert "nobody's business" not in shown
    assert "taken back" not in shown
    assert server.envelopes[0].mail_from == "chat@example.org"
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", mail["Message-ID"])


async def test_the_same_messages_are_in_one_mail_only(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        first = await team.said("first", mentions=["bob"])
        await mailer.deliver(first)
        await server.received(1)
        await mailer.deliver(first, await team.said("second", mentions=["bob"]))
        _, mail = await server.received(2)
    assert mail["Subject"] == "An unread message for you"
    assert "second" in text(mail)
    assert "first" not in text(mail)


async def test_a_look_that_was_lost_with_the_broker_is_made_up_for(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        due = now() + timedelta(minutes=1)
        await database.emails.update_one({"_id": "bob"}, {"$set": {"dueAt": due}})
        await mailer.deliver(await team.said("one waits", mentions=["bob"]))
        await mailer.handled(1)
        assert await database.emails.count_documents({"dueAt": due}) == 1
        await database.emails.update_one({"_id": "bob"}, {"$set": {"dueAt": now() - timedelta(hours=1)}})
        await mailer.deliver(await team.said("none waits", mentions=["bob"]))
        (mail,) = await server.received(1)
    assert mail["Subject"] == "2 unread messages for you"


async def test_what_was_read_meanwhile_is_not_mailed(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room, direct: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("read", mentions=["bob"]), await direct.said("unread"))
        await team.read()
        (mail,) = await server.received(1)
        assert "unread" in text(mail)
        assert "Team" not in text(mail)
        await mailer.deliver(await direct.said("read too"))
        await mailer.handled(4)
        await direct.read()
        await mailer.handled(5)
    assert len(server.mails) == 1


async def test_what_has_no_room_in_a_mail_is_in_the_next(
    notifier_settings: Settings, database: Database, server: MailServer
) -> None:
    members = {"alice": "admin", "bob": "member"}
    names = [f"Room {number:02}" for number in range(2 * digest.CONVERSATIONS + 1)]
    rooms = [Room(database, await store_conversation(database, members, name=name), name) for name in names]
    async with Mailer(notifier_settings, database) as mailer:
        for number, room in enumerate(rooms, 1):
            await mailer.deliver(last := await room.said("@all", mentionAll=True))
            await mailer.handled(number)
        await wants(database, "bob")
        await mailer.deliver(last)  # nothing new: from now on a mail is due
        mails = await server.received(3)
        await mailer.handled(len(rooms) + 4)
    told = [re.findall(r"Room \d+", text(mail)) for mail in mails]
    assert [len(some) for some in told] == [digest.CONVERSATIONS, digest.CONVERSATIONS, 1]
    assert [name for some in told for name in some] == names, "first those that were noted first"


async def test_what_was_read_is_not_looked_at_again(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room, direct: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        told = [await team.said("read", mentions=["bob"]), await direct.said("unread")]
        await team.read()
        for number, one in enumerate(told, 1):  # so that the second finds that a mail is due
            await mailer.deliver(one)
            await mailer.handled(number)
        await server.received(1)
        await mailer.handled(3)
        left = {"userId": "bob", "$expr": {"$gt": ["$wantedSeq", {"$ifNull": ["$mailedSeq", 0]}]}}
        assert await database.digests.count_documents({}) == 2
        assert await database.digests.count_documents(left) == 0
        await mailer.deliver(await team.said("and on", mentions=["bob"]))
        _, mail = await server.received(2)
    assert "and on" in text(mail)


async def test_two_looks_at_once_make_one_mail(database: Database, team: Room) -> None:
    await wants(database, "bob")
    ledger = Digests(database)
    await ledger.note(await team.said("once", mentions=["bob"]))
    others: list[Any] = []

    async def after_another(emails: Any, *args: Any, **kwargs: Any) -> Any:
        """Between this look's reading and its claim another one does all of it."""
        if not others:
            others.append(await ledger.prepare("bob"))
            assert await ledger.hand_over("bob", others[0][0])
            await ledger.finish("bob", others[0][0])
        return await emails.update_one(*args, **kwargs)

    this = Digests(watched(database, Fault(), {"emails.update_one": after_another}))
    assert await this.prepare("bob") is None
    assert len(others[0][1].parts) == 1


async def test_nobody_is_mailed_who_did_not_ask_or_was_left_out(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    await wants(database, "off", digest=False)
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(
            await team.said("to who did not ask", "third", mentions=["third"]),
            await team.said("to who said no", "off", mentions=["off"]),
            await team.said("to nobody in particular"),
            await team.said("to Bob", mentions=["bob"]),
        )
        await server.received(1)
        await mailer.handled(5)
    assert [mail["To"] for mail in server.mails] == ["bob@example.org"]


async def test_who_ended_them_meanwhile_gets_none(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("first", mentions=["bob"]))
        await mailer.handled(1)
        await mailboxes.end(database, make_command(EndEmails, actor="bob"))
        await mailer.handled(2)
    assert server.mails == []


async def test_in_their_language_and_without_content_where_the_deployment_wants_it_so(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    settings = notifier_settings.model_copy(update={"email_content": False})
    async with mailing(settings, database) as mailer:
        await wants(database, "bob", language="fr")
        await mailer.deliver(await team.said("secret", mentions=["bob"]))
        (mail,) = await server.received(1)
    assert mail["Subject"] == "Un message non lu pour vous"
    assert "secret" not in mail.as_string()


# ------------------------------------------------------------------------------- mail servers that do as they like


async def test_a_mail_that_was_not_taken_is_tried_again_under_its_id(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    server.recipient = ["450 busy"]
    server.data = ["451 busy"]
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("hello", mentions=["bob"]))
        (mail,) = await server.received(1)
        await mailer.handled(4)
        assert await database.emails.count_documents({"sending": {"$exists": True}}) == 0
    assert "hello" in text(mail)


async def test_what_was_read_before_the_next_try_is_left_out(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    server.recipient = ["450 busy"]
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("hello", mentions=["bob"]))
        await eventually(lambda: not server.recipient)
        await team.read()
        await mailer.handled(3)
    assert server.mails == []


async def test_a_mail_server_that_is_away_is_waited_for(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    await server.__aexit__()
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("hello", mentions=["bob"]))
        await mailer.handled(2)
        await server.start(server.port)
        (mail,) = await server.received(1)
    assert "hello" in text(mail)


async def test_an_address_that_does_not_exist_is_not_written_to_again(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    server.recipient = ["550 no such user"]
    async with mailing(notifier_settings, database) as mailer:
        await mailer.deliver(await team.said("hello", mentions=["bob"]))
        await mailer.handled(2)
        person = await database.emails.find_one({"_id": "bob"})
        assert person is not None
        assert (person["digest"], "refusedAt" in person) == (False, True)
    assert server.mails == []


async def test_a_mail_that_may_have_been_taken_is_not_sent_again(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room
) -> None:
    """The server takes it, and its answer is lost."""

    async def lost() -> str:
        return await asyncio.Future()

    server.data = [lost]
    settings = notifier_settings.model_copy(update={"smtp_timeout": 1})
    async with mailing(settings, database) as mailer:
        await mailer.deliver(await team.said("first", mentions=["bob"]))
        await mailer.handled(2)
        await mailer.deliver(await team.said("second", mentions=["bob"]))
        _, mail = await server.received(2)
    assert "first" not in text(mail)


async def test_it_signs_in_over_tls_to_a_server_that_it_knows(
    notifier_settings: Settings, database: Database, team: Room, tmp_path: Path
) -> None:
    context, certificate = self_signed(tmp_path)
    async with MailServer(tls=context, password="pass") as server:
        known = notifier_settings.model_copy(
            update={
                "smtp_port": server.port,
                "smtp_security": "starttls",
                "smtp_ca_file": certificate,
                "smtp_user": "palabre",
                "smtp_password": SecretStr("pass"),
            }
        )
        async with mailing(known.model_copy(update={"smtp_ca_file": None}), database) as mailer:
            await mailer.deliver(await team.said("hello", mentions=["bob"]))
            await mailer.handled(2)
            assert server.logins == []
        async with Mailer(known, database):
            await server.received(1)
        assert (server.logins, server.encrypted) == (["palabre"], [True])


# ------------------------------------------------------------------------------------------------- dying


STEPS = [
    "digests.update_one",
    "publish notifier.waiting",
    "messages.find",
    "digests.bulk_write",
]


@pytest.mark.parametrize("step", STEPS)
async def test_nothing_is_mailed_twice_or_never_when_the_notifier_dies(
    notifier_settings: Settings, database: Database, server: MailServer, team: Room, step: str
) -> None:
    await wants(database, "bob")
    async with Mailer(notifier_settings, database, Fault("dies", step)) as dying:
        await dying.deliver(await team.said("hello", mentions=["bob"]))
        await eventually(partial(getattr, dying.fault, "happened"))
    async with Mailer(notifier_settings, database) as next_one:
        await server.received(1)
        await next_one.deliver(await team.said("again", mentions=["bob"]))
        await server.received(2)
    assert [("hello" in text(mail), "again" in text(mail)) for mail in server.mails] == [(True, False), (False, True)]

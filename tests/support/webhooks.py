"""Webhooks inside the test's own process: what `services/notifier` does about them, and their commands."""

import asyncio
from ipaddress import ip_network
from typing import Any, Self, TypeVar

from contracts import collections
from contracts.webhooks import CreateWebhook, WebhookCommand
from services.amqp import Inbox
from services.mongo import Database
from services.notifier.settings import Settings
from services.notifier.webhook.commands import WebhookCommands
from services.notifier.webhook.work import WebhookWork
from tests.support.builders import make_command, new_id
from tests.support.eventually import eventually
from tests.support.faults import Fault, WatchedBroker, watched
from tests.support.persister import CountingInbox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = (ip_network("127.0.0.0/8"),)
C = TypeVar("C", bound=WebhookCommand)


def webhook_settings(environment: Any, **more: Any) -> Settings:
    """The same environment, for a notifier whose webhooks may be here."""
    fields = {name: getattr(environment, name) for name in ("amqp_url", "mongodb_url", "mongodb_database", "prefix")}
    return Settings(
        **{
            **fields,
            "partitions": environment.partitions,
            "call_networks": LOOPBACK,
            "webhooks": "everybody",
            "webhook_timeout": 1.0,
            **more,
        }
    )


def asked(kind: type[C], *, actor: str = "alice", administrator: bool = False, **fields: Any) -> C:
    """A command of Alice's."""
    return make_command(kind, actor=actor, administrator=administrator, **fields)


class CountingOnes(CountingInbox):
    """Counts also what was acknowledged one by one."""

    def ack_one(self, delivery: Any) -> None:  # type: ignore[override]
        """As its parent does."""
        Inbox.ack_one(delivery)
        self.acked += delivery.live


class Webhooks:
    """Works inside its block; at the end of it, or where its fault says so, it is killed."""

    def __init__(self, settings: Settings, database: Database, fault: Fault | None = None) -> None:
        self.settings = settings
        self.database = database
        self.fault = fault or Fault()
        self.broker = WatchedBroker(settings.amqp_url, f"webhooks {new_id()}", settings.topology, self.fault)
        self.commands = WebhookCommands(settings, self.broker)
        self.work = WebhookWork(settings, self.broker, watched(database, self.fault), CountingOnes)
        inboxes = [subscription._inbox for subscription in self.broker.subscriptions]
        self.events, self.jobs = (inbox for inbox in inboxes if isinstance(inbox, CountingOnes))

    async def ask(self, command: Any) -> None:
        """Carry a command out. Raises Refusal."""
        await self.commands.handlers[command.type](self.database, command)

    async def create(self, url: str, conversation_id: str | None = None, **fields: Any) -> str:
        """A webhook; its id."""
        command = asked(
            CreateWebhook,
            **{
                "administrator": conversation_id is None,
                "conversation_id": conversation_id,
                "url": url,
                "events": [],
                "description": "",
                "secret": SECRET,
                **fields,
            },
        )
        await self.ask(command)
        return command.id

    async def done(self, jobs: int, timeout: float = 10) -> None:
        """Until so many jobs were acknowledged: delivered, given up, or handed back to RabbitMQ."""
        await eventually(lambda: self.jobs.acked >= jobs, timeout=timeout, poll=0.005)

    async def __aenter__(self) -> Self:
        self._tasks: list[asyncio.Future[None]] = [asyncio.create_task(self.broker.run())]
        async with asyncio.timeout(20):
            await self.broker.publisher.up.wait()
            await self.broker.consumer.up.wait()
        self._tasks += [asyncio.ensure_future(part) for part in self.work.parts]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for link in (self.broker.publisher, self.broker.consumer):
            link.reopen("cut by the test")
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.work.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def log_of(database: Database, hook_id: str) -> list[dict[str, Any]]:
    """The entries of a webhook's log, oldest first."""
    cursor = database[collections.WEBHOOK_DELIVERIES.name].find({"webhookId": hook_id}, sort=[("createdAt", 1)])
    return [document async for document in cursor]


async def hook(database: Database, hook_id: str) -> dict[str, Any]:
    """As it is stored."""
    document = await database[collections.WEBHOOKS.name].find_one({"_id": hook_id})
    assert document is not None
    return document

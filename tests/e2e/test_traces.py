"""One trace from a frame through both exchanges to the last gateway and the notifier; and what it costs to lose it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from opentelemetry.trace import SpanKind

from contracts.events import parse_event
from contracts.topology import Topology
from deploy.local.process import free_port
from deploy.local.servers import Server
from tests.support.chat_client import ChatClient, Rest, SendRefused
from tests.support.collector import Collector, Exported
from tests.support.eventually import eventually
from tests.support.system import System

pytestmark = pytest.mark.e2e

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100", "NO_PROXY": "127.0.0.1"}


class Pair:
    """Alice on the first gateway, Bob on the second, both in one room; and what integrators hear."""

    def __init__(self, alice: ChatClient, bob: ChatClient, rest: Rest, cid: str) -> None:
        self.alice, self.bob, self.rest, self.cid = alice, bob, rest, cid
        self.heard: list[Any] = []

    async def say(self, content: str) -> Any:
        """Alice says something, and Bob has it; her `message_sent`."""
        sent = await self.alice.send(self.cid, content)
        await eventually(lambda: content in self.bob.contents(self.cid))
        return sent

    async def event_of(self, message_id: str) -> Any:
        """The AMQP message on `chat.events` that tells of it."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [m for m in self.heard if json.loads(m.body).get("data", {}).get("id") == message_id]
            return bool(found)

        await eventually(there)
        return found[0]


@asynccontextmanager
async def running(servers: tuple[Server, Server], logs: Path, **settings: str) -> AsyncIterator[System]:
    """A system with these settings."""
    async with System(servers[0].url, servers[1].url, logs=logs, **settings) as system:
        async with asyncio.timeout(50):
            await system.ready()
        yield system


@asynccontextmanager
async def talking(system: System) -> AsyncIterator[Pair]:
    """Two people who talk, and somebody who listens to the events."""
    one, other = system.gateways
    connection = await aio_pika.connect(system.amqp_url)
    async with connection, Rest(one.url) as rest, Rest(other.url) as bob_rest:
        alice_token, bob_token = await rest.login("Alice"), await bob_rest.login("Bob")
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(Topology(system.prefix).events.name, "#")
        async with ChatClient.connect(one.ws, alice_token) as alice, ChatClient.connect(other.ws, bob_token) as bob:
            cid = (await rest.create_conversation([bob_rest.user_id], f"Room {uuid4().hex[:6]}"))["id"]
            await alice.join(cid)
            await bob.join(cid)
            pair = Pair(alice, bob, rest, cid)

            async def hear(message: Any) -> None:
                pair.heard.append(message)

            await queue.consume(hear, no_ack=True)
            yield pair


def one(spans: list[Exported], service: str, name: str) -> Exported:
    """The only such span."""
    (found,) = [span for span in spans if (span.service, span.name) == (f"palabre-{service}", name)]
    return found


async def complete(collector: Collector, trace_id: str, count: Callable[[list[Exported]], bool]) -> list[Exported]:
    """All spans of a trace, once those that are asked for have come."""
    await eventually(lambda: count(collector.of(trace_id)), timeout=20)
    return collector.of(trace_id)


async def test_one_trace_from_the_frame_to_the_last_gateway(servers: tuple[Server, Server], tmp_path: Path) -> None:
    async with (
        Collector() as collector,
        running(servers, tmp_path, TRACES=collector.url, TRACES_RATIO="1", LOG_LEVEL="debug", **QUICK) as system,
        talking(system) as pair,
    ):
        prefix = system.prefix
        sent = await pair.say("followed")
        trace_id = sent["messageId"]  # so who has one finds the other
        spans = await complete(
            collector,
            trace_id,
            lambda found: (
                sum(span.name == f"process {prefix}chat.fanout" for span in found) == 2
                and any(span.service == "palabre-notifier" and span.name.startswith("process") for span in found)
                and any(span.name == f"process {prefix}chat.commands" for span in found)
                and any(span.kind == 2 and not span.parent_id for span in found)
            ),
        )
        frame = one(spans, "gateway", "message.send")
        command = one(spans, "gateway", f"send {prefix}chat.commands")
        process = one(spans, "persister", f"process {prefix}chat.commands")
        insert = one(spans, "persister", "insert messages")
        event = one(spans, "persister", f"send {prefix}chat.events")
        notifier = one(spans, "notifier", f"process {prefix}chat.batches")
        deliveries = [span for span in spans if span.name == f"process {prefix}chat.fanout"]

        assert frame.parent_id == ""
        for parent, child in pairwise([frame, command, process, event, notifier]):
            assert child.parent_id == parent.span_id, child.name
            assert child.begun >= parent.begun
        assert insert.parent_id == process.span_id
        assert {span.parent_id for span in deliveries} == {event.span_id}
        assert len({span.instance for span in deliveries}) == 2, "one at each gateway"
        assert frame.instance in {span.instance for span in deliveries}
        # OTLP's numbers of kinds are one above those of the API.
        kinds = [frame.kind - 1, command.kind - 1, process.kind - 1, insert.kind - 1, event.kind - 1, notifier.kind - 1]
        wanted = ("SERVER", "PRODUCER", "CONSUMER", "CLIENT", "PRODUCER", "CONSUMER")
        assert kinds == [SpanKind[name].value for name in wanted]
        assert frame.attributes["palabre.seq"] == sent["seq"]
        assert frame.attributes["network.protocol.name"] == "websocket"
        assert frame.attributes["palabre.conversation.id"] == pair.cid
        assert insert.attributes["db.collection.name"] == "messages"
        assert process.begun <= insert.begun <= insert.ended <= process.ended
        assert "followed" not in repr(spans), "what people write is nobody's business"

        # The same context for integrators, in the event and beside it.
        told = await pair.event_of(trace_id)
        assert told.headers["traceparent"] == f"00-{trace_id}-{event.span_id}-01"
        parsed = parse_event(told.body)
        assert parsed.traceparent == told.headers["traceparent"]

        # A call over REST, and what is refused.
        posted = await pair.rest.send(pair.cid, "by REST")
        (call,) = [
            span
            for span in await complete(collector, posted["id"], lambda s: any(not span.parent_id for span in s))
            if not span.parent_id
        ]
        assert (call.name, call.attributes["network.protocol.name"]) == ("message.send", "http")
        with pytest.raises(SendRefused):
            await pair.alice.send("nowhere", "x")
        await eventually(lambda: any(s.attributes.get("palabre.code") == "NOT_A_MEMBER" for s in collector.spans))

        # Lines of a traced operation name its trace.
        lines = [json.loads(line) for line in system.gateways[0].log.read_text().splitlines()]
        assert [line["trace_id"] for line in lines if line["event"] == "sent" and line["message"] == trace_id] == [
            trace_id
        ]
        assert not [line for line in lines if line["event"] in ("connected", "joined") and "trace_id" in line]


async def test_without_a_collector_nothing_is_traced(system: System) -> None:
    async with talking(system) as pair:
        sent = await pair.say("unseen")
        told = await pair.event_of(sent["messageId"])
        command = sent["messageId"]
        assert told.headers["traceparent"] == f"00-{command}-{command[16:]}-00", "which says that it is not"
        assert "traceparent" not in json.loads(told.body)
        assert "trace_id" not in system.gateways[0].log.read_text()


async def test_a_client_cannot_choose_its_trace(servers: tuple[Server, Server], tmp_path: Path) -> None:
    """`traceparent` of a frame is an unknown field, and nothing is traced since somebody asks for it."""
    foreign = f"00-{uuid4().hex}-00f067aa0ba902b7-01"
    async with Collector() as collector:
        async with (
            running(servers, tmp_path, TRACES=collector.url, TRACES_RATIO="0", **QUICK) as system,
            talking(system) as pair,
        ):
            sent = await pair.alice.send(pair.cid, "follow me", traceparent=foreign)
            pair.rest.http.headers["traceparent"] = foreign
            await pair.rest.send(pair.cid, "and me")
            told = await pair.event_of(sent["messageId"])
            assert "traceparent" not in json.loads(told.body)
        assert collector.spans == [], "also after everything has stopped, which sends what is left"


@pytest.mark.timeout(120)
async def test_a_dead_collector_costs_spans_and_nothing_else(servers: tuple[Server, Server], tmp_path: Path) -> None:
    port = free_port()
    settings = {"TRACES": f"http://127.0.0.1:{port}", "TRACES_RATIO": "1", "RATE_LIMITS": "0", **QUICK}

    async with running(servers, tmp_path, **settings) as system, talking(system) as pair:
        log = system.gateways[0].log

        async def lost(times: int) -> None:
            await eventually(lambda: log.read_text().count('"traces are lost"') == times, timeout=30)

        async def talk(how: str) -> None:
            await asyncio.gather(*(pair.alice.send(pair.cid, f"{how} {number}") for number in range(500)))
            sent = await pair.say(f"{how}, at last")
            assert sent["seq"] % 501 == 0, "every message is there"

        await lost(1)  # nobody listens
        await talk("nobody")
        async with Collector(port) as collector:
            collector.status = 503
            await eventually(lambda: collector.requests > 0, timeout=20)
            await talk("refused")
            collector.status = 200
            await eventually(lambda: '"traces leave again"' in log.read_text(), timeout=20)
            sent = await pair.say("found")
            await eventually(lambda: bool(collector.of(sent["messageId"])), timeout=20)
            collector.answering.clear()  # from now on it hangs
            await pair.alice.send(pair.cid, "into the void")
            await lost(2)
            for process in system.processes:
                assert await process.stop() == 0, "and does not wait for it"
    for process in system.processes:
        lines = [json.loads(line) for line in process.log.read_text().splitlines()]
        assert [line["event"] for line in lines].count("traces are lost") <= 2, "one line, however long it is away"
        assert [line for line in lines if line["level"] in ("error", "critical")] == []
        assert lines[-1]["event"] == "stopped"

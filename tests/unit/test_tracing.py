"""What decides whether something is traced, what a line says of it, and what there is without traces."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

from contracts import fanout, lines
from contracts.errors import ErrorCode, Refusal
from contracts.topology import Topology
from contracts.tracing import carried
from services import tracing
from services.gateway.ingress import new_id
from services.gateway.settings import Settings
from services.gateway.traces import Traces
from services.tracing import Tracing, add_trace_id, traceparent
from tests.support.builders import make_message

NOWHERE = "http://127.0.0.1:9/v1/traces"


@pytest.fixture(scope="module")
def spans():
    """Makes spans that nobody takes."""
    made = Tracing(NOWHERE, "gateway", "g")
    yield made
    made.close()


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.5, 1.0])
def test_as_many_are_traced_as_the_ratio_says(spans: Tracing, ratio: float) -> None:
    traces = Traces(spans, ratio, Topology())
    count = 20_000
    sampled = sum(traces.samples(new_id()) for _ in range(count))
    # Eight standard deviations: by chance, never.
    assert abs(sampled - ratio * count) <= 8 * (ratio * (1 - ratio) * count) ** 0.5


def test_a_trace_has_the_commands_id_and_every_span_is_sampled(spans: Tracing) -> None:
    command_id = new_id()
    root = spans.root(command_id, "message.send", {})
    sending = spans.sending(root, "chat.commands", {})
    processing = spans.processing(traceparent(sending), "chat.commands", {})
    assert traceparent(root).startswith(f"00-{command_id}-")
    for span in (root, sending, processing):
        assert span.is_recording()
        assert (f"{span.get_span_context().trace_id:032x}", traceparent(span)[-3:]) == (command_id, "-01")


def test_a_request_ends_with_its_answer_whatever_it_is(spans: Tracing) -> None:
    traces = Traces(spans, 1.0, Topology())
    command = make_message("c", "m")
    answers: list[object] = []
    seen: list[str] = []

    def answered(answer: object) -> None:
        answers.append(answer)
        seen.append(add_trace_id(None, "", {"event": "sent"})["trace_id"])

    line, told = traces.begin(command, "message.send.00", command.encode(), answered)
    (sending,) = traces._sending.values()
    assert carried(line) == traceparent(sending)
    refusal = Refusal(ErrorCode.TIMEOUT)
    told(refusal)
    assert (answers, seen) == ([refusal], [command.id])
    assert not sending.is_recording(), "it was never confirmed, and ends all the same"
    assert not traces._sending
    assert tracing.current() == ()


def test_of_the_fan_out_what_concerns_somebody_here_is_traced(spans: Tracing) -> None:
    traces = Traces(spans, 1.0, Topology())
    context = traceparent(spans.root(new_id(), "message.send", {}))
    item = fanout.Reply(command_id="a")
    body = lines.pack([fanout.pack([(item, fanout.NULL)], context), fanout.pack([(item, fanout.NULL)])])
    for concerns in (True, False):
        begun: list[str] = []

        def read(body: bytes, concerns: bool = concerns, begun: list[str] = begun) -> None:
            list(fanout.unpack(body, traces.noticing(lambda _: concerns)))
            begun += [traceparent(span)[:35] for span in tracing.current()]

        traces.delivering(read)(body)
        assert begun == ([context[:35]] if concerns else [])
        assert not any(span.is_recording() for span in traces._delivering)


def test_a_line_names_the_trace_that_it_belongs_to(spans: Tracing) -> None:
    one, other = new_id(), new_id()
    both = [spans.root(command_id, "x", {}) for command_id in (one, other)]
    assert add_trace_id(None, "", {"event": "e"}) == {"event": "e"}
    with tracing.during(both[:1]):
        assert add_trace_id(None, "", {"event": "e"}) == {"event": "e", "trace_id": one}
    with tracing.during(both):
        assert add_trace_id(None, "", {"event": "e"}) == {"event": "e", "trace_ids": [one, other]}
        assert add_trace_id(None, "", {"event": "e", "command": other})["trace_id"] == other
        assert "trace_id" not in add_trace_id(None, "", {"event": "e", "command": "one that is not traced"})


def test_an_error_is_that_of_its_spans(spans: Tracing) -> None:
    span = spans.root(new_id(), "x", {})
    with pytest.raises(ValueError, match="no"), tracing.working([span]):
        raise ValueError("no")
    assert not span.is_recording()
    assert span.status.description == "ValueError"  # type: ignore[attr-defined]


def test_a_full_queue_is_said_once_and_a_failure_of_the_sdk_is_logged(
    spans: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    told = tracing._Told(NOWHERE)
    monkeypatch.setattr(
        tracing, "logger", lambda: SimpleNamespace(warning=lambda event, **_: said.append(event), info=said.append)
    )

    def passes(name: str, level: int) -> bool:
        return told.filter(logging.LogRecord(name, level, "", 0, "Queue full", (), None))

    assert not any(passes(tracing.QUEUE, logging.WARNING) for _ in range(3))
    assert not passes(tracing.EXPORTER, logging.ERROR)
    assert passes(tracing.QUEUE, logging.ERROR)
    assert said == ["more traces than leave in time"]


def test_off_is_none() -> None:
    settings = Settings(auth_dev=True)
    assert tracing.start(settings, "gateway", "g") is None
    assert tracing.in_logs(settings) == []


WITHOUT = """
import sys
for name in ("opentelemetry.sdk", "opentelemetry.exporter"):
    sys.modules[name] = None  # as if it were not installed
import services.gateway.app, services.persister.__main__, services.notifier.__main__

from services import tracing
from services.settings import ServiceSettings, load
tracing.start(load(ServiceSettings), "gateway", "g")
print("works")
"""


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:4318"])
def test_without_the_extra_it_is_off_or_says_so(endpoint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, env={"TRACES": endpoint, "PYTHONPATH": "."}
    )
    if endpoint:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("TRACES: the extra `otel` is not installed")
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "works\n", "")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector:4318/", "https://collector:4318/v1/traces"),
        ("http://collector/otlp/v1/traces", "http://collector/otlp/v1/traces"),
    ],
)
def test_an_address_alone_is_enough(given: str, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(tracing, "Tracing", lambda endpoint, *_: asked.append(endpoint))
    tracing.start(Settings(auth_dev=True, traces=given), "gateway", "g")
    assert asked == [used]

"""OpenTelemetry traces of the few operations that are sampled. While TRACES is not set, nothing of it is even imported.

The gateway decides once, at a command's beginning, whether it is traced; everybody after it goes by the `traceparent` that
it carries. Spans are handed to a thread of the SDK's, over a bounded queue: a collector that is slow or away costs spans,
and nothing else. Names and attributes: https://opentelemetry.io/docs/specs/semconv/messaging/
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.settings import ServiceSettings
from services.telemetry import logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span

Attributes = dict[str, str | int | float | bool]

QUEUED = 4096  # spans that wait to leave; of more, the oldest are dropped
TIMEOUT = 5.0  # seconds that the collector may take, further tries included
LAST = 2.0  # seconds that a process which stops gives what has not left yet
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"  # loggers
QUEUE = "opentelemetry.sdk._shared_internal"

# The spans of what is being done: several, where it is done for several commands together.
_current: ContextVar[Sequence["Span"]] = ContextVar("spans", default=())


def current() -> Sequence["Span"]:
    """The spans of what is being done."""
    return _current.get()


@contextmanager
def during(spans: Sequence["Span"]) -> Iterator[None]:
    """These are the current spans within the block."""
    token = _current.set(spans)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def working(spans: Sequence["Span"]) -> Iterator[None]:
    """Likewise, and they end with the block; an error that leaves it is theirs."""
    try:
        with during(spans):
            yield
    except BaseException as error:
        for span in spans:
            fail(span, type(error).__name__)
        raise
    finally:
        for span in spans:
            span.end()


def fail(span: "Span", reason: str) -> None:
    """What it stands for failed."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", reason)
    span.set_status(StatusCode.ERROR, reason)


def in_logs(settings: ServiceSettings) -> list[Any]:
    """What `start_logging` needs besides, so that lines name the trace that they belong to."""
    return [] if settings.traces is None else [add_trace_id]


def add_trace_id(_: Any, __: str, line: Any) -> Any:
    """A line with the trace that it belongs to, or the traces. That of a command has the command's id."""
    spans = _current.get()
    if not spans:
        return line
    ids = list(dict.fromkeys(f"{span.get_span_context().trace_id:032x}" for span in spans))
    if "command" in line:
        return {**line, "trace_id": line["command"]} if line["command"] in ids else line
    return {**line, "trace_id": ids[0]} if len(ids) == 1 else {**line, "trace_ids": ids}


class Tracing:
    """Makes spans, and has them sent to the collector."""

    def __init__(self, endpoint: str, service: str, instance: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

        self._trace = trace
        told = _Told(endpoint)

        class Ids(RandomIdGenerator):
            """A trace that begins here has the id that it is given: what is logged about a command leads to it."""

            wanted = 0

            def generate_trace_id(self) -> int:
                return self.wanted

            def is_trace_id_random(self) -> bool:
                return False  # a UUIDv7 begins with the time

        class Telling(SpanExporter):
            """Sends, and says in one line when the collector is away and when it is back."""

            def __init__(self) -> None:
                self._exporter = OTLPSpanExporter(endpoint, timeout=TIMEOUT)

            def export(self, spans: Sequence["ReadableSpan"]) -> SpanExportResult:
                result = self._exporter.export(spans)
                told.went(result is SpanExportResult.SUCCESS, len(spans))
                return result

            def shutdown(self) -> None:
                self._exporter.shutdown()  # type: ignore[no-untyped-call]

        self._ids = Ids()
        self._told = told
        # What is traced was decided before (`Traces` of the gateway), so a beginning always is. The SDK would ask the ids
        # for randomness in bits that a UUIDv7 has fixed.
        self._provider = TracerProvider(
            sampler=ParentBased(root=ALWAYS_ON),
            id_generator=self._ids,
            resource=Resource.create(
                {
                    "service.namespace": "palabre",
                    "service.name": f"palabre-{service}",
                    "service.instance.id": instance,
                }
            ),
            shutdown_on_exit=False,  # it would wait as long as it takes; `close` does not
        )
        self._provider.add_span_processor(BatchSpanProcessor(Telling(), max_queue_size=QUEUED))
        self._tracer = self._provider.get_tracer("palabre")

    def root(self, trace_id: str, name: str, attributes: Attributes) -> "Span":
        """The beginning of a trace, whose id is 32 hexadecimal digits: somebody asks for something."""
        self._ids.wanted = int(trace_id, 16)
        return self._tracer.start_span(name, kind=self._trace.SpanKind.SERVER, attributes=attributes)

    def sending(self, parent: "Span", exchange: str, attributes: Attributes) -> "Span":
        """Something is handed to an exchange of RabbitMQ."""
        return self._tracer.start_span(
            f"send {exchange}",
            self._trace.set_span_in_context(parent),
            self._trace.SpanKind.PRODUCER,
            {**_messaging(exchange, "send"), **attributes},
        )

    def processing(self, traceparent: str, exchange: str, attributes: Attributes) -> "Span":
        """Something that came by an exchange is worked on; `traceparent` is that of its sending."""
        context = self._trace.SpanContext(
            int(traceparent[3:35], 16),
            int(traceparent[36:52], 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(1),
        )
        return self._tracer.start_span(
            f"process {exchange}",
            self._trace.set_span_in_context(self._trace.NonRecordingSpan(context)),
            self._trace.SpanKind.CONSUMER,
            {**_messaging(exchange, "process"), **attributes},
        )

    def called(self, parent: "Span", name: str, begun: int, attributes: Attributes, error: str | None) -> None:
        """Another server was called and has answered now; `begun` in nanoseconds since 1970."""
        span = self._tracer.start_span(
            name,
            self._trace.set_span_in_context(parent),
            self._trace.SpanKind.CLIENT,
            attributes,
            start_time=begun,
        )
        if error is not None:
            fail(span, error)
        span.end()

    def close(self) -> None:
        """Let leave what waits, for a moment, and none where the collector is away anyway."""
        # In a thread that the end of the process does not wait for: a collector may hang.
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(0 if self._told.away else LAST)


def traceparent(span: "Span") -> str:
    """How a span is told to whoever goes on (W3C Trace Context)."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def start(settings: ServiceSettings, service: str, instance: str) -> Tracing | None:
    """Traces, where they are wanted. An address alone is that of a collector with the usual path."""
    if (url := settings.traces) is None:
        return None
    return Tracing(url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1/traces", service, instance)


def _messaging(exchange: str, operation: str) -> Attributes:
    return {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": exchange,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }


class _Told(logging.Filter):
    """Whether the collector is away. Takes the SDK's lines, of which there are one or more for each try, and for each span
    that finds the queue full."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.away = False
        self._endpoint = endpoint
        self._reason = ""
        self._full = False
        for name in (EXPORTER, QUEUE):
            logging.getLogger(name).addFilter(self)
        for name in ("urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def filter(self, record: logging.LogRecord) -> bool:
        """Remember the first reason, and log nothing but what is worse."""
        if record.name == QUEUE:
            if record.levelno == logging.WARNING and not self.away and not self._full:
                self._full = True  # said once: whoever changes the ratio starts the process again
                logger().warning("more traces than leave in time", collector=self._endpoint)
            return record.levelno > logging.WARNING
        self._reason = self._reason or record.getMessage()
        return False

    def went(self, well: bool, count: int) -> None:
        """So many spans have left, or were lost."""
        if well and self.away:
            logger().info("traces leave again", collector=self._endpoint)
        if not well and not self.away:
            logger().warning("traces are lost", collector=self._endpoint, spans=count, reason=self._reason)
        self.away, self._reason = not well, ""

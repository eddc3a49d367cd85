"""A collector of OpenTelemetry traces in the test's own process: takes OTLP/HTTP, and remembers every span."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.process import free_port
from services.worker import QuietServer


@dataclass(frozen=True)
class Exported:
    """A span as it came; ids as hexadecimal digits, `parent_id` empty where its trace begins, times in nanoseconds."""

    service: str
    instance: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    begun: int
    ended: int
    error: str
    attributes: dict[str, Any]


class Collector:
    """Listens inside its block. `status` is what it answers; `requests` counts what came, whatever was answered."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.spans: list[Exported] = []
        self.status = 200
        self.requests = 0
        self.answering = asyncio.Event()
        self.answering.set()
        application = Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])
        self._server = QuietServer(
            uvicorn.Config(application, port=self.port, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        )

    async def _take(self, request: Request) -> Response:
        self.requests += 1
        body = await request.body()
        await self.answering.wait()
        if self.status == 200:
            self.spans += _read(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        return Response(answer, self.status, media_type="application/x-protobuf")

    def of(self, trace_id: str) -> list[Exported]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answering.set()
        self._server.should_exit = True
        await self._serving


def _read(request: ExportTraceServiceRequest) -> Iterator[Exported]:
    for resource in request.resource_spans:
        about = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Exported(
                    service=about["service.name"],
                    instance=about["service.instance.id"],
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    begun=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    error=span.status.message,
                    attributes=_values(span.attributes),
                )


def _values(attributes: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, str(pair.value.WhichOneof("value")))

    return {pair.key: value(pair) for pair in attributes}

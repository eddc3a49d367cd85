"""Logs for people and programs, and the exposition of metrics. Metrics themselves belong to their service."""

import logging
import sys
from typing import Any

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from structlog.tracebacks import ExceptionDictTransformer

from services.settings import ServiceSettings


def start_logging(settings: ServiceSettings, service: str, instance: str) -> None:
    """One line an event on standard error, JSON unless a person watches; libraries' lines go the same way."""

    def named(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**line, "service": service, "instance": instance}

    shared: list[Any] = [
        named,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [
            # Never with local variables: they hold tokens, secrets and what people write.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in ("uvicorn.access", "httpx"):
        # Their requests are told by our own lines, once.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("pymongo").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *last],
        # Our own lines go out directly: the way through `logging` takes five times as long.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # What is below the level costs a call that does nothing.
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
    )
    global _logger
    _logger = structlog.get_logger().bind()


def _json(line: Any, **options: Any) -> str:
    return orjson.dumps(line, default=options["default"]).decode()


_logger: Any = structlog.get_logger()


def logger() -> Any:
    """A structured logger: `logger().info("joined", conversation=..., user=...)`."""
    return _logger


def metrics_response() -> Response:
    """All metrics of this process, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

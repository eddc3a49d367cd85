"""Logs for people and programs, and the exposition of metrics. Metrics themselves belong to their service."""

import logging
import signal
import sys
from typing import Any

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from structlog.tracebacks import ExceptionDictTransformer

from services.settings import ServiceSettings


def start_logging(settings: ServiceSettings, service: str, instance: str, *more: structlog.typing.Processor) -> None:
    """One line an event on standard error, JSON unless a person watches; libraries' lines go the same way.

    `more`: what else adds something to each line.
    """

    def named(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**line, "service": service, "instance": instance}

    shared: list[Any] = [
        named,
        *more,
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
    for name in ("uvicorn.access", "httpx", "httpcore"):
        # Their requests are told by our own lines, once, and without secrets.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("pymongo").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *last],
        # Our own lines go out directly: the way through `logging` takes five times as long.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    global _usual
    _usual = settings.log_level
    _set_level(_usual)


def heed_signals() -> None:
    """SIGUSR1 logs everything from now on, SIGUSR2 what LOG_LEVEL says: no restart, which would lose what is looked for."""

    def on_signal(number: int, _: object) -> None:
        level = "debug" if number == signal.SIGUSR1 else _usual
        _set_level(level)
        logger().warning("log level changed", to=level)

    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, on_signal)


def _set_level(level: str) -> None:
    global _logger
    logging.getLogger().setLevel(level.upper())
    # What is below the level costs a call that does nothing.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    _logger = structlog.get_logger().bind()


def _json(line: Any, **options: Any) -> str:
    return orjson.dumps(line, default=options["default"]).decode()


_logger: Any = structlog.get_logger()
_usual = "info"


def logger() -> Any:
    """A structured logger: `logger().info("joined", conversation=..., user=...)`."""
    return _logger


def metrics_response() -> Response:
    """All metrics of this process, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

"""What is logged, in a process of its own, since logging is set up once for all."""

import json
import subprocess
import sys

import pytest

FAILURE = """
from services.settings import ServiceSettings
from services.telemetry import logger, start_logging
start_logging(ServiceSettings(log_format="{log_format}"), "gateway", "g1")
def verify(token):
    raise RuntimeError("no")
try:
    verify("a token that nobody " + "should read")
except RuntimeError as error:
    logger().error("failed", exc_info=error)
logger().debug("not shown")
"""


def logged(log_format: str) -> str:
    """What a process that logs an exception writes."""
    script = FAILURE.replace("{log_format}", log_format)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_an_exception_is_logged_without_what_was_worked_on(log_format: str) -> None:
    lines = logged(log_format)
    assert "RuntimeError" in lines
    assert "verify" in lines
    assert "a token that nobody should read" not in lines
    assert "not shown" not in lines


def test_a_line_says_who_logged_it() -> None:
    (line,) = logged("json").splitlines()
    fields = json.loads(line)
    assert (fields["event"], fields["level"], fields["service"], fields["instance"]) == (
        "failed",
        "error",
        "gateway",
        "g1",
    )

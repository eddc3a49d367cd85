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


SIGNALS = """
import os, signal
from services.settings import ServiceSettings
from services.telemetry import heed_signals, logger, start_logging
start_logging(ServiceSettings(log_format="json", log_level="warning"), "gateway", "g1")
heed_signals()
logger().info("before")
os.kill(os.getpid(), signal.SIGUSR1)
logger().debug("while somebody looks")
os.kill(os.getpid(), signal.SIGUSR2)
logger().info("after")
"""


def test_the_level_changes_without_a_restart() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALS], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line.get("level")) for line in lines if line["event"] != "log level changed"] == [
        ("while somebody looks", "debug")
    ]
    assert len(lines) == 3

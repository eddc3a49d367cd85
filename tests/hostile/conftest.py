"""Whatever a stranger sends, no service may say that something failed: its log is looked at after every test."""

from collections.abc import Iterator

import pytest

from tests.support.logs import Logs
from tests.support.system import Process, System


@pytest.fixture(autouse=True)
def logs(system: System) -> Iterator[Logs]:
    """The logs of all services; a test that expects an error says so in `allowed`."""
    logs = Logs(system.processes)
    yield logs
    assert logs.faults() == []


@pytest.fixture
def gateway(system: System) -> Process:
    """The one that most tests talk to."""
    return system.gateways[0]

"""In `make test`: a seeded choice of faults while people talk, and nothing is lost. `make faults` is the whole of it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.servers import Server
from tests.faults import replica_set
from tests.faults.performance import Performance
from tests.faults.replica_set import ReplicaSet
from tests.faults.report import Report
from tests.faults.stage import Stage
from tests.faults.verdict import verdict

pytestmark = pytest.mark.e2e
SEED = int(os.environ.get("FAULTS_SEED", "1"))
# Each takes a few seconds; those that take longer are for `make faults`.
ALONE = ("gateway killed", "persister killed", "MongoDB's primary steps down", "poison in every queue", "deploy")
MIXED = (
    "gateway stopped",
    "persister stopped",
    "notifier killed",
    "connections to RabbitMQ cut",
    "partition queue deleted",
    "partition queue purged",
    "MongoDB hangs up",
    "MongoDB's answer lost",
    "clients lose their network",
    "clients reconnect in a loop",
)
MIXES = 4
DEATHS = {"persister": 4, "notifier": 2}


@pytest.fixture
async def stage(servers: tuple[Server, Server], tmp_path: Path) -> AsyncIterator[Stage]:
    """People who talk on the session's RabbitMQ and a MongoDB of three members."""
    program = replica_set.available()
    if program is None:
        pytest.skip("the replica set needs a mongod on this machine")
    async with (
        ReplicaSet(program, tmp_path / "mongodb") as database,
        Stage(servers[0], database, tmp_path, SEED, rooms=4) as stage,
    ):
        stage.crowd.talk()
        await stage.recovery()
        yield stage


@pytest.mark.timeout(240)
async def test_nothing_is_lost_whatever_breaks(stage: Stage) -> None:
    performance = Performance(stage, print)
    # How long it takes is told by `make faults`: this machine may be busy with something else.
    await performance.alone(performance.possible(ALONE), timed=False)
    for service, most in DEATHS.items():
        await performance.deaths(service, most=most)
    mixes = iter(range(MIXES))
    await performance.mixed(performance.possible(MIXED), lambda: next(mixes, None) is not None)
    report = Report(stage, performance, await verdict(stage), seconds=0)
    assert report.good, report.text()
    assert stage.crowd.acked > 0
    assert performance.faults >= len(ALONE) + sum(DEATHS.values()) + MIXES

"""How long `palabre prepare` waits for servers that are away, and what it says meanwhile."""

import asyncio

import pytest

from services.cli import preparing
from services.cli.preparing import Away
from services.settings import ServiceSettings

WAIT = 60.0


class Clock:
    """Time passes only where it is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(preparing, "monotonic", clock)
    monkeypatch.setattr(preparing, "sleep", clock.sleep)
    return clock


async def test_both_servers_share_what_is_waited(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def rabbitmq(*_: object) -> None:
        if clock.now < WAIT - 20:
            raise ConnectionError("no RabbitMQ yet")

    async def mongodb(_: ServiceSettings) -> None:
        raise ConnectionError("MongoDB does not answer") from OSError("no route to host")

    monkeypatch.setattr(preparing, "_prepare_rabbitmq", rabbitmq)
    monkeypatch.setattr(preparing, "prepare_mongodb", mongodb)
    with pytest.raises(Away, match="MongoDB is away: no route to host"):
        await preparing._prepare(ServiceSettings(partitions=16), WAIT, False)
    assert clock.now == WAIT
    said = capsys.readouterr().out.splitlines()
    # From the first try on, every five seconds.
    assert said == [
        *["RabbitMQ is away: no RabbitMQ yet"] * 8,
        "RabbitMQ is ready, with 16 partitions.",
        *["MongoDB is away: no route to host"] * 4,
    ]


async def test_a_server_that_takes_connections_and_says_no_more_is_away_too(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(preparing, "LAST_TRY", 0.01)
    monkeypatch.setattr(preparing, "_prepare_rabbitmq", silent)
    with pytest.raises(Away, match="RabbitMQ is away: TimeoutError"):
        await preparing._prepare(ServiceSettings(), 0.0, False)

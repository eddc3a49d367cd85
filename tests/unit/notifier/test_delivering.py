"""When a webhook is tried again."""

from services.notifier.webhook import delivering
from services.notifier.webhook.delivering import wait_after

DAY = 24 * 3600


def test_each_wait_is_four_times_as_long_up_to_the_longest_and_none_is_like_another() -> None:
    for attempt, middle in enumerate((5, 20, 80, 320, 1280, 5120, 14400, 14400)):
        waits = {wait_after(attempt) for _ in range(200)}
        assert min(waits) >= middle * 0.75
        assert max(waits) <= middle * 1.25
        assert len(waits) > 100
    assert wait_after(10**6) <= delivering.LONGEST_RETRY * 1.25


def test_a_day_holds_a_dozen_attempts() -> None:
    passed, attempts = 0.0, 0
    while passed < DAY:
        passed += wait_after(attempts)
        attempts += 1
    assert 10 <= attempts <= 15


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks_within_reason() -> None:
    assert wait_after(0, asked=120) == 120
    assert wait_after(3, asked=1) > 200
    assert wait_after(0, asked=10**7) == delivering.LONGEST_RETRY

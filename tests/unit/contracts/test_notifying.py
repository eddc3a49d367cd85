"""What people ask of the notifier: settings that are well-formed, and hours in which nobody is to be disturbed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import commands, notifying
from contracts.notifying import DoNotDisturb, NotificationSettings
from tests.support.examples import common

NIGHT = DoNotDisturb(start="22:00", end="07:00", time_zone="Europe/Paris", days=["mon"])
LUNCH = DoNotDisturb(start="12:00", end="13:30", time_zone="America/New_York", days=["mon", "tue"])
ALWAYS = DoNotDisturb(start="08:00", end="08:00", time_zone="UTC")


@pytest.mark.parametrize(
    ("hours", "moment", "within"),
    [  # 2026-01-05 is a Monday
        (NIGHT, "2026-01-05T20:59Z", False),
        (NIGHT, "2026-01-05T21:00Z", True),
        (NIGHT, "2026-01-05T23:30Z", True),  # Tuesday, there
        (NIGHT, "2026-01-06T05:59Z", True),
        (NIGHT, "2026-01-06T06:00Z", False),
        (NIGHT, "2026-01-06T21:30Z", False),
        (NIGHT, "2026-01-05T05:00Z", False),  # Sunday's night
        (NIGHT, "2026-07-06T20:00Z", True),  # an hour earlier in summer
        (LUNCH, "2026-01-05T16:59Z", False),
        (LUNCH, "2026-01-05T17:00Z", True),
        (LUNCH, "2026-01-05T18:30Z", False),
        (LUNCH, "2026-01-07T17:30Z", False),
        (ALWAYS, "2026-01-05T07:59Z", True),
        (ALWAYS, "2026-01-05T08:00Z", True),
    ],
)
def test_hours_are_those_of_where_somebody_lives(hours: DoNotDisturb, moment: str, within: bool) -> None:
    assert hours.covers(datetime.fromisoformat(moment).astimezone(UTC)) is within


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", "24:00"),
        ("from", "7:00"),
        ("to", "07:60"),
        ("to", 7),
        ("timeZone", "Europe/Nowhere"),
        ("timeZone", "Europe"),
        ("timeZone", "../../etc/passwd"),
        ("timeZone", ""),
        ("timeZone", "x" * 200),
        ("days", []),
        ("days", ["monday"]),
        ("days", "mon"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: Any) -> None:
    good = {"from": "22:00", "to": "07:00", "timeZone": "Europe/Paris", "days": ["mon"]}
    DoNotDisturb.model_validate(good)
    with pytest.raises(ValidationError, match=field):
        DoNotDisturb.model_validate(good | {field: value})


def test_without_settings_somebody_is_told_of_everything_every_day() -> None:
    assert NotificationSettings() == NotificationSettings(level="all", do_not_disturb=None)
    every_day = DoNotDisturb.model_validate({"from": "22:00", "to": "07:00", "timeZone": "UTC"})
    assert every_day.days == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def test_what_is_for_the_notifier_has_no_partition_and_two_words() -> None:
    command = notifying.StoreNotificationSettings(**common(), settings=NotificationSettings())
    assert commands.routing_key(command, 16) == "notifier.settings"
    assert notifying.decode(command.encode()) == command

"""When somebody is not to be disturbed, by their own clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analytics.alerts.alert import Severity
from analytics.notifications.planning import Told, plan, plan_test
from analytics.notifications.quiet_hours import QuietHours
from common.instants import datetime_to_ms
from tests.unit.analytics.notifications.notices import MAIL, START_MS, an_alert, over, preferences

NIGHT = QuietHours(22 * 60, 7 * 60)
NOON = QuietHours(12 * 60, 13 * 60 + 30)
ALL_DAY = QuietHours(0, 1439)


def at(text: str) -> int:
    """An instant of UTC, milliseconds."""
    return datetime_to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("hours", "zone", "now", "until"),
    [
        pytest.param(NIGHT, "", "2026-01-05T21:59:59", "2026-01-05T21:59:59", id="a moment before"),
        pytest.param(NIGHT, "", "2026-01-05T22:00:00", "2026-01-06T07:00:00", id="before midnight"),
        pytest.param(NIGHT, "", "2026-01-06T06:59:59", "2026-01-06T07:00:00", id="after midnight"),
        pytest.param(NIGHT, "", "2026-01-06T07:00:00", "2026-01-06T07:00:00", id="when they are over"),
        pytest.param(NIGHT, "Asia/Kolkata", "2026-01-05T17:00:00", "2026-01-06T01:30:00", id="by another clock"),
        pytest.param(NIGHT, "Europe/Berlin", "2026-03-28T22:00:00", "2026-03-29T05:00:00", id="a night of 8 hours"),
        pytest.param(NIGHT, "Europe/Berlin", "2026-10-24T21:00:00", "2026-10-25T06:00:00", id="a night of 10 hours"),
        pytest.param(NOON, "", "2026-01-05T12:15:00", "2026-01-05T13:30:00", id="within a day"),
        pytest.param(NOON, "", "2026-01-05T13:30:00", "2026-01-05T13:30:00", id="after them"),
    ],
)
def test_what_is_due_in_quiet_hours_is_told_when_they_are_over(
    hours: QuietHours, zone: str, now: str, until: str
) -> None:
    """By the clock on the wall, over midnight and over the days on which it is changed."""
    assert hours.until_ms(at(now), zone) == at(until)


def test_hours_that_end_as_they_begin_are_none() -> None:
    """Whoever sets both to the same wants none."""
    assert QuietHours(600, 600).until_ms(at("2026-01-05T10:00:00"), "") == at("2026-01-05T10:00:00")


def test_what_is_critical_is_told_at_once_and_everything_else_waits() -> None:
    """A test too, for somebody waits for it."""
    jo = preferences(MAIL, quiet_hours=ALL_DAY, is_told_when_over=True)
    quiet_until_ms = ALL_DAY.until_ms(START_MS, "")

    def due_ms(severity: Severity) -> list[int | None]:
        planned = plan(over(an_alert(severity)), jo, Told(), is_first=True, now_ms=START_MS)
        return [delivery.due_ms for delivery in planned.deliveries]

    assert quiet_until_ms > START_MS
    assert due_ms(Severity.HIGH) == [quiet_until_ms] * 2
    assert due_ms(Severity.CRITICAL) == [START_MS] * 2
    assert [one.due_ms for one in plan_test("t-1", jo, jo.routes, START_MS).deliveries] == [START_MS]

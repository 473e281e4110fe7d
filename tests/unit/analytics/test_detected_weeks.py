"""The voltage of seven days as the stream shows it: a bad week is seen once, and gone once it is past."""

from __future__ import annotations

import pytest

from analytics.alerts.alert import AlertType
from tests.unit.analytics.watched import MINUTE_MS, Desk


@pytest.fixture
def desk() -> Desk:
    """Nothing seen yet."""
    return Desk()


def slots(desk: Desk, count: int, voltage_v: float) -> None:
    """So many times ten minutes of a voltage."""
    for _ in range(count):
        desk.clock_ms += 10 * MINUTE_MS - MINUTE_MS
        desk.look([desk.next("meter-1", voltage_v=voltage_v)])


def coming(desk: Desk, at_ms: int | None = None) -> int:
    """How many means over ten minutes are still to come of the day of the newest reading, or of another."""
    return 144 - (desk.clock_ms if at_ms is None else at_ms) % 86_400_000 // 600_000


WEEK = ("meter-1", "VOLTAGE_WEEK_OUT_OF_BAND", True)


def test_a_week_of_bad_voltage_is_seen_once_and_gone_when_it_is_past(desk: Desk) -> None:
    """More than one in twenty of the ten minutes of seven days."""
    slots(desk, 6 * 144, 230.0)
    slots(desk, 45, 200.0)
    slots(desk, 1, 230.0)
    assert WEEK not in desk.take()
    slots(desk, 1, 200.0)
    slots(desk, 1, 230.0)
    assert WEEK in desk.take()
    assert desk.sightings[-1].measured == pytest.approx(100 * 46 / (911 + coming(desk)))
    assert desk.sightings[-1].expected == 5.0
    slots(desk, 8 * 144, 230.0)
    said = [is_new for _, _, is_new in desk.take()]
    assert (said[-1], said.count(None), said.count(True)) == (None, 1, 0)


def test_a_single_mean_beyond_all_limits_is_a_bad_week(desk: Desk) -> None:
    """Though little of it was measured."""
    slots(desk, 9, 230.0)
    slots(desk, 1, 195.0)
    slots(desk, 1, 230.0)

    assert WEEK in desk.take()
    assert desk.sightings[-1].measured == pytest.approx(100 / (10 + coming(desk)))
    assert desk.sightings[-1].expected == 0.0


def test_of_a_week_that_was_measured_in_part_only_that_part_counts(desk: Desk) -> None:
    """A meter that sends every other hour, and of whose means one in twelve is bad; those of two days must be there."""
    seen_at = []
    for hour in range(7 * 24):
        for slot in range(6):
            desk.clock_ms += 10 * MINUTE_MS - MINUTE_MS
            readings = [desk.next("meter-1", voltage_v=200.0 if slot == 0 and hour % 4 == 0 else 230.0)]
            desk.look(readings if hour % 2 == 0 else [])
        if WEEK in desk.take():
            seen_at.append(hour)

    assert seen_at == [96]
    week = next(one for one in desk.sightings if one.cause.type is AlertType.VOLTAGE_WEEK_OUT_OF_BAND)
    assert week.measured == pytest.approx(100 * 24 / (288 + coming(desk, week.seen_ms)))

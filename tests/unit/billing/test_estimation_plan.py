"""What is missing of a meter is found and filled: by whom it stands, by like days, by registers, and never twice."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation
from billing.log.reading_quality import ESTIMATE_REVISION_FIRST, ReadingQuality
from billing.log.schema import KINDS
from billing.metering.meter_facts import MeterFacts
from billing.metering.reading_series import TimedReading
from billing.validation.estimation_plan import EstimationPlan
from common.local_time import local_day, wall_clock

QUARTER_MS = 900_000
HOUR_MS = 4 * QUARTER_MS
ZONE = ZoneInfo("Europe/Berlin")
METER = MeterFacts("meter-1", QUARTER_MS, "Europe/Berlin", 20.0, 6)
NOTHING = (None,) * (len(KINDS["meter"].columns) - 4)


def reading(
    at_ms: int, energy: int | None, *, register: int | None = None, revision: int = 0, quality: int = 0
) -> TimedReading:
    """A quarter-hour with this import and the register at its end."""
    values = (energy, None, register, None, *NOTHING)
    return at_ms, Observation(at_ms % HOUR_MS, revision, QUARTER_MS, at_ms, at_ms, values, quality)


def shape(at_ms: int) -> int:
    """An energy that only the local clock and the class of the day decide."""
    clock = wall_clock(at_ms, ZONE)
    return 1000 + clock.minute + (50_000 if clock.weekday >= 5 else 0)


def days(first: date, last: date) -> list[TimedReading]:
    """Every quarter-hour from one local day to the end of another."""
    start_ms, end_ms = local_day(first, ZONE).start_ms, local_day(last, ZONE).end_ms
    return [reading(at_ms, shape(at_ms)) for at_ms in range(start_ms, end_ms, QUARTER_MS)]


def without(some: list[TimedReading], start_ms: int, end_ms: int) -> list[TimedReading]:
    """The readings but those that start in a window."""
    return [one for one in some if not start_ms <= one[0] < end_ms]


def shown(estimates: list[LoggedReading]) -> dict[int, int | float | None]:
    """Import by start."""
    return {one.start_ms: one.values[0] for one in estimates}


def test_a_short_gap_is_a_line_and_says_so() -> None:
    """Two quarter-hours between 300 and 600."""
    some = [reading(0, 300), reading(3 * QUARTER_MS, 600)]

    found = EstimationPlan(METER, some, ()).estimates(0, HOUR_MS, receive_ms=7)

    assert shown(found) == {QUARTER_MS: 400, 2 * QUARTER_MS: 500}
    assert {(one.quality, one.revision, one.receive_ms) for one in found} == {
        (ReadingQuality.INTERPOLATED, ESTIMATE_REVISION_FIRST, 7)
    }


@pytest.mark.parametrize(
    ("first", "last", "gap_day"),
    [
        (date(2026, 6, 1), date(2026, 6, 12), date(2026, 6, 11)),
        (date(2026, 5, 16), date(2026, 6, 1), date(2026, 5, 31)),
        (date(2026, 3, 1), date(2026, 4, 1), date(2026, 3, 29)),
        (date(2026, 10, 1), date(2026, 10, 27), date(2026, 10, 25)),
    ],
    ids=["a workday", "a Sunday", "a day of 23 hours", "a day of 25 hours"],
)
def test_a_lost_day_is_estimated_by_the_local_clock(first: date, last: date, gap_day: date) -> None:
    """What only the clock and the class of the day decide is found again exactly, however long the day."""
    lost = local_day(gap_day, ZONE)
    some = without(days(first, last), lost.start_ms, lost.end_ms)

    found = EstimationPlan(METER, some, ()).estimates(lost.start_ms, lost.end_ms, 0)

    assert shown(found) == {at_ms: shape(at_ms) for at_ms in range(lost.start_ms, lost.end_ms, QUARTER_MS)}
    assert {one.quality for one in found} == {ReadingQuality.REFERENCE_DAYS}


def test_a_holiday_is_estimated_from_weekends() -> None:
    """A Thursday that is a holiday has the shape of a Sunday."""
    lost = local_day(date(2026, 6, 11), ZONE)
    some = without(days(date(2026, 5, 20), date(2026, 6, 12)), lost.start_ms, lost.end_ms)

    found = EstimationPlan(METER, some, (), [lost.day]).estimates(lost.start_ms, lost.end_ms, 0)

    assert shown(found)[lost.start_ms] == shape(lost.start_ms) + 50_000


def test_a_gap_over_days_meets_the_register() -> None:
    """The estimates of both days together are what the register went on, though each day is asked for alone."""
    lost = [local_day(date(2026, 6, day), ZONE) for day in (10, 11)]
    some = without(days(date(2026, 6, 1), date(2026, 6, 12)), lost[0].start_ms, lost[1].end_ms)
    register = 5_000_000
    some = [
        reading(at_ms, int(one.values[0] or 0), register=register + (999_999 if at_ms >= lost[1].end_ms else 0))
        if at_ms in {lost[0].start_ms - QUARTER_MS, lost[1].end_ms}
        else (at_ms, one)
        for at_ms, one in some
    ]
    plan = EstimationPlan(METER, some, ())

    found = [one for day in lost for one in plan.estimates(day.start_ms, day.end_ms, 0)]

    after = shape(lost[1].end_ms)
    assert len(found) == 192
    assert sum(int(one.values[0] or 0) for one in found) == 999_999 - after


def test_nothing_is_estimated_twice_and_a_better_estimate_follows_the_first() -> None:
    """The same again is nothing; when a neighbour has changed the next estimate stands above the first."""
    estimate = reading(QUARTER_MS, 450, revision=ESTIMATE_REVISION_FIRST, quality=1)

    before = [reading(0, 300), estimate, reading(2 * QUARTER_MS, 600)]
    after = [reading(0, 400), *before[1:]]
    window = (0, 2 * QUARTER_MS, 0)

    assert EstimationPlan(METER, before, ()).estimates(*window) == []
    (better,) = EstimationPlan(METER, after, ()).estimates(*window)
    assert (better.values[0], better.revision) == (500, ESTIMATE_REVISION_FIRST + 1)


def test_a_failed_reading_is_no_end_point_and_is_not_replaced() -> None:
    """The line runs over it from one good reading to the other; what was measured stays."""
    some = [reading(0, 100), reading(QUARTER_MS, 9_999_999), reading(3 * QUARTER_MS, 400)]

    found = EstimationPlan(METER, some, {QUARTER_MS}).estimates(0, HOUR_MS, 0)

    assert shown(found) == {2 * QUARTER_MS: 300}


def test_before_the_first_reading_nothing_is_missing() -> None:
    """A meter that begins to send was not there before; one that has never sent has no gap."""
    assert (
        EstimationPlan(METER, [reading(HOUR_MS, 1), reading(HOUR_MS + QUARTER_MS, 1)], ()).estimates(
            0, HOUR_MS + QUARTER_MS, 0
        )
        == []
    )
    assert EstimationPlan(METER, [], ()).estimates(0, HOUR_MS, 0) == []


def test_too_few_like_days_leave_the_gap() -> None:
    """Two Sundays are not three."""
    lost = local_day(date(2026, 6, 14), ZONE)
    some = without(days(date(2026, 6, 7), date(2026, 6, 15)), lost.start_ms, lost.end_ms)

    assert EstimationPlan(METER, some, ()).estimates(lost.start_ms, lost.end_ms, 0) == []

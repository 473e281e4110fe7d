"""Where the energy of days goes: chance is not taken for a trend, and a day out of line does not make or hide one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from google.type.date_pb2 import Date

from analytics.performance.trend_request import trend_question
from analytics.performance.usage_trend import DayEnergy, TrendDirection, UsageTrend, direction_of, usage_trend
from common.errors import InvalidArgument, RequestTooExpensive

FIRST = date(2026, 2, 20)


def days(energies: Sequence[int | None]) -> list[DayEnergy]:
    """Days beside each other, without those that have none."""
    return [
        DayEnergy(FIRST + timedelta(days=place), energy) for place, energy in enumerate(energies) if energy is not None
    ]


@pytest.mark.parametrize(
    ("energies", "expected"),
    [
        ([1, 2, 3, 4, 5], TrendDirection.RISING),
        ([5, 4, 3, 2, 1], TrendDirection.FALLING),
        ([1, 2, 3, 4], TrendDirection.UNKNOWN),
        ([], TrendDirection.UNKNOWN),
        ([7, 7, 7, 7, 7, 7], TrendDirection.STEADY),
        ([1, 9, 2, 8, 3, 7, 4, 6], TrendDirection.STEADY),
        ([1, 2, 3, 4, 5, 6, 0, 8, 9, 10], TrendDirection.RISING),
        ([0, 0, 0, 0, 0, 0, 0, 0, 900], TrendDirection.STEADY),
    ],
)
def test_each_sequence_has_its_direction(energies: list[int], expected: TrendDirection) -> None:
    """At least five days are needed, and a single day is no trend."""
    assert direction_of(energies) is expected


def test_chance_is_taken_for_a_trend_once_in_twenty_cases() -> None:
    """A thousand months without a trend, seeded."""
    chance = random.Random(1)
    found = [direction_of([chance.randrange(10**6) for _ in range(30)]) for _ in range(1_000)]

    assert 20 < sum(one is not TrendDirection.STEADY for one in found) < 80


def test_the_slope_is_found_through_noise_gaps_and_outliers() -> None:
    """Two a day, in what swings by ten, with three days of nonsense and four without readings."""
    chance = random.Random(2)
    energies: list[int | None] = [1_000 + 2_000 * place + chance.randrange(-10, 10) for place in range(40)]
    energies[5] = energies[20] = 10**9
    energies[30] = 0
    energies[7] = energies[8] = energies[21] = energies[39] = None

    found = usage_trend(days(energies))

    assert found.direction is TrendDirection.RISING
    assert found.change_per_day == pytest.approx(2_000, rel=1e-3)
    assert (found.peak_day, found.lowest_day) == (FIRST + timedelta(days=5), FIRST + timedelta(days=30))


def test_days_that_lie_further_apart_count_as_many() -> None:
    """Ten more over five days are two a day."""
    assert usage_trend(days([0, None, None, None, None, 10])).change_per_day == 2.0


def test_of_equal_days_the_earliest_is_told() -> None:
    """The greatest and the least."""
    found = usage_trend(days([3, 9, 1, 9, 1]))

    assert (found.peak_day, found.lowest_day) == (FIRST + timedelta(days=1), FIRST + timedelta(days=2))
    assert found.mean_day == 4.6


def test_too_few_days_say_little() -> None:
    """One has a mean and no slope, none has neither."""
    assert usage_trend([]) == UsageTrend(TrendDirection.UNKNOWN, None, None, None, None)
    assert usage_trend(days([4])) == UsageTrend(TrendDirection.UNKNOWN, None, 4.0, FIRST, FIRST)


ASKED: dict[str, Any] = {
    "scope": DeviceScope(region="R"),
    "start_date": Date(year=2026, month=1, day=1),
    "end_date": Date(year=2026, month=2, day=1),
}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"scope": None, "start_date": None, "end_date": None}, ["scope", "start_date", "end_date"]),
        ({"start_date": Date(year=2026, month=2, day=30)}, ["start_date"]),
        ({"start_date": Date(year=2026, month=2)}, ["start_date"]),
        ({"end_date": Date(year=2026, month=1, day=1)}, ["end_date"]),
        ({"end_date": Date(year=9999, month=1, day=1)}, ["end_date"]),
    ],
)
def test_what_is_wrong_with_a_question_is_named(change: dict[str, Any], fields: list[str]) -> None:
    """Every field."""
    with pytest.raises(InvalidArgument) as refused:
        trend_question(pb.GetUsageTrendRequest(**(ASKED | change)))

    assert [violation.field for violation in refused.value.violations] == fields


def test_a_trend_is_over_a_leap_year_at_most() -> None:
    """366 days and not 367."""
    asked = ASKED | {"end_date": Date(year=2027, month=1, day=2)}

    assert trend_question(pb.GetUsageTrendRequest(**asked)).end_date == date(2027, 1, 2)
    with pytest.raises(RequestTooExpensive):
        trend_question(pb.GetUsageTrendRequest(**(asked | {"end_date": Date(year=2027, month=1, day=3)})))

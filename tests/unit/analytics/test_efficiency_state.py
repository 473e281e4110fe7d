"""What can be said of how well a vehicle charged, with limits that are data."""

from __future__ import annotations

import pytest

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.performance.charging_limits import efficiency_limits
from analytics.performance.efficiency_state import EfficiencyLimits, EfficiencyState, charging_state

KWH = 1_000_000
LIMITS = EfficiencyLimits(minimum_kwh=0.5, low_percent=85.0)
OK, LOW, TOO_SMALL, DATA_ERROR, NO_DATA = EfficiencyState


@pytest.mark.parametrize(
    ("dc_kwh", "ac_kwh", "expected"),
    [
        (9.0, 10.0, OK),
        (8.5, 10.0, OK),
        (8.499999, 10.0, LOW),
        (0.5, 0.6, LOW),
        (0.499999, 0.5, TOO_SMALL),
        (0.499999, 0.1, TOO_SMALL),
        (0.0, 0.0, TOO_SMALL),
        (0.0, 10.0, TOO_SMALL),
        (10.1, 10.0, OK),
        (10.100001, 10.0, DATA_ERROR),
        (0.5, 0.0, DATA_ERROR),
        (None, 10.0, NO_DATA),
        (10.0, None, NO_DATA),
        (None, None, NO_DATA),
    ],
    ids=str,
)
def test_each_case_has_its_state(dc_kwh: float | None, ac_kwh: float | None, expected: EfficiencyState) -> None:
    """To the milliwatt-hour at the limits."""
    dc, ac = (None if energy is None else round(energy * KWH) for energy in (dc_kwh, ac_kwh))

    assert charging_state(dc, ac, LIMITS) is expected


def test_without_a_minimum_nothing_that_arrived_is_still_too_small() -> None:
    """There is no ratio to judge."""
    assert charging_state(0, 0, EfficiencyLimits(0.0, 85.0)) is TOO_SMALL


def test_the_limits_are_those_of_the_rules_for_alerts() -> None:
    """So that what is asked for and what is alerted agree."""
    assert efficiency_limits(AlertRules().profile_of_region("")) == LIMITS
    rules = AlertRules([AlertRule("r", AlertType.EFFICIENCY_LOW, {"efficiency_percent": 90.0, "minimum_kwh": 2.0})])

    assert efficiency_limits(rules.profile_of_region("")) == EfficiencyLimits(2.0, 90.0)

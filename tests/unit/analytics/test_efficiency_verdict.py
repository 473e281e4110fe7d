"""What is said of how a vehicle charged: too little arrives, or more than was taken, or nothing can be said."""

from __future__ import annotations

import pytest

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_rule import DEFAULT_PROFILE, AlertRule, AlertRules
from analytics.detection.efficiency_sweep import Verdict, verdict
from analytics.performance.performance import Performance, efficiency
from analytics.usage.measured_energy import Window

KWH = 1_000_000


def charged(dc_kwh: float | None, ac_kwh: float | None) -> Performance:
    """A day of a vehicle."""
    dc, ac = (None if energy is None else round(energy * KWH) for energy in (dc_kwh, ac_kwh))
    return Performance(Window(0, 86_400_000), ("m-1",), ac, dc, efficiency(dc, ac), None, 1)


@pytest.mark.parametrize(
    ("dc_kwh", "ac_kwh", "expected"),
    [
        (8.5, 10.0, (False, False)),
        (8.4, 10.0, (True, False)),
        (0.5, 1.0, (True, False)),
        (0.499, 1.0, None),
        (10.1, 10.0, (False, False)),
        (10.2, 10.0, (None, True)),
        (None, 10.0, None),
        (10.0, None, None),
        (10.0, 0.0, None),
        (0.0, 10.0, None),
    ],
    ids=str,
)
def test_a_vehicle_that_gets_less_than_85_percent_is_told_unless_it_got_next_to_nothing(
    dc_kwh: float | None, ac_kwh: float | None, expected: tuple[bool | None, bool | None] | None
) -> None:
    """What cannot be is an error of the data, and says nothing about the charger."""
    says = verdict(charged(dc_kwh, ac_kwh), DEFAULT_PROFILE)

    assert (None if says is None else says[:2]) == expected


def test_the_limits_are_data() -> None:
    """As every threshold."""
    rules = AlertRules([AlertRule("r", AlertType.EFFICIENCY_LOW, {"efficiency_percent": 90.0, "minimum_kwh": 20.0})])
    profile = rules.profile_of_region("")

    assert verdict(charged(8.6, 10.0), profile) is None
    assert verdict(charged(22.0, 25.0), profile) == Verdict(is_low=True, is_impossible=False, efficiency_percent=88.0)

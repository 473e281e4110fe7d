"""The state of charge: a vehicle that is plugged in and does not charge, and a pack outside of its band."""

from __future__ import annotations

import pytest

from analytics.alerts.alert import AlertType, Severity
from analytics.alerts.alert_rule import AlertRule, AlertRules
from tests.unit.analytics.watched import Desk

LOW = {"state": "CHARGING", "state_of_charge_percent": 12.0}


@pytest.fixture
def desk() -> Desk:
    """Nothing seen yet."""
    return Desk()


def plugged(desk: Desk, minutes: int, **measured: object) -> None:
    """A vehicle tells the same for so many minutes."""
    for _ in range(minutes):
        desk.look([desk.next("vehicle-1", **(LOW | measured))])


def test_a_low_charge_that_does_not_rise_while_plugged_in_is_told_once_and_ends(desk: Desk) -> None:
    """After an hour, with what it is; and it is over when it rises."""
    plugged(desk, 60)
    assert desk.take() == []

    plugged(desk, 4)
    assert desk.take() == [("vehicle-1", "CHARGE_STALLED", True)]
    assert (desk.sightings[0].measured, desk.sightings[0].expected) == (12.0, 20.0)
    assert desk.sightings[0].severity is Severity.MEDIUM

    plugged(desk, 1, state_of_charge_percent=13.0)
    assert desk.take() == [("vehicle-1", "CHARGE_STALLED", None)]


def test_a_charge_that_rises_slowly_does_not_stall(desk: Desk) -> None:
    """A per cent in less than an hour is enough."""
    for percent in range(5, 19):
        plugged(desk, 45, state_of_charge_percent=float(percent))

    assert desk.take() == []


def test_a_vehicle_that_is_not_plugged_in_or_not_low_does_not_stall(desk: Desk) -> None:
    """Nor one of which either is not known."""
    plugged(desk, 90, state="AVAILABLE")
    plugged(desk, 90, state_of_charge_percent=20.0)
    plugged(desk, 90, state="UNKNOWN")
    plugged(desk, 90, state_of_charge_percent=None)

    assert desk.take() == []


def test_a_stalled_vehicle_that_leaves_is_well(desk: Desk) -> None:
    """When it comes back it has a whole hour again."""
    plugged(desk, 61)
    assert desk.take() == [("vehicle-1", "CHARGE_STALLED", True)]

    plugged(desk, 1, state="AVAILABLE")
    plugged(desk, 60)

    assert desk.take() == [("vehicle-1", "CHARGE_STALLED", None)]


async def test_a_pack_outside_of_its_band_is_told_where_a_rule_says_so(desk: Desk) -> None:
    """Once for however long; and over a per cent inside."""
    desk.look([desk.next("pack-1", state_of_charge_percent=3.0)])
    assert desk.take() == []
    rule = AlertRule("band", AlertType.CHARGE_OUT_OF_BAND, {"low_percent": 15.0}, is_enabled=True)
    await desk.detector.use_rules(AlertRules([rule]))

    for percent in (15.0, 14.9, 15.5, 14.0, 16.0, 95.1):
        desk.look([desk.next("pack-1", state_of_charge_percent=percent)])

    told = "CHARGE_OUT_OF_BAND"
    assert desk.take() == [("pack-1", told, True), ("pack-1", told, None), ("pack-1", told, True)]
    assert [(one.measured, one.expected) for one in desk.sightings] == [(14.9, 15.0), (95.1, 95.0)]

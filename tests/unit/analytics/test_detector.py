"""What the stream shows: each incident is seen once, goes on once, and is gone once, whatever comes again or late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_life import raised
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.alerts.condition_table import TELL_AGAIN_MS
from analytics.detection.baseline_store import LearntBaselines
from analytics.detection.detector import DEVICES_AT_A_TIME
from analytics.stream.observation import Observation
from tests.unit.analytics.watched import MINUTE_MS, START_MS, Desk, Device, reading


@pytest.fixture
def desk() -> Desk:
    """Nothing seen yet."""
    return Desk()


def test_a_spike_is_seen_and_gone(desk: Desk) -> None:
    """With what was measured, against what is usual."""
    desk.usual()
    desk.look([desk.next("meter-1", power_kw=9.0)])
    desk.look([desk.next("meter-1", power_kw=9.0)])
    desk.look([desk.next("meter-1", power_kw=2.0)])

    assert desk.take() == [("meter-1", "POWER_SPIKE", True), ("meter-1", "POWER_SPIKE", None)]
    (sighting,) = desk.sightings
    assert (sighting.severity, sighting.measured, sighting.account_id) == (Severity.HIGH, 9.0, "acc")
    assert sighting.expected == pytest.approx(2.1, abs=0.1)
    assert sighting.seen_ms == START_MS + 21 * MINUTE_MS


@pytest.mark.parametrize(
    ("device_id", "measured", "alert_type", "severity"),
    [
        ("meter-1", {"power_kw": 0.0}, "POWER_OUTAGE", Severity.HIGH),
        ("meter-1", {"power_kw": 0.9}, "POWER_DROP", Severity.LOW),
        ("meter-1", {"power_kw": 0.3}, "POWER_DROP", Severity.MEDIUM),
        ("meter-1", {"power_kw": 4.5}, "POWER_SPIKE", Severity.MEDIUM),
        ("meter-1", {"voltage_v": 206.9}, "VOLTAGE_OUT_OF_BAND", Severity.MEDIUM),
        ("meter-1", {"voltage_v": 253.1}, "VOLTAGE_OUT_OF_BAND", Severity.MEDIUM),
        ("meter-1", {"voltage_v": 195.4}, "VOLTAGE_OUT_OF_BAND", Severity.HIGH),
        ("vehicle-1", {"temperature_celsius": 45.0}, "OVER_TEMPERATURE", Severity.MEDIUM),
        ("pack-1", {"temperature_celsius": 50.0}, "OVER_TEMPERATURE", Severity.HIGH),
        ("pack-1", {"temperature_celsius": 55.0}, "OVER_TEMPERATURE", Severity.CRITICAL),
        ("pack-1", {"state": "FAULT"}, "STORAGE_FAULT", Severity.CRITICAL),
    ],
)
def test_each_incident_is_of_its_type_and_severity(
    desk: Desk, device_id: str, measured: dict[str, Any], alert_type: str, severity: Severity
) -> None:
    """And of no other."""
    desk.usual()
    desk.look([desk.next(device_id, **measured)])

    assert [(one.cause.type.value, one.severity) for one in desk.sightings] == [(alert_type, severity)]


@pytest.mark.parametrize(
    ("device_id", "measured"),
    [
        ("meter-1", {"voltage_v": 207.0}),
        ("meter-1", {"voltage_v": 253.0}),
        ("meter-1", {}),
        ("pack-1", {"voltage_v": 800.0, "temperature_celsius": 44.9}),
        ("pack-1", {"power_kw": 900.0}),
        ("vehicle-1", {"power_kw": 150.0}),
    ],
)
def test_what_is_in_order_says_nothing(desk: Desk, device_id: str, measured: dict[str, Any]) -> None:
    """Batteries and vehicles change their power as they are told to, and have voltages of their own."""
    desk.usual()
    desk.look([desk.next(device_id, **measured)])

    assert desk.take() == []


def test_a_cause_that_gets_graver_is_told_and_one_that_calms_down_is_not(desk: Desk) -> None:
    """It is gone only below the lowest threshold, by the hysteresis."""
    for celsius in (46.0, 51.0, 46.0, 51.0, 44.0, 56.0, 42.9):
        desk.look([desk.next("pack-1", temperature_celsius=celsius)])

    assert [new for _, _, new in desk.take()] == [True, False, False, None]
    assert [one.severity for one in desk.sightings] == [Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]


def test_a_cause_that_goes_on_is_told_again_every_few_minutes(desk: Desk) -> None:
    """So that whoever looks sees that it does."""
    for _ in range(11):
        desk.look([desk.next("pack-1", temperature_celsius=46.0)])

    seen_ms = [one.seen_ms for one in desk.sightings]
    assert np.diff(seen_ms).tolist() == [TELL_AGAIN_MS, TELL_AGAIN_MS]


def test_a_meter_that_says_the_same_again_and_again_is_frozen(desk: Desk) -> None:
    """At the 24th time; the first other value ends it."""
    for _ in range(23):
        desk.look([desk.next("meter-1", power_kw=1.234)])
    assert desk.take() == []

    desk.look([desk.next("meter-1", power_kw=1.234)])
    desk.look([desk.next("meter-1", power_kw=1.235)])

    assert desk.take() == [("meter-1", "FROZEN_VALUE", True), ("meter-1", "FROZEN_VALUE", None)]


def test_a_meter_that_sends_energy_only_is_not_frozen_by_equal_ones(desk: Desk) -> None:
    """They are told in steps; what is unusual about its power is seen all the same."""
    for _ in range(40):
        desk.look([desk.next("meter-1", power_kw=1.2, is_power_derived=True)])
    assert desk.take() == []

    desk.look([desk.next("meter-1", power_kw=9.0, is_power_derived=True)])
    assert desk.take() == [("meter-1", "POWER_SPIKE", True)]


def test_power_over_the_connection_is_out_of_range(desk: Desk) -> None:
    """Only where it is known what the connection carries."""
    desk.devices["meter-2"] = Device("meter-2", connection_kw=10.0)
    desk.look([desk.next("meter-2", power_kw=11.0), desk.next("meter-1", power_kw=1000.0)])
    assert desk.take() == []

    desk.look([desk.next("meter-2", power_kw=-11.1)])

    assert desk.take() == [("meter-2", "POWER_OUT_OF_RANGE", True)]


def test_the_meter_of_a_charger_may_jump(desk: Desk) -> None:
    """Whenever a vehicle comes or goes."""
    desk.devices["meter-1"] = Device("meter-1", links=(object(),))
    desk.usual(power_kw=0.0)
    desk.look([desk.next("meter-1", power_kw=11.0), desk.next("meter-1", power_kw=0.0)])

    assert desk.take() == []


def test_readings_that_come_again_or_out_of_order_say_nothing_new(desk: Desk) -> None:
    """Of each device only what is later than what was looked at counts."""
    desk.usual()
    spike = desk.next("meter-1", power_kw=9.0)
    desk.look([spike, spike])
    desk.look([spike, reading("meter-1", START_MS + 5 * MINUTE_MS, power_kw=2.0)])

    assert desk.take() == [("meter-1", "POWER_SPIKE", True)]


def test_of_two_readings_of_one_interval_the_one_that_supersedes_counts(desk: Desk) -> None:
    """A correction that came with it."""
    desk.usual()
    desk.look([desk.next("meter-1", power_kw=9.0), reading("meter-1", desk.clock_ms, power_kw=2.0, revision=1)])

    assert desk.take() == []


def test_what_comes_long_after_its_interval_is_history(desk: Desk) -> None:
    """A quarter of an hour is timely still."""
    desk.look([reading("pack-1", START_MS, temperature_celsius=60.0, late_ms=900_001)])
    assert desk.take() == []

    desk.look([reading("pack-1", START_MS, temperature_celsius=60.0, late_ms=900_000)])
    assert desk.take() == [("pack-1", "OVER_TEMPERATURE", True)]


def test_a_device_that_is_not_registered_is_passed_over(desk: Desk) -> None:
    """Until it is."""
    desk.look([desk.next("pack-9", temperature_celsius=60.0)])
    desk.devices["pack-9"] = Device("pack-9")
    desk.look([desk.next("pack-9", temperature_celsius=60.0)])

    assert desk.take() == [("pack-9", "OVER_TEMPERATURE", True)]


async def test_rules_hold_from_the_next_reading_on(desk: Desk) -> None:
    """What they switch off is gone."""
    desk.look([desk.next("pack-1", temperature_celsius=41.0)])
    await desk.detector.use_rules(AlertRules([AlertRule("r", AlertType.OVER_TEMPERATURE, {"medium_celsius": 40.0})]))
    desk.look([desk.next("pack-1", temperature_celsius=41.0)])
    await desk.detector.use_rules(AlertRules([AlertRule("r", AlertType.OVER_TEMPERATURE, {}, is_enabled=False)]))
    desk.look([desk.next("pack-1", temperature_celsius=99.0)])

    assert [new for _, _, new in desk.take()] == [True, None]


async def test_rules_that_change_again_and_again_leave_nothing_behind(desk: Desk) -> None:
    """Each device has the thresholds that hold now, and no others are kept."""
    desk.look([desk.next("pack-1", temperature_celsius=20.0), desk.next("meter-1", power_kw=1.0)])
    for celsius in range(40, 60):
        rule = AlertRule("r", AlertType.OVER_TEMPERATURE, {"medium_celsius": float(celsius)}, device_id="pack-1")
        await desk.detector.use_rules(AlertRules([rule]))
    assert desk.detector.profile_count == 2

    desk.look([desk.next("pack-1", temperature_celsius=58.9)])
    assert [one.severity for one in desk.sightings] == [Severity.CRITICAL]


async def test_thousands_of_rules_are_taken_in_some_devices_at_a_time(desk: Desk) -> None:
    """Others have their turn in between, and readings are looked at by what is known so far."""
    names = [f"pack-{number}" for number in range(2 * DEVICES_AT_A_TIME + 50)]
    desk.devices |= {name: Device(name) for name in names}
    desk.look([desk.next(name, temperature_celsius=20.0) for name in names])
    rules = [
        AlertRule(name, AlertType.OVER_TEMPERATURE, {"medium_celsius": 30 + number / 1000}, device_id=name)
        for number, name in enumerate(names)
    ]
    counts: list[int] = []

    taking = asyncio.ensure_future(desk.detector.use_rules(AlertRules(rules)))
    while not taking.done():
        counts.append(desk.detector.profile_count)
        desk.look([desk.next(names[0], temperature_celsius=20.0)])
        await asyncio.sleep(0)

    assert [after - before for before, after in pairwise([*counts, desk.detector.profile_count])] == [
        DEVICES_AT_A_TIME,
        DEVICES_AT_A_TIME,
        # The one of before is not kept.
        50 - 1,
    ]
    desk.look([desk.next(names[-1], temperature_celsius=30.2), desk.next(names[0], temperature_celsius=30.2)])
    assert desk.take() == [(names[0], "OVER_TEMPERATURE", True)]


def test_a_device_that_goes_into_service_has_its_alerts_end(desk: Desk) -> None:
    """The registry says so, and the next reading ends them."""
    desk.look([desk.next("pack-1", state="FAULT")])
    desk.devices["pack-1"] = Device("pack-1", is_active=False)
    assert desk.detector.stale_devices() == ["pack-1"]
    desk.detector.refresh(["pack-1"])
    desk.look([desk.next("pack-1", state="FAULT")])

    assert [new for _, _, new in desk.take()] == [True, None]


def test_an_open_alert_of_before_ends_with_a_sound_reading_and_is_not_new_without_one(desk: Desk) -> None:
    """After a restart nothing is counted twice."""
    desk.detector.restore([open_alert("pack-1"), open_alert("pack-9")])
    desk.look([desk.next("pack-1", temperature_celsius=46.0)])
    desk.look([desk.next("pack-1", temperature_celsius=20.0)])

    assert [new for _, _, new in desk.take()] == [None]


def open_alert(device_id: str) -> Alert:
    """An alert of a hot battery that is open."""
    cause = Cause(AlertType.OVER_TEMPERATURE, "North", device_id)
    return raised(Sighting(cause, Severity.MEDIUM, START_MS), "a-1", START_MS)


def test_baselines_that_were_kept_are_taken_up(desk: Desk) -> None:
    """A replica that takes a device over knows at once what is usual; what it has learnt since counts more."""
    desk.usual()
    other = Desk(clock_ms=desk.clock_ms)
    ids = desk.detector.device_ids()
    rows = np.arange(len(ids))

    learnt = desk.detector.baselines.take(rows), desk.detector.weeks.take(rows)
    other.detector.learn(LearntBaselines(list(ids), desk.detector.newest_ms[rows], *learnt))
    other.look([other.next("meter-1", power_kw=9.0)])

    assert other.take() == [("meter-1", "POWER_SPIKE", True)]
    other.usual(count=40)
    before_kw = other.detector.baselines.mean_kw[0]
    other.detector.learn(LearntBaselines(list(ids), desk.detector.newest_ms[rows], *learnt))
    assert other.detector.baselines.mean_kw[0] == before_kw


@pytest.mark.parametrize("seed", range(5))
def test_how_readings_are_cut_into_batches_changes_nothing(seed: int) -> None:
    """Nor do redelivered ones."""
    chance = random.Random(seed)
    whole, cut = Desk(), Desk()
    readings = [
        reading(device_id, START_MS + place * MINUTE_MS, power_kw=chance.choice([2.0, 2.1, 2.2, 9.0, 0.0]))
        for place in range(200)
        for device_id in ("meter-1", "meter-2")
    ]

    whole.look(readings)
    for batch in _cut(readings, chance):
        cut.look(batch)
        cut.look(batch)

    assert cut.detector.baselines.mean_kw[:2].tolist() == whole.detector.baselines.mean_kw[:2].tolist()
    for name in ("meter-1", "meter-2"):
        for alert_type in ("POWER_SPIKE", "POWER_OUTAGE"):
            assert [one for one in cut.said if one[:2] == (name, alert_type)] == [
                one for one in whole.said if one[:2] == (name, alert_type)
            ]
    assert whole.said


def _cut(readings: Sequence[Observation], chance: random.Random) -> Iterable[Sequence[Observation]]:
    first = 0
    while first < len(readings):
        end = first + chance.randint(1, 40)
        yield readings[first:end]
        first = end

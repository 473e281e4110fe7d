"""What a meter uses by the hour: much more than in the same hours of other days, or nothing at all for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.alerts.alert import AlertType, Severity
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.detection.baseline_store import LearntBaselines
from analytics.detection.consumption import HOUR_MS
from analytics.stream.observation import METER, Observation
from tests.unit.analytics.watched import Desk, Device

HIGH, ZERO = "CONSUMPTION_HIGH", "CONSUMPTION_ZERO"
MONDAY_MS = 1_767_571_200_000
KWH = 1_000_000


def hour(device_id: str, number: int, kwh: float) -> Observation:
    """A reading of an hour, so many hours after a midnight of UTC."""
    start_ms = MONDAY_MS + number * HOUR_MS
    power_kw, taken = kwh, round(kwh * KWH)
    return Observation(
        device_id, METER, start_ms, start_ms + HOUR_MS, 0, start_ms + HOUR_MS, "REPORTING", power_kw, taken, 0,
        is_power_derived=True,
    )  # fmt: skip


def usual_kwh(number: int) -> float:
    """Little at night, much in the evening."""
    return 4.0 if number % 24 in range(17, 22) else 0.5


def changes(desk: Desk) -> list[tuple[str, bool | None]]:
    """What began (True) and what ended (None), without what was said again while it went on."""
    return [(told, is_new) for _, told, is_new in desk.take() if is_new is not False]


@pytest.fixture
async def desk() -> Desk:
    """Rules switch both types on, and none of the others of a meter."""
    desk = Desk()
    desk.devices["meter-1"] = Device("meter-1", time_zone="UTC")
    others = [one for one in AlertType if one.value not in {HIGH, ZERO}]
    rules = [AlertRule(one.value, one, {}, is_enabled=one not in others) for one in AlertType]
    await desk.detector.use_rules(AlertRules(rules))
    return desk


def live(desk: Desk, hours: range, **instead: float) -> None:
    """Hours as usual, but for those of which something else is said."""
    for number in hours:
        desk.look([hour("meter-1", number, instead.get(f"h{number}", usual_kwh(number)))])


async def test_an_hour_with_much_more_than_the_same_hours_of_other_days_is_told_once(desk: Desk) -> None:
    """What is usual in the evening is unusual at night; and it is over with the next hour that is usual."""
    live(desk, range(24 * 8 + 3))
    live(desk, range(24 * 8 + 3, 24 * 8 + 8), h195=4.0, h196=4.0)

    assert desk.take() == [("meter-1", HIGH, True), ("meter-1", HIGH, False), ("meter-1", HIGH, None)]
    first = desk.sightings[0]
    assert (first.measured, first.expected, first.severity) == (4.0, 0.5, Severity.MEDIUM)


async def test_nothing_is_unusual_before_a_week_is_known(desk: Desk) -> None:
    """However much it is."""
    live(desk, range(24 * 7), h100=400.0)

    assert desk.take() == []


async def test_a_lasting_change_becomes_usual_within_days(desk: Desk) -> None:
    """Each day the mean goes a fifth of the way to the limit at most."""
    live(desk, range(24 * 9))
    for day in range(9, 30):
        live(desk, range(24 * day, 24 * day + 24), **{f"h{24 * day + 3}": 4.0})

    told = desk.take()
    assert told[0] == ("meter-1", HIGH, True)
    assert 2 <= len(told) / 2 <= 6
    assert told[-1] == ("meter-1", HIGH, None)


async def test_a_day_over_ones_own_limit_is_told_whatever_is_usual_and_ends_with_the_day(desk: Desk) -> None:
    """The day of the local clock: in Kolkata it ends at half past six in the evening of UTC."""
    zone = ZoneInfo("Asia/Kolkata")
    desk.devices["meter-1"] = replace(desk.devices["meter-1"], time_zone="Asia/Kolkata", account_id="jo")
    mine = AlertRule("mine", AlertType.CONSUMPTION_HIGH, {"day_kwh": 50.0}, is_enabled=True, account_id="jo")
    await desk.detector.use_rules(AlertRules([mine]))

    live(desk, range(60), h5=49.0)

    assert [one for one in changes(desk) if one[0] == HIGH] == [(HIGH, True), (HIGH, None)]
    sightings = [one for one in desk.sightings if one.cause.type is AlertType.CONSUMPTION_HIGH]
    first = sightings[0]
    assert (first.measured, first.expected) == (51.5, 50.0)
    # An hour is judged when the next one begins.
    days = {datetime.fromtimestamp((one.seen_ms - HOUR_MS) / 1000, zone).date() for one in sightings}
    assert days == {datetime.fromtimestamp(MONDAY_MS / 1000, zone).date()}


async def test_nothing_for_a_day_where_there_was_always_something_is_told_once(desk: Desk) -> None:
    """And it is over when something is used; some hours without are not."""
    gone = {f"h{number}": 0.0 for number in range(200, 230)}
    live(desk, range(300), **gone)

    assert [one for one in changes(desk) if one[0] == ZERO] == [(ZERO, True), (ZERO, None)]
    zeros = [one for one in desk.sightings if one.cause.type is AlertType.CONSUMPTION_ZERO]
    assert zeros[0].measured == 24.0


async def test_a_meter_that_often_uses_nothing_may(desk: Desk) -> None:
    """It has not used something in every hour of a week."""
    gone = {f"h{number}": 0.0 for number in range(0, 300, 100)} | {f"h{number}": 0.0 for number in range(310, 360)}
    live(desk, range(400), **gone)

    assert [one for one in desk.take() if one[1] == ZERO] == []


async def test_an_hour_of_which_much_is_missing_says_nothing(desk: Desk) -> None:
    """It would look like little, and be learnt as usual."""
    live(desk, range(24 * 8))
    part = hour("meter-1", 24 * 8, 40.0)
    desk.look([part._replace(end_ms=part.start_ms + HOUR_MS // 2, receive_ms=part.start_ms + HOUR_MS)])
    live(desk, range(24 * 8 + 1, 24 * 8 + 3))

    assert desk.take() == []


def test_where_no_rule_asks_for_it_nothing_is_kept() -> None:
    """Neither memory nor work."""
    desk = Desk()
    live(desk, range(24 * 8), h190=400.0)

    assert [one for one in desk.take() if one[1] in {HIGH, ZERO}] == []
    assert desk.detector.consumption.taken(np.array([0])) is None


async def test_what_is_usual_is_known_over_a_hand_over(desk: Desk) -> None:
    """Whoever takes the device over goes on from there."""
    live(desk, range(24 * 8 + 3))
    other, rows = Desk(), np.array([desk.detector.row_of("meter-1")])
    await other.detector.use_rules(AlertRules([AlertRule("on", AlertType.CONSUMPTION_HIGH, {}, is_enabled=True)]))
    learnt = desk.detector.baselines.take(rows), desk.detector.weeks.take(rows), desk.detector.consumption.taken(rows)
    other.detector.learn(LearntBaselines(["meter-1"], desk.detector.newest_ms[rows], *learnt))

    live(other, range(24 * 8 + 3, 24 * 8 + 5), h195=4.0)

    assert ("meter-1", HIGH, True) in other.take()

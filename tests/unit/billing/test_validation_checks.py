"""Each rule finds what breaks it, and nothing on the day of an ordinary household."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.log.observation import Observation
from billing.log.schema import METER
from billing.metering.meter_facts import MeterFacts
from billing.metering.metered_interval import MeteredInterval
from billing.metering.register import RegisterOutcome, RegisterRead, RegisterScale, differences
from billing.metering.validation_rule import Finding, Severity, ValidationRule, ValidationThresholds
from billing.validation import validation_checks as checks
from billing.validation.window_validation import findings_of

QUARTER_MS = 900_000
HOUR_MS = 4 * QUARTER_MS
DAY_MS = 96 * QUARTER_MS
KWH = 1_000_000
THRESHOLDS = ValidationThresholds()


def quarters(energies: list[int | None], first: int = 0) -> list[MeteredInterval]:
    """Quarter-hours, received when they ended."""
    return [
        MeteredInterval(place * QUARTER_MS, QUARTER_MS, energy, (place + 1) * QUARTER_MS)
        for place, energy in enumerate(energies, first)
    ]


def household(seed: int) -> list[int | None]:
    """A day of 0.2 to 1 kW."""
    random_ = random.Random(seed)
    return [random_.randrange(50_000, 250_000) for _ in range(96)]


def rules(findings: list[Finding]) -> list[tuple[ValidationRule, Severity]]:
    """Rule and severity of each."""
    return [(finding.rule, finding.severity) for finding in findings]


@pytest.mark.parametrize(
    ("skew_minutes", "expected"),
    [(3, []), (4, [Severity.WARNING]), (7, [Severity.WARNING]), (8, [Severity.FAILURE])],
)
def test_a_clock_that_is_ahead(skew_minutes: int, expected: list[Severity]) -> None:
    """Three minutes are tolerated, half of a quarter-hour is a warning, more is a failure."""
    one = MeteredInterval(0, QUARTER_MS, 1, QUARTER_MS - skew_minutes * 60_000)

    assert [finding.severity for finding in checks.clock([one], THRESHOLDS)] == expected


@pytest.mark.parametrize(
    ("interval_ms", "skew_ms", "is_found"),
    [(60_000, 60_000, False), (60_000, 60_001, True), (5_000, 60_001, True), (120_000, 120_001, True)],
)
def test_a_clock_that_is_ahead_by_more_than_a_short_interval(interval_ms: int, skew_ms: int, is_found: bool) -> None:
    """A meter of every minute is in the wrong minute long before its clock is three minutes ahead."""
    one = MeteredInterval(0, interval_ms, 1, interval_ms - skew_ms)

    assert bool(list(checks.clock([one], THRESHOLDS))) == is_found


def test_energy_of_a_meter_out_of_operation_is_told_and_its_zeros_are_not() -> None:
    """From when on it is out of operation; before that it is a meter like any other."""
    day = [
        (at_ms, Observation(at_ms, 0, QUARTER_MS, at_ms + QUARTER_MS, 0, (0, *(None,) * (len(METER.columns) - 1))))
        for at_ms in range(0, 2 * DAY_MS, QUARTER_MS)
    ]
    used = [
        (at_ms, one._replace(values=(7, *one.values[1:]))) if at_ms == DAY_MS + HOUR_MS else (at_ms, one)
        for at_ms, one in day
    ]
    active = MeterFacts("m", QUARTER_MS, "UTC", 10.0, 0)
    gone = replace(active, inactive_from_ms=DAY_MS)

    assert rules(findings_of(active, day, DAY_MS, 2 * DAY_MS, THRESHOLDS)) == [
        (ValidationRule.ZERO_RUN, Severity.WARNING)
    ]
    assert {one.rule for one in findings_of(active, used, DAY_MS, 2 * DAY_MS, THRESHOLDS)} == {ValidationRule.ZERO_RUN}
    assert findings_of(gone, day, DAY_MS, 2 * DAY_MS, THRESHOLDS) == []
    assert rules(findings_of(gone, day, 0, DAY_MS, THRESHOLDS)) == [(ValidationRule.ZERO_RUN, Severity.WARNING)]
    (found,) = [one for one in findings_of(gone, used, DAY_MS, 2 * DAY_MS, THRESHOLDS) if one.value == 7]
    assert (found.rule, found.start_ms) == (ValidationRule.INACTIVE_USAGE, DAY_MS + HOUR_MS)


def test_gaps_overlaps_and_lengths() -> None:
    """What is missing at either end and between, what is there twice, and what has not the length it should have."""
    some = [
        MeteredInterval(QUARTER_MS, QUARTER_MS, 1),
        MeteredInterval(QUARTER_MS + 60_000, QUARTER_MS, 1),
        MeteredInterval(4 * QUARTER_MS, QUARTER_MS // 3, 1),
    ]

    found = list(checks.continuity(some, 0, 5 * QUARTER_MS, QUARTER_MS))

    assert [(finding.rule, finding.start_ms, finding.end_ms) for finding in found] == [
        (ValidationRule.GAP, 0, QUARTER_MS),
        (ValidationRule.OVERLAP, QUARTER_MS + 60_000, 2 * QUARTER_MS),
        (ValidationRule.GAP, 2 * QUARTER_MS + 60_000, 4 * QUARTER_MS),
        (ValidationRule.INTERVAL_LENGTH, 4 * QUARTER_MS, 4 * QUARTER_MS + QUARTER_MS // 3),
        (ValidationRule.GAP, 4 * QUARTER_MS + QUARTER_MS // 3, 5 * QUARTER_MS),
    ]


@given(st.sets(st.integers(0, 95)))
def test_gaps_and_intervals_together_are_the_day(present: set[int]) -> None:
    """Whatever is missing, the gaps are exactly that."""
    some = [MeteredInterval(place * QUARTER_MS, QUARTER_MS, 1) for place in sorted(present)]

    found = checks.continuity(some, 0, DAY_MS, QUARTER_MS)

    assert sum(finding.end_ms - finding.start_ms for finding in found) == DAY_MS - len(present) * QUARTER_MS


def test_energy_below_zero_or_above_the_connection_fails() -> None:
    """At 10 kW a quarter-hour passes 2.5 kWh, and 2.75 kWh with the room there is."""
    found = list(checks.bounds(quarters([0, 2_750_000, 2_750_001, -1, None]), 10.0, THRESHOLDS))

    assert [(finding.rule, finding.value, finding.limit) for finding in found] == [
        (ValidationRule.PHYSICAL_LIMIT, 2_750_001, 2_750_000),
        (ValidationRule.NEGATIVE, -1, 0),
    ]


@pytest.mark.parametrize(("highest", "is_spike"), [(2_800_000, False), (2_800_001, True)])
def test_a_peak_far_above_the_third_highest_is_a_spike(highest: int, is_spike: bool) -> None:
    """180 percent above a third highest of 1 kWh are 2.8 kWh."""
    found = list(checks.spike(quarters([1_000_000, highest, 1_100_000, 0]), 10.0, THRESHOLDS))

    assert [(finding.rule, finding.start_ms) for finding in found] == (
        [(ValidationRule.SPIKE, QUARTER_MS)] if is_spike else []
    )


def test_small_peaks_are_no_spikes() -> None:
    """Below 5 percent of the connection nothing stands out, though it be many times the rest."""
    assert list(checks.spike(quarters([1, 124_999, 1]), 10.0, THRESHOLDS)) == []
    assert rules(list(checks.spike(quarters([1, 125_000, 1]), 10.0, THRESHOLDS))) == [
        (ValidationRule.SPIKE, Severity.FAILURE)
    ]


def test_a_peak_among_zeros_is_a_spike_if_the_connection_is_known() -> None:
    """Without a connection there is nothing to hold it against."""
    assert len(list(checks.spike(quarters([0, 500_000, 0]), 10.0, THRESHOLDS))) == 1
    assert list(checks.spike(quarters([0, 500_000, 0]), None, THRESHOLDS)) == []


@pytest.mark.parametrize(
    ("usage", "expected"),
    [(20, []), (21, [ValidationRule.HIGH_USAGE]), (5, []), (4, [ValidationRule.LOW_USAGE])],
)
def test_a_day_is_held_against_the_average_day(usage: int, expected: list[ValidationRule]) -> None:
    """Twice as much and half as much are tolerated."""
    assert [one.rule for one in checks.usage_level(usage, 10.0, 0, DAY_MS, THRESHOLDS)] == expected


def test_a_day_without_a_day_to_compare_is_not_judged() -> None:
    """Neither no average nor one of zero is a measure."""
    assert list(checks.usage_level(5, None, 0, DAY_MS, THRESHOLDS)) == []
    assert list(checks.usage_level(5, 0.0, 0, DAY_MS, THRESHOLDS)) == []


@pytest.mark.parametrize(("count", "found"), [(95, 0), (96, 1)])
def test_a_day_of_zeros(count: int, found: int) -> None:
    """24 hours of nothing are a warning, a quarter-hour less is none."""
    assert len(list(checks.zero_run(quarters([5, *[0] * count, 5]), THRESHOLDS))) == found


@pytest.mark.parametrize(("energies", "found"), [([7] * 23, 0), ([7] * 24, 1), ([0] * 24, 0), ([7] * 12 + [8] * 12, 0)])
def test_a_flat_line(energies: list[int | None], found: int) -> None:
    """24 equal intervals that are not zero are a warning."""
    assert len(list(checks.flat_line(quarters(energies), THRESHOLDS))) == found


def test_a_gap_ends_a_flat_line() -> None:
    """What was in between is not known to have been the same."""
    assert list(checks.flat_line([*quarters([7] * 12), *quarters([7] * 12, first=13)], THRESHOLDS)) == []


def test_a_register_that_was_reset_is_a_finding() -> None:
    """Its usage is unknown; the intervals on either side are still held against it."""
    reads = [RegisterRead(place * QUARTER_MS, value) for place, value in enumerate([50 * KWH, 51 * KWH, 0, 1 * KWH])]
    steps = differences(reads, [], RegisterScale(5, 10.0))
    assert steps[1].outcome is RegisterOutcome.RESET

    found = list(checks.register_and_sum(quarters([KWH, KWH, KWH]), steps, 1000))

    assert [(finding.rule, finding.start_ms) for finding in found] == [(ValidationRule.REGISTER, QUARTER_MS)]


@pytest.mark.parametrize(("last", "value"), [(KWH + 4000, None), (KWH + 4001, 4001)])
def test_intervals_must_add_up_to_the_register(last: int, value: int | None) -> None:
    """0.1 percent of 4 kWh are tolerated over the whole of what is covered."""
    reads = [RegisterRead(place * QUARTER_MS, place * KWH) for place in range(5)]
    steps = differences(reads, [], RegisterScale(5, 10.0))

    found = list(checks.register_and_sum(quarters([KWH, KWH, KWH, last]), steps, 1000))

    assert [(finding.rule, finding.value) for finding in found] == (
        [] if value is None else [(ValidationRule.SUM, value)]
    )


def test_estimates_that_do_not_meet_the_register_are_told() -> None:
    """Two kilowatt-hours by the register, one of them measured and half of one estimated."""
    reads = [RegisterRead(place * QUARTER_MS, place * KWH) for place in (0, 2)]
    steps = differences(reads, [], RegisterScale(5, 10.0))
    first, second = quarters([KWH, KWH // 2])

    found = list(checks.register_and_sum([first, second._replace(is_estimated=True)], steps, 1000))

    assert [(finding.rule, finding.value) for finding in found] == [(ValidationRule.SUM, -KWH // 2)]


def test_what_intervals_do_not_cover_is_not_compared() -> None:
    """A gap has no sum."""
    reads = [RegisterRead(place * QUARTER_MS, place * KWH) for place in range(4)]
    steps = differences(reads, [], RegisterScale(5, 10.0))

    some = [*quarters([KWH]), *quarters([KWH], first=2)]

    assert list(checks.register_and_sum(some, steps, 1000)) == []


@given(st.integers(0, 1000))
def test_an_ordinary_day_has_no_finding(seed: int) -> None:
    """A household that was measured throughout breaks no rule."""
    some = quarters(household(seed))
    total = sum(one.energy_milliwatt_hours or 0 for one in some)
    reads = [RegisterRead(0, 5 * KWH), RegisterRead(DAY_MS, 5 * KWH + total)]
    found = [
        *checks.clock(some, THRESHOLDS),
        *checks.continuity(some, 0, DAY_MS, QUARTER_MS),
        *checks.bounds(some, 10.0, THRESHOLDS),
        *checks.spike(some, 10.0, THRESHOLDS),
        *checks.usage_level(total, total * 0.9, 0, DAY_MS, THRESHOLDS),
        *checks.zero_run(some, THRESHOLDS),
        *checks.flat_line(some, THRESHOLDS),
        *checks.register_and_sum(some, differences(reads, [], RegisterScale(5, 10.0)), 1),
    ]

    assert found == []

"""Looks through the intervals of one channel for what cannot or should not be; pure, and quick enough for every day.

Each check takes intervals by start and gives its findings by start.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import pairwise

from billing.metering.metered_interval import MeteredInterval
from billing.metering.physical_limit import capacity_milliwatt_hours
from billing.metering.register import RegisterDifference, sum_tolerance_milliwatt_hours
from billing.metering.validation_rule import Finding, Severity, ValidationRule, ValidationThresholds

_WARNING, _FAILURE = Severity.WARNING, Severity.FAILURE
# The highest is held against the third highest.
_COMPARED_PEAKS = 3


def clock(intervals: Iterable[MeteredInterval], thresholds: ValidationThresholds) -> Iterator[Finding]:
    """Intervals received before they were over: the device's clock is ahead.

    More than three minutes is a warning, more than half an interval besides a failure. Of shorter intervals more than
    one counts, though at least a minute: a gateway takes nothing that begins more than two minutes ahead, and a
    reading that came before its interval began is in the wrong one. A clock that is behind cannot be told from a
    reading that is late.
    """
    for one in intervals:
        skew_ms = one.end_ms - one.receive_ms
        tolerated_ms = min(thresholds.clock_skew_ms, max(one.interval_ms, thresholds.clock_skew_least_ms))
        if not one.is_estimated and skew_ms > tolerated_ms:
            severity = _FAILURE if skew_ms * 2 > one.interval_ms else _WARNING
            yield _of(one, ValidationRule.CLOCK, severity, skew_ms, tolerated_ms)


def continuity(intervals: Sequence[MeteredInterval], start_ms: int, end_ms: int, interval_ms: int) -> Iterator[Finding]:
    """Gaps and overlaps within [start_ms, end_ms), and intervals that have not the expected length."""
    reached_ms = start_ms
    for one in intervals:
        if one.start_ms > reached_ms:
            yield gap(reached_ms, min(one.start_ms, end_ms))
        elif one.start_ms < reached_ms and reached_ms > start_ms:
            overlap_ms = reached_ms - one.start_ms
            yield Finding(ValidationRule.OVERLAP, _FAILURE, "", one.start_ms, reached_ms, overlap_ms, 0)
        if one.interval_ms != interval_ms:
            yield _of(one, ValidationRule.INTERVAL_LENGTH, _FAILURE, one.interval_ms, interval_ms)
        reached_ms = max(reached_ms, one.end_ms)
    if reached_ms < end_ms:
        yield gap(reached_ms, end_ms)


def gap(start_ms: int, end_ms: int) -> Finding:
    """The finding that [start_ms, end_ms) is not covered."""
    return Finding(ValidationRule.GAP, _FAILURE, "", start_ms, end_ms, end_ms - start_ms, 0)


def bounds(
    intervals: Iterable[MeteredInterval], connection_kw: float | None, thresholds: ValidationThresholds
) -> Iterator[Finding]:
    """Energy below zero on a channel that has no such direction, or above what the connection can pass."""
    for one in intervals:
        energy = one.energy_milliwatt_hours
        if energy is None:
            continue
        if energy < 0:
            yield _of(one, ValidationRule.NEGATIVE, _FAILURE, energy, 0)
        if connection_kw is not None:
            limit = capacity_milliwatt_hours(connection_kw, one.interval_ms, thresholds.physical_limit_headroom)
            if energy > limit:
                yield _of(one, ValidationRule.PHYSICAL_LIMIT, _FAILURE, energy, limit)


def spike(
    intervals: Iterable[MeteredInterval], connection_kw: float | None, thresholds: ValidationThresholds
) -> Iterator[Finding]:
    """The highest mean power of some intervals when it stands out from the third highest.

    (P1 - P3) / P3 above the limit is a failure. It is not looked for when P1 is below a share of the connection's
    power, nor, where that is not known, when P3 is zero.
    """
    measured = [one for one in intervals if one.energy_milliwatt_hours is not None and not one.is_estimated]
    # Of equals the earliest is the highest.
    ranked = nsmallest(_COMPARED_PEAKS, measured, key=lambda one: (-_power(one), one.start_ms))
    if len(ranked) < _COMPARED_PEAKS or _power(ranked[0]) <= 0:
        return
    highest, third = ranked[0], ranked[-1]
    if connection_kw is not None:
        floor = capacity_milliwatt_hours(connection_kw, highest.interval_ms, thresholds.spike_floor_share)
        if (highest.energy_milliwatt_hours or 0) < floor:
            return
    if _power(third) <= 0:
        if connection_kw is not None:
            yield _of(highest, ValidationRule.SPIKE, _FAILURE, None, thresholds.spike_percent)
        return
    percent = (_power(highest) - _power(third)) / _power(third) * 100
    if percent > thresholds.spike_percent:
        yield _of(highest, ValidationRule.SPIKE, _FAILURE, percent, thresholds.spike_percent)


def usage_level(
    usage_milliwatt_hours: int,
    average_milliwatt_hours: float | None,
    start_ms: int,
    end_ms: int,
    thresholds: ValidationThresholds,
) -> Iterator[Finding]:
    """Usage of a day far above or below the average day it is compared with; nothing where there is none."""
    if not average_milliwatt_hours:
        return
    percent = (usage_milliwatt_hours - average_milliwatt_hours) / average_milliwatt_hours * 100
    if percent > thresholds.high_usage_percent:
        limit = thresholds.high_usage_percent
        yield Finding(ValidationRule.HIGH_USAGE, _WARNING, "", start_ms, end_ms, percent, limit)
    if percent < -thresholds.low_usage_percent:
        limit = -thresholds.low_usage_percent
        yield Finding(ValidationRule.LOW_USAGE, _WARNING, "", start_ms, end_ms, percent, limit)


def zero_run(intervals: Sequence[MeteredInterval], thresholds: ValidationThresholds) -> Iterator[Finding]:
    """A day and longer, without a gap, in which nothing was used."""
    for run in _runs(intervals):
        if run[0].energy_milliwatt_hours == 0:
            duration_ms = run[-1].end_ms - run[0].start_ms
            if duration_ms >= thresholds.zero_run_ms:
                yield _over(run, ValidationRule.ZERO_RUN, _WARNING, duration_ms, thresholds.zero_run_ms)


def inactive_usage(intervals: Iterable[MeteredInterval], inactive_from_ms: int | None) -> Iterator[Finding]:
    """Energy that was measured after the instant, epoch milliseconds, at which a meter went out of operation."""
    for one in intervals:
        if inactive_from_ms is None or one.start_ms < inactive_from_ms or one.is_estimated:
            continue
        if one.energy_milliwatt_hours:
            yield _of(one, ValidationRule.INACTIVE_USAGE, _WARNING, one.energy_milliwatt_hours, 0)


def flat_line(intervals: Sequence[MeteredInterval], thresholds: ValidationThresholds) -> Iterator[Finding]:
    """The same energy, not zero, in many successive intervals."""
    for run in _runs(intervals):
        if run[0].energy_milliwatt_hours and len(run) >= thresholds.flat_line_intervals:
            yield _over(run, ValidationRule.FLAT_LINE, _WARNING, len(run), thresholds.flat_line_intervals)


def register_and_sum(
    intervals: Sequence[MeteredInterval], steps: Iterable[RegisterDifference], count_milliwatt_hours: int
) -> Iterator[Finding]:
    """Registers that were reset or rose impossibly, and those that the intervals beside them do not add up to.

    `steps` are the differences between successive reads. Successive steps that intervals cover without a gap, estimates
    among them, are compared as one, for a single count is coarse against one interval.
    """
    starts_ms = [one.start_ms for one in intervals]

    def inside(start_ms: int, end_ms: int) -> Sequence[MeteredInterval]:
        return intervals[bisect_left(starts_ms, start_ms) : bisect_left(starts_ms, end_ms)]

    covered: list[RegisterDifference] = []
    for step in steps:
        if step.milliwatt_hours is None:
            yield Finding(ValidationRule.REGISTER, _FAILURE, "", step.start_ms, step.end_ms, None, None)
        if step.milliwatt_hours is None or not _covers(inside(step.start_ms, step.end_ms), step):
            yield from _sum(inside, covered, count_milliwatt_hours)
            covered = []
        else:
            covered.append(step)
    yield from _sum(inside, covered, count_milliwatt_hours)


def _power(interval: MeteredInterval) -> float:
    return (interval.energy_milliwatt_hours or 0) / interval.interval_ms


def _runs(intervals: Sequence[MeteredInterval]) -> Iterator[list[MeteredInterval]]:
    """Successive measured intervals of the same energy, without a gap."""
    run: list[MeteredInterval] = []
    for one in intervals:
        goes_on = (
            run
            and not one.is_estimated
            and one.start_ms == run[-1].end_ms
            and one.energy_milliwatt_hours == run[-1].energy_milliwatt_hours
        )
        if goes_on:
            run.append(one)
            continue
        if run:
            yield run
        run = [] if one.is_estimated else [one]
    if run:
        yield run


def _covers(inside: Sequence[MeteredInterval], step: RegisterDifference) -> bool:
    return (
        bool(inside)
        and all(one.energy_milliwatt_hours is not None for one in inside)
        and inside[0].start_ms == step.start_ms
        and inside[-1].end_ms == step.end_ms
        and all(one.end_ms == other.start_ms for one, other in pairwise(inside))
    )


def _sum(
    inside: Callable[[int, int], Sequence[MeteredInterval]],
    covered: Sequence[RegisterDifference],
    count_milliwatt_hours: int,
) -> Iterator[Finding]:
    if not covered:
        return
    start_ms, end_ms = covered[0].start_ms, covered[-1].end_ms
    by_register = sum(step.milliwatt_hours or 0 for step in covered)
    by_intervals = sum(one.energy_milliwatt_hours or 0 for one in inside(start_ms, end_ms))
    tolerance = sum_tolerance_milliwatt_hours(by_register, count_milliwatt_hours)
    if abs(by_intervals - by_register) > tolerance:
        yield Finding(ValidationRule.SUM, _FAILURE, "", start_ms, end_ms, by_intervals - by_register, tolerance)


def _of(
    one: MeteredInterval, rule: ValidationRule, severity: Severity, value: float | None, limit: float | None
) -> Finding:
    return Finding(rule, severity, "", one.start_ms, one.end_ms, value, limit)


def _over(
    run: Sequence[MeteredInterval], rule: ValidationRule, severity: Severity, value: float | None, limit: float | None
) -> Finding:
    return Finding(rule, severity, "", run[0].start_ms, run[-1].end_ms, value, limit)

"""All checks over the readings of a meter on a day, channel by channel."""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from billing.metering.meter_facts import MeterFacts
from billing.metering.metered_interval import CHANNELS, MeteredInterval
from billing.metering.reading_series import TimedReading, channel_intervals, register_reads
from billing.metering.register import RegisterScale, differences, register_count_milliwatt_hours
from billing.metering.validation_rule import Finding, Severity, ValidationRule, ValidationThresholds
from billing.validation import validation_checks as checks

# These say of an interval that it is not to be relied on; the others say it of a longer time.
_FAIL_THE_INTERVAL = frozenset(
    {
        ValidationRule.CLOCK,
        ValidationRule.OVERLAP,
        ValidationRule.INTERVAL_LENGTH,
        ValidationRule.NEGATIVE,
        ValidationRule.PHYSICAL_LIMIT,
        ValidationRule.SPIKE,
    }
)
_OF_INTERVALS = (_FAIL_THE_INTERVAL - {ValidationRule.SPIKE}) | {
    ValidationRule.CONFLICT,
    ValidationRule.INACTIVE_USAGE,
}


def findings_of(
    meter: MeterFacts,
    readings: Sequence[TimedReading],
    start_ms: int,
    end_ms: int,
    thresholds: ValidationThresholds,
    *,
    also: Iterable[Finding] = (),
) -> list[Finding]:
    """What breaks a rule in [start_ms, end_ms), by time, and no further; a run of like findings is one.

    `readings` may begin before, so that runs are seen whole. `also` is what else was found.
    """
    inside = [(at_ms, one) for at_ms, one in readings if start_ms <= at_ms < end_ms]
    all_intervals = [
        MeteredInterval(at_ms, one.interval_ms, None, one.receive_ms, one.quality != 0) for at_ms, one in inside
    ]
    found = [
        *also,
        *checks.clock(all_intervals, thresholds),
        *checks.continuity(all_intervals, start_ms, end_ms, meter.interval_ms),
    ]
    active_until_ms = math.inf if meter.inactive_from_ms is None else meter.inactive_from_ms
    for channel in CHANNELS:
        intervals = channel_intervals(inside, channel)
        with_before = channel_intervals(readings, channel)
        reads = register_reads(readings, channel)
        scale = RegisterScale(meter.register_digits, meter.connection_kw)
        exchanges = meter.exchanges.get(channel.name, ())
        steps = differences(reads, exchanges, scale)
        of_channel = [
            *checks.bounds(intervals, meter.connection_kw, thresholds),
            *checks.spike(intervals, meter.connection_kw, thresholds),
            # That nothing is used where nothing is in operation is as it should be.
            *checks.zero_run([one for one in with_before if one.start_ms < active_until_ms], thresholds),
            *checks.inactive_usage(intervals, meter.inactive_from_ms),
            *checks.flat_line(with_before, thresholds),
            *checks.register_and_sum(
                with_before,
                [step for step in steps if step.end_ms > start_ms and step.start_ms < end_ms],
                register_count_milliwatt_hours(reads, exchanges),
            ),
        ]
        found += [finding._replace(channel=channel.name) for finding in of_channel]
    clipped = [
        finding._replace(start_ms=max(finding.start_ms, start_ms), end_ms=min(finding.end_ms, end_ms))
        for finding in found
        if finding.end_ms > start_ms and finding.start_ms < end_ms
    ]
    return sorted(_runs_joined(clipped), key=lambda finding: (finding.start_ms, finding.rule, finding.channel))


def _runs_joined(findings: Iterable[Finding]) -> Iterable[Finding]:
    """One finding for successive intervals that break the same rule, with the worst value of them."""

    def kind(finding: Finding) -> tuple[int, int, str]:
        return (finding.rule, finding.severity, finding.channel)

    for _, some in groupby(sorted(findings, key=lambda finding: (*kind(finding), finding.start_ms)), key=kind):
        run: Finding | None = None
        for finding in some:
            if run is not None and finding.rule in _OF_INTERVALS and finding.start_ms <= run.end_ms:
                worst = max(run, finding, key=lambda one: abs(one.value or 0))
                run = worst._replace(start_ms=run.start_ms, end_ms=max(run.end_ms, finding.end_ms))
            else:
                if run is not None:
                    yield run
                run = finding
        if run is not None:
            yield run


def failed_starts_ms(findings: Iterable[Finding], readings: Sequence[TimedReading]) -> Collection[int]:
    """The starts of the readings that failed by themselves: no estimate rests on them."""
    failed = [
        (finding.start_ms, finding.end_ms)
        for finding in findings
        if finding.severity is Severity.FAILURE and finding.rule in _FAIL_THE_INTERVAL
    ]
    return {
        at_ms
        for at_ms, one in readings
        if any(at_ms < end_ms and at_ms + one.interval_ms > start_ms for start_ms, end_ms in failed)
    }

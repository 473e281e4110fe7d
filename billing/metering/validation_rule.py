"""The rules readings are validated by, their thresholds with where those come from, and what a broken one is."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

_HOUR_MS = 3_600_000


class ValidationRule(IntEnum):
    """A rule; the numbers are on record and stay."""

    CLOCK = 1
    GAP = 2
    OVERLAP = 3
    INTERVAL_LENGTH = 4
    NEGATIVE = 5
    PHYSICAL_LIMIT = 6
    SPIKE = 7
    HIGH_USAGE = 8
    LOW_USAGE = 9
    ZERO_RUN = 10
    FLAT_LINE = 11
    SUM = 12
    REGISTER = 13
    CONFLICT = 14
    QUARANTINED = 15
    INACTIVE_USAGE = 16


class Severity(IntEnum):
    """How bad it is; the numbers are on record and stay."""

    WARNING = 1
    """Somebody should look; the reading is used."""
    FAILURE = 2
    """The reading is not to be relied on: no estimate rests on it."""


class Finding(NamedTuple):
    """A broken rule over [start_ms, end_ms), epoch milliseconds, and what was found against what is allowed.

    Both numbers are in the unit of the rule: milliseconds for clock, gap, overlap, interval length, zero run;
    milliwatt-hours for negative, physical limit, sum, register, inactive usage; percent for spike, high and low usage;
    intervals for flat line. None is unknown.
    """

    rule: ValidationRule
    severity: Severity
    channel: str
    start_ms: int
    end_ms: int
    value: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class ValidationThresholds:
    """The numbers of the rules.

    The spike test (highest against third highest), the high and low tests on average daily usage and the sum test are
    those of the Californian direct access standards for metering and meter data (DASMMD, VEE) as later catalogues of
    meter data management have them; three minutes is their limit of clock drift. The other numbers are defaults of
    this project.
    """

    clock_skew_ms: int = 180_000
    clock_skew_least_ms: int = 60_000
    """Of intervals shorter than three minutes one of them is tolerated, and at least so much."""
    physical_limit_headroom: float = 1.1
    spike_percent: int = 180
    spike_floor_share: float = 0.05
    """Of the connection's power: below it no peak is a spike."""
    high_usage_percent: int = 100
    low_usage_percent: int = 50
    zero_run_ms: int = 24 * _HOUR_MS
    flat_line_intervals: int = 24

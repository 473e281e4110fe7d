"""Whether consumers keep up with a load, and how fast it may be: rules on samples of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

START_RATE = 20_000.0

# Seconds of load that may be on the way: what batches and the asking itself take, and no more.
_LOW_SECONDS, _HIGH_SECONDS = 0.4, 0.8
_UP, _DOWN = 1.4, 0.85

_BACKLOG_MAXIMUM_SECONDS = 2.0
_GROWTH_MAXIMUM = 0.02


class Sample(NamedTuple):
    """How far readings have come at one time: counts since the run began, by `time.monotonic`."""

    at_seconds: float
    acked: float
    logged: float
    analysed: float
    folded: float
    merge_lag_seconds: float

    @property
    def backlog(self) -> float:
        """Readings that the slowest consumer has not taken yet."""
        return max(0.0, self.acked - min(self.logged, self.analysed))


def next_rate(rate: float, acked_rate: float, backlog: float) -> float:
    """The rate to try next: up while little waits, down when much does; never far above what is acked."""
    if backlog > _HIGH_SECONDS * acked_rate:
        return rate * _DOWN
    if backlog < _LOW_SECONDS * acked_rate:
        return max(START_RATE, min(rate, acked_rate * _UP) * _UP)
    return rate


def sustained_rate(samples: Sequence[Sample]) -> float:
    """What the slowest consumer took a second over the later half of the samples."""
    later = samples[len(samples) // 2 :]
    first, last = later[0], later[-1]
    seconds = last.at_seconds - first.at_seconds
    if seconds <= 0:
        raise ValueError("a rate needs two samples at different times")
    return min(last.logged - first.logged, last.analysed - first.analysed) / seconds


def fault_in_keeping_up(samples: Sequence[Sample], rate: float) -> str | None:
    """None when the backlog of a load at `rate` was bounded and did not grow, else what is wrong.

    The first half is left out, in which queues find their level.
    """
    later = samples[len(samples) // 2 :]
    largest = max(sample.backlog for sample in later)
    if largest > _BACKLOG_MAXIMUM_SECONDS * rate:
        return f"the backlog reached {largest:,.0f} readings, {largest / rate:.1f} s of load"
    growth = _slope([(sample.at_seconds, sample.backlog) for sample in later])
    if growth > _GROWTH_MAXIMUM * rate:
        return f"the backlog grew by {growth:,.0f} readings/s"
    return None


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits best; 0 for a single point."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0

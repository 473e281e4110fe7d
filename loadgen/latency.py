"""How long readings waited: a histogram of fixed precision and bounded memory, asked for percentiles."""

from __future__ import annotations

import math
from collections import Counter

# Neighbouring buckets differ by 1 %, so a percentile is at most 1 % above the true one.
_GROWTH = 1.01
_LOG_GROWTH = math.log(_GROWTH)
_SMALLEST_MS = 0.001


class LatencyHistogram:
    """Latencies in milliseconds, in buckets of 1 % width; below a microsecond counts as 0."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def record(self, latency_ms: float, count: int = 1) -> None:
        """Adds `count` equal latencies; a negative one, as two clocks may give, is 0."""
        self._buckets[_bucket_of(latency_ms)] += count
        self.count += count

    def percentile_ms(self, percent: float) -> float | None:
        """The latency that `percent` (above 0, up to 100) of all do not exceed (nearest rank); None without any."""
        if not self.count:
            return None
        rank = math.ceil(self.count * percent / 100)
        reached = 0
        for bucket in sorted(self._buckets):
            reached += self._buckets[bucket]
            if reached >= rank:
                return 0.0 if bucket < 0 else _SMALLEST_MS * _GROWTH**bucket
        raise AssertionError("the ranks end with the count")


def _bucket_of(latency_ms: float) -> int:
    if latency_ms < _SMALLEST_MS:
        return -1
    return math.ceil(math.log(latency_ms / _SMALLEST_MS) / _LOG_GROWTH)

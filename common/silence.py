"""When a device that sends no more counts as silent: one rule, so that no two services disagree about it."""

from __future__ import annotations

_INTERVALS = 3
_AT_LEAST_MS = 30_000


def silent_after_ms(expected_interval_ms: int) -> int:
    """How long nothing may be received until a device is silent: three expected intervals, at least 30 seconds."""
    return max(_INTERVALS * expected_interval_ms, _AT_LEAST_MS)

"""When readings are due: at a rate, at a speed of simulated time, or at once."""

from __future__ import annotations

import pytest

from loadgen.pacing import Pacing

DAY_MS = 86_400_000


def test_without_limits_everything_is_due_at_once() -> None:
    """As fast as acks allow means no wait of its own."""
    assert Pacing().due_seconds(sent_count=10**9, simulated_ms=DAY_MS) == 0.0


def test_a_rate_spaces_readings_by_the_clock() -> None:
    """After 5000 readings at 1000 a second the next one is due at 5 s."""
    assert Pacing(readings_per_second=1000).due_seconds(sent_count=5000, simulated_ms=0) == 5.0


def test_a_speed_of_960_makes_a_day_of_90_seconds() -> None:
    """Simulated time passes 960 times as fast as the clock."""
    assert Pacing(speed=960).due_seconds(sent_count=0, simulated_ms=DAY_MS) == 90.0


def test_of_two_limits_the_slower_one_counts() -> None:
    """Rate and speed together: whichever is later."""
    pacing = Pacing(readings_per_second=100, speed=960)

    assert pacing.due_seconds(sent_count=20_000, simulated_ms=DAY_MS) == 200.0
    assert pacing.due_seconds(sent_count=10, simulated_ms=DAY_MS) == 90.0


@pytest.mark.parametrize("limits", [{"speed": 0.0}, {"readings_per_second": -1.0}, {"speed": float("nan")}])
def test_a_limit_that_is_not_above_zero_is_refused(limits: dict[str, float]) -> None:
    """Time does not stand still or run backwards here."""
    with pytest.raises(ValueError, match="must be above 0"):
        Pacing(**limits)

"""The rate is the mean over the last 10 seconds."""

from __future__ import annotations

import pytest

from analytics.stream.reading_rate import ReadingRate


def test_nothing_taken_is_a_rate_of_zero() -> None:
    """At the beginning, at any time of the clock."""
    assert ReadingRate().per_second(123.456) == 0.0


@pytest.mark.parametrize("fraction", [0.05, 0.25, 0.55, 0.95])
def test_a_steady_stream_gives_its_rate_at_every_moment_of_a_second(fraction: float) -> None:
    """50 readings each tenth of a second are 500 per second, within one tenth's worth."""
    rate = ReadingRate()
    end_tenths = 300 + int(fraction * 10)
    for tenth in range(end_tenths):
        rate.add(50, 1000 + tenth / 10)

    per_second = rate.per_second(1000 + end_tenths / 10)

    assert per_second == pytest.approx(500, abs=5)


def test_a_burst_counts_for_ten_seconds() -> None:
    """100 readings at once are 10 per second now and nothing 11 seconds later."""
    rate = ReadingRate()
    rate.add(100, 50.0)

    assert rate.per_second(50.5) == 10.0
    assert rate.per_second(59.9) == 10.0
    assert rate.per_second(61.0) == 0.0


def test_a_long_silence_forgets_everything() -> None:
    """The ring is emptied however long nobody asked."""
    rate = ReadingRate()
    rate.add(100, 50.0)

    assert rate.per_second(5_000.0) == 0.0


def test_counts_of_one_second_add_up() -> None:
    """Several batches in one second count together."""
    rate = ReadingRate()
    rate.add(30, 7.1)
    rate.add(70, 7.9)

    assert rate.per_second(7.95) == 10.0

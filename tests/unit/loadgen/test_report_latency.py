"""Percentiles of latencies from a histogram of bounded memory."""

from __future__ import annotations

import random

import pytest

from loadgen.latency import LatencyHistogram


def test_without_a_sample_there_is_no_percentile() -> None:
    """Nothing measured is not 0 ms."""
    assert LatencyHistogram().percentile_ms(50) is None


def test_percentiles_are_within_a_hundredth_of_the_sorted_samples() -> None:
    """Against the plain sorted list, nearest rank, of a thousand seeded samples over six decades."""
    draw = random.Random(7)
    samples = [10 ** draw.uniform(-2, 4) for _ in range(1000)]
    histogram = LatencyHistogram()
    for sample in samples:
        histogram.record(sample)

    found = [histogram.percentile_ms(percent) for percent in (1, 50, 99, 100)]

    ordered = sorted(samples)
    assert found == pytest.approx([ordered[9], ordered[499], ordered[989], ordered[999]], rel=0.0101)


def test_a_weighted_sample_counts_as_many() -> None:
    """A frame's latency counts once for each of its readings."""
    histogram = LatencyHistogram()

    histogram.record(1.0, count=99)
    histogram.record(1000.0)

    assert histogram.count == 100
    assert histogram.percentile_ms(99) == pytest.approx(1.0, rel=0.01)
    assert histogram.percentile_ms(100) == pytest.approx(1000.0, rel=0.01)


def test_a_latency_below_zero_is_zero() -> None:
    """Two clocks may put the effect before its cause; that is 0, not an error."""
    histogram = LatencyHistogram()

    histogram.record(-5.0)

    assert histogram.percentile_ms(50) == 0.0


def test_memory_does_not_grow_with_the_samples() -> None:
    """A hundred thousand samples between 1 ms and 10 s share fewer than a thousand buckets."""
    draw = random.Random(7)
    histogram = LatencyHistogram()

    for _ in range(100_000):
        histogram.record(10 ** draw.uniform(0, 4))

    assert len(histogram._buckets) < 1000

"""A partition that has been quiet sends at once; one that is busy sends at a steady rate."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ingestion.batch_pace import BatchPace


def pace() -> BatchPace:
    """Batches 5 ms apart, 20 ms in the long run, four close together."""
    return BatchPace(spacing_seconds=0.005, steady_seconds=0.020, burst_batches=4, now=100.0)


def sent_until(end: float, paced: BatchPace, interval: float = 0.0) -> list[float]:
    """When batches go while there is always something to send, or something every `interval` seconds."""
    sent: list[float] = []
    wanted = 100.0
    while (at := max(wanted, paced.next_at())) < end:
        paced.sealed(at)
        sent.append(at)
        wanted = max(wanted + interval, at)
    return sent


def test_the_first_batch_goes_at_once() -> None:
    """Whatever the spacing."""
    assert pace().next_at() <= 100.0


def test_a_busy_partition_sends_a_few_close_together_and_then_steadily() -> None:
    """Four at the least spacing, then one every 20 ms."""
    sent = sent_until(100.2, pace())

    gaps = [after - before for before, after in pairwise(sent)]
    assert gaps[:3] == pytest.approx([0.005] * 3)
    assert gaps[5:] == pytest.approx([0.020] * len(gaps[5:]))


def test_in_the_long_run_no_more_go_than_the_steady_rate() -> None:
    """Ten seconds of load are five hundred batches and the few of the burst."""
    assert len(sent_until(110.0, pace())) == pytest.approx(503, abs=2)


def test_below_the_steady_rate_nothing_waits() -> None:
    """A frame every 25 ms is a batch every 25 ms."""
    sent = sent_until(101.0, pace(), interval=0.025)

    assert sent == pytest.approx([100.0 + 0.025 * number for number in range(len(sent))])

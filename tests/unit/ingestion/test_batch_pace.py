"""A quiet partition sends at once; a busy one at a steady rate, the fewer batches the more they hold."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ingestion.batch_pace import BatchPace, PaceLimits

LIMITS = PaceLimits(
    spacing_seconds=0.005, steady_seconds=0.020, weight_bytes=10_000, longest_seconds=0.1, burst_batches=4
)


def sent_until(
    end: float,
    *,
    interval: float = 0.0,
    size_bytes: int = 0,
    confirm_seconds: float = 0.0,
    are_consumers_behind: bool = False,
) -> list[float]:
    """When batches go while there is always something to send, or something every `interval` seconds."""
    paced = BatchPace(LIMITS, 100.0)
    sent: list[float] = []
    wanted = 100.0
    while (at := max(wanted, paced.next_at())) < end:
        paced.sealed(at, size_bytes, are_consumers_behind=are_consumers_behind)
        paced.confirmed(confirm_seconds)
        sent.append(at)
        wanted = max(wanted + interval, at)
    return sent


def gaps(sent: list[float]) -> list[float]:
    """The time from each batch to the next."""
    return [after - before for before, after in pairwise(sent)]


def test_the_first_batch_goes_at_once() -> None:
    """Whatever the spacing."""
    assert BatchPace(LIMITS, 100.0).next_at() <= 100.0


def test_a_busy_partition_sends_a_few_close_together_and_then_steadily() -> None:
    """Four at the least spacing, then one every 20 ms."""
    found = gaps(sent_until(100.2))

    assert found[:3] == pytest.approx([0.005] * 3)
    assert found[5:] == pytest.approx([0.020] * len(found[5:]))


def test_in_the_long_run_no_more_go_than_the_steady_rate() -> None:
    """Ten seconds of load are five hundred batches and the few of the burst."""
    assert len(sent_until(110.0)) == pytest.approx(503, abs=2)


def test_below_the_steady_rate_nothing_waits() -> None:
    """A frame every 25 ms is a batch every 25 ms."""
    sent = sent_until(101.0, interval=0.025)

    assert sent == pytest.approx([100.0 + 0.025 * number for number in range(len(sent))])


@pytest.mark.parametrize(
    ("size_bytes", "gap_seconds"), [(10_000, 0.040), (20_000, 0.060), (40_000, 0.1), (500_000, 0.1)]
)
def test_the_larger_a_batch_the_longer_the_pause_after_it_up_to_a_limit(size_bytes: int, gap_seconds: float) -> None:
    """More load makes larger batches, not more of them."""
    found = gaps(sent_until(110.0, size_bytes=size_bytes))

    assert found[10:] == pytest.approx([gap_seconds] * len(found[10:]))


def test_slow_confirms_make_fewer_batches() -> None:
    """Twice the time of a confirm lies between two batches, if that is more than the rest asks for."""
    found = gaps(sent_until(110.0, confirm_seconds=0.030))

    assert found[10:] == pytest.approx([0.060] * len(found[10:]))


def test_while_consumers_are_behind_there_are_as_few_batches_as_may_be() -> None:
    """However small they are: each costs the consumers the time that they lack."""
    found = gaps(sent_until(110.0, size_bytes=10, are_consumers_behind=True))

    assert found[10:] == pytest.approx([0.1] * len(found[10:]))

"""When a client opens its stream again: later and later while refused, spread after a drain, patient for so long."""

from __future__ import annotations

from random import Random

from loadgen.reconnecting import DRAIN_SPREAD_SECONDS, Reconnecting


class Longest(Random):
    """Draws the longest wait that may come."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002
        """The upper end."""
        return b


def test_waits_double_up_to_a_longest_while_streams_are_lost() -> None:
    """However much a stream acked before it was refused."""
    reconnecting = Reconnecting(60.0, Longest())

    waits = [reconnecting.wait_after_loss_seconds(lasted_seconds=0.5) for _ in range(10)]

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


def test_a_stream_that_has_lasted_ends_what_was_before_it() -> None:
    """The next loss is the first one again."""
    reconnecting = Reconnecting(60.0, Longest())
    for _ in range(5):
        reconnecting.wait_after_loss_seconds(lasted_seconds=0.5)

    assert reconnecting.wait_after_loss_seconds(lasted_seconds=300.0) == 0.1


def test_waits_of_many_clients_are_spread_from_nothing_on() -> None:
    """Full jitter: whoever lost a stream together does not come back together."""
    waits = [Reconnecting(60.0, Random(seed)).wait_after_loss_seconds(0.0) for seed in range(100)]
    drained = [Reconnecting(60.0, Random(seed)).wait_after_drain_seconds() for seed in range(100)]

    assert min(waits) < 0.02
    assert max(waits) > 0.08
    assert all(sum(low <= wait < low + 0.25 for wait in drained) > 10 for low in (0.0, 0.25, 0.5, 0.75))
    assert max(drained) <= DRAIN_SPREAD_SECONDS


def test_what_the_gateway_asked_for_comes_before_the_jitter() -> None:
    """No client is back earlier, and they are spread behind it."""
    waits = [Reconnecting(60.0, Random(seed)).wait_after_loss_seconds(0.0, 2.5) for seed in range(100)]

    assert all(2.5 <= wait <= 2.6 for wait in waits)
    assert len(set(waits)) == 100


def test_patience_counts_from_the_last_ack() -> None:
    """Streams that bring nothing do not prolong it."""
    reconnecting = Reconnecting(60.0, Random(1))
    reconnecting.begin(100.0)
    reconnecting.begin(130.0)
    before = reconnecting.has_patience(159.0), reconnecting.has_patience(160.0)

    reconnecting.moved(150.0)

    assert before == (True, False)
    assert reconnecting.has_patience(209.0)

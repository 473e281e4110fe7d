"""How long a day waits whose invoices could not be looked at."""

from itertools import pairwise

from billing.invoices.adjustment_due_store import delay_ms


def test_it_waits_a_minute_then_twice_as_long_each_time_and_never_more_than_six_hours() -> None:
    """However often it has failed."""
    waits_ms = [delay_ms(failure_count) for failure_count in range(1, 11)]

    assert waits_ms[0] == 60_000
    assert all(later == min(2 * sooner, 6 * 3_600_000) for sooner, later in pairwise(waits_ms))
    assert delay_ms(1_000_000) == 6 * 3_600_000

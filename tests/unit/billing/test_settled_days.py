"""A day is settled when every day on which a bill may begin that rests on it is one of an issued invoice."""

from datetime import date

from billing.retention.settled_days import BilledDays, is_billed_throughout

MARCH = BilledDays(date(2026, 3, 1), date(2026, 4, 1))
APRIL = BilledDays(date(2026, 4, 1), date(2026, 5, 1))
MAY = BilledDays(date(2026, 5, 1), date(2026, 6, 1))


def test_invoices_that_follow_each_other_bill_every_day_in_whatever_order_they_are_found() -> None:
    """To the last day, which is the one before the last one ends."""
    assert is_billed_throughout([APRIL, MARCH], date(2026, 3, 2), date(2026, 4, 30))
    assert not is_billed_throughout([APRIL, MARCH], date(2026, 3, 2), date(2026, 5, 1))
    assert is_billed_throughout([MAY, APRIL, MARCH], date(2026, 3, 2), date(2026, 5, 1))


def test_a_day_between_that_nobody_has_billed_is_one_too_many() -> None:
    """April is missing, or the days before the first invoice are."""
    assert not is_billed_throughout([MARCH, MAY], date(2026, 3, 2), date(2026, 5, 1))
    assert not is_billed_throughout([MARCH, APRIL], date(2026, 2, 28), date(2026, 4, 1))
    assert not is_billed_throughout([], date(2026, 3, 2), date(2026, 3, 2))

"""A bill that rests too much on estimates is held, so that a person looks before it is sent."""

from decimal import Decimal

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.invoices.bill_hold import BillHold, HoldLimits, HoldReason, bill_holds, quarantine_hold
from billing.tariffs.rated_line import Quarter

QUARTER_MS = 900_000
DAY = 96
MWH = 1_000_000
START_MS = 1_767_225_600_000

LIMITS = HoldLimits(estimated_ms=72 * 3_600_000, estimated_percent=Decimal(10))


def quarters(count: int, estimated: range = range(0), *, first: int = 0) -> list[Quarter]:
    """Quarter-hours of 1 kWh each, some of them estimated."""
    return [
        Quarter(START_MS + place * QUARTER_MS, START_MS + (place + 1) * QUARTER_MS, MWH, 1, int(place in estimated))
        for place in range(first, first + count)
    ]


def at_ms(place: int) -> int:
    """The start of a quarter-hour."""
    return START_MS + place * QUARTER_MS


def test_three_days_of_estimates_are_let_through_and_a_quarter_more_is_not() -> None:
    """288 quarter-hours are exactly three days; of a month they are 9.7 percent, and so are 289."""
    month = 31 * DAY

    assert bill_holds(quarters(month, range(100, 388)), LIMITS) == []
    assert bill_holds(quarters(month, range(100, 389)), LIMITS) == [
        BillHold(HoldReason.PROLONGED_ESTIMATE, at_ms(100), at_ms(389), Decimal(100))
    ]


def test_a_reading_between_or_a_gap_ends_a_run_of_estimates() -> None:
    """Two days, a reading, two days are not four."""
    month = 60 * DAY

    some = quarters(month, range(385))
    some[192] = some[192]._replace(estimated_reading_count=0)
    with_a_gap = [one for place, one in enumerate(quarters(month, range(385))) if place != 192]

    assert bill_holds(some, LIMITS) == []
    assert bill_holds(with_a_gap, LIMITS) == []


def test_a_tenth_of_the_energy_may_be_estimated_and_no_more() -> None:
    """Ten of a hundred quarter-hours are let through; of 99 they are 10.11 percent, rounded up."""
    assert bill_holds(quarters(100, range(10)), LIMITS) == []
    assert bill_holds(quarters(99, range(10)), LIMITS) == [
        BillHold(HoldReason.ESTIMATED_SHARE, at_ms(0), at_ms(99), Decimal("10.11"))
    ]


def test_the_order_does_not_matter_and_what_is_not_billed_does_not_count() -> None:
    """Quarter-hours without import are in no bill, so their estimates hold none."""
    some = quarters(99, range(10))
    without_import = [one._replace(import_milliwatt_hours=None) for one in quarters(96, range(200, 296), first=200)]

    assert bill_holds([*without_import, *reversed(some)], LIMITS) == bill_holds(some, LIMITS)
    assert bill_holds(without_import, LIMITS) == []


def test_readings_that_are_set_aside_hold_the_bill_of_their_time_and_no_other() -> None:
    """Over all such times together, as far as they are billed; what ends where the bill begins is another's."""
    hours = [QuarantinedPeriod("m-1", at_ms(place), at_ms(place + 4)) for place in (0, 4, 40, 94)]

    assert quarantine_hold(hours, at_ms(6), at_ms(96)) == [
        BillHold(HoldReason.QUARANTINED_READINGS, at_ms(6), at_ms(96), Decimal(0))
    ]
    assert quarantine_hold(hours, at_ms(44), at_ms(94)) == []
    assert quarantine_hold([], at_ms(0), at_ms(96)) == []

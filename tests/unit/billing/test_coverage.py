"""How much of a billed time has readings, exact, and when a bill is held for what has none."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.bill_hold import BillHold, HoldLimits, HoldReason, gap_hold
from billing.invoices.coverage import Coverage, coverage
from billing.tariffs.rated_line import Quarter

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
QUARTER_MS = 15 * MINUTE_MS
START_MS = 1_767_225_600_000
DAY_END_MS = START_MS + 24 * HOUR_MS
LIMITS = HoldLimits(estimated_ms=0, estimated_percent=Decimal(10), missing_percent=Decimal(5))


def quarter(minute: int, until_minute: int, covered_minutes: int | None = None) -> Quarter:
    """A quarter-hour with import, by minutes of the day."""
    covered_ms = None if covered_minutes is None else covered_minutes * MINUTE_MS
    start_ms, end_ms = START_MS + minute * MINUTE_MS, START_MS + until_minute * MINUTE_MS
    return Quarter(start_ms, end_ms, 1, 1, covered_ms=covered_ms)


def covered_minutes(*quarters: Quarter) -> float:
    """The covered minutes of the day; with the missing ones they are all of them."""
    found = coverage(quarters, START_MS, DAY_END_MS)
    assert found.covered_ms + found.missing_ms == 24 * HOUR_MS
    return found.covered_ms / MINUTE_MS


def test_minutes_that_are_missing_within_a_quarter_hour_are_missed() -> None:
    """Twelve of fifteen, wherever the three are."""
    assert covered_minutes(quarter(0, 15, 12), quarter(15, 27, 12), quarter(30, 45)) == 39


def test_a_reading_of_an_hour_covers_the_quarter_hours_after_its_own() -> None:
    """Also where it starts within a quarter-hour; the next one goes on from its end."""
    assert covered_minutes(quarter(30, 100, 60), quarter(90, 160, 60)) == 120


def test_readings_that_overlap_cover_no_time_twice() -> None:
    """An hour beside the quarter-hours that it is made of."""
    assert covered_minutes(quarter(0, 60, 75), quarter(15, 30), quarter(30, 45), quarter(45, 75)) == 75


def test_what_lies_beyond_the_time_or_carries_no_energy_covers_nothing() -> None:
    """A reading before midnight, the half of one that ends after it, one of voltage alone."""
    without = quarter(600, 615)._replace(import_milliwatt_hours=None)
    exported = quarter(615, 630)._replace(import_milliwatt_hours=None, export_milliwatt_hours=1)

    assert covered_minutes(quarter(-15, 0), quarter(24 * 60 - 15, 24 * 60 + 15, 30), without, exported) == 30
    assert coverage([], START_MS, START_MS) == Coverage(0, 0)


@given(st.lists(st.booleans(), min_size=96, max_size=96), st.randoms(use_true_random=False))
def test_it_is_a_count_of_minutes_in_whatever_order(present: list[bool], random_: object) -> None:
    """Quarter-hours that are there or not."""
    some = [quarter(15 * place, 15 * place + 15) for place, is_there in enumerate(present) if is_there]
    random_.shuffle(some)  # type: ignore[attr-defined]

    assert covered_minutes(*some) == 15 * sum(present)


def test_a_bill_is_held_when_more_than_a_twentieth_of_its_time_is_missing() -> None:
    """72 minutes of a day are let through, 73 are not: 5.07 percent, rounded up."""
    enough, short = quarter(0, 24 * 60 - 72), quarter(0, 24 * 60 - 73)

    assert gap_hold([enough], START_MS, DAY_END_MS, LIMITS) == []
    assert gap_hold([short], START_MS, DAY_END_MS, LIMITS) == [
        BillHold(HoldReason.MISSING_READINGS, START_MS, DAY_END_MS, Decimal(0), Decimal("5.07"))
    ]


def test_a_time_that_has_not_begun_misses_nothing() -> None:
    """A bill of tomorrow."""
    assert gap_hold([], START_MS, START_MS, LIMITS) == []

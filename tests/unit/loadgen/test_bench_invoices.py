"""The month that the benchmark bills, and how exactly it is sent."""

from __future__ import annotations

from datetime import date

import pytest

from loadgen.bench.fleet import BenchFleet
from loadgen.bench.invoice_row import month_of
from loadgen.bench.schedule import Schedule


@pytest.mark.parametrize(
    ("day", "month"),
    [
        (date(2026, 2, 28), (date(2026, 2, 1), date(2026, 3, 1))),
        (date(2025, 12, 31), (date(2025, 12, 1), date(2026, 1, 1))),
        (date(2026, 4, 1), (date(2026, 4, 1), date(2026, 5, 1))),
    ],
)
def test_the_month_is_whole(day: date, month: tuple[date, date]) -> None:
    """From its first day to that of the next one, whatever its length."""
    assert month_of(day) == month


async def test_a_schedule_ends_after_its_frames() -> None:
    """So that a month is sent to its end and no further."""
    schedule = Schedule(100, frames=2)

    due = [await schedule.next_due() for _ in range(3)]

    assert [each is None for each in due] == [False, False, True]


def test_the_billed_meters_have_an_account_each_in_a_region_of_their_own() -> None:
    """While those of the other rows share accounts, and all regions."""
    billed = BenchFleet("b", 3, devices_an_account=1, regions=("Here",)).devices(0, 3)
    others = BenchFleet("b", 30).devices(0, 30)

    assert len({device.account_id for device in billed}) == 3
    assert {device.region for device in billed} == {"Here"}
    assert (len({device.account_id for device in others}), len({device.region for device in others})) == (3, 10)

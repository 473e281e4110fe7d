"""What stands behind a line that rests on earlier months: the peak of a ratchet, and export that was kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from billing.invoices.explanation import explain
from billing.invoices.readings_digest import readings_digest
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine
from billing.tariffs.rating import lines_of, rated_months
from billing.tariffs.tariff import DemandCharge, ExportMode, ExportTerms, FlatPricing, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_month import TariffMonth
from tests.unit.billing.month_cases import JANUARY, UTC, evening, tariff, used
from tests.unit.billing.rating_cases import utc_ms

PAID = FlatPricing(Decimal("0.05"))
Shown = tuple[str, str, bool]


def months(
    quarters: Sequence[Quarter], *tariffs: Tariff, days: tuple[date, date] = JANUARY, changes: Sequence[str] = ()
) -> list[TariffMonth]:
    """The months of some days and three before them, by tariffs that follow each other at the changes."""
    starts_ms = [0, *(utc_ms(change) for change in changes)]
    return rated_months(
        device_id="m-1",
        zone=UTC,
        start_date=days[0],
        end_date=days[1],
        assignments=[
            TariffAssignment("m-1", one.tariff_id, at_ms) for one, at_ms in zip(tariffs, starts_ms, strict=True)
        ],
        tariffs={one.tariff_id: one for one in tariffs},
        quarters=quarters,
        history_months=3,
    )


def behind(rated: Sequence[TariffMonth], kind: LineKind, start_date: date = JANUARY[0]) -> list[list[Shown]]:
    """Start, kWh and whether of an earlier month, of what is behind each line of a kind."""
    lines: list[RatedLine] = [line for line in lines_of(rated, start_date, UTC) if line.kind is kind]
    return [[shown(one) for one in explain(rated, start_date, line)] for line in lines]


def shown(interval: tuple[int, int, int, int, bool]) -> Shown:
    """An interval in short."""
    start_ms, _, milliwatt_hours, _, is_of_earlier_month = interval
    days, rest_ms = divmod(start_ms - utc_ms("2025-11-01"), 86_400_000)
    return f"day {days} hour {rest_ms // 3_600_000}", f"{milliwatt_hours / 1_000_000:g}", is_of_earlier_month


def banked(true_up_month: int = 4) -> Tariff:
    """With a peak, and a bank of kWh for each of the two prices."""
    return replace(tariff(evening("0.40", "0.10")), export=ExportTerms(ExportMode.PERIOD_NETTING, PAID, true_up_month))


GIVEN = [
    used("2025-11-03T10:00", "1", "6"),
    used("2025-12-03T10:00", "0", "2"),
    used("2025-12-03T19:00", "0", "8"),
    used("2026-01-03T10:00", "3", "0"),
    used("2026-01-04T10:00", "0", "1"),
]
NOVEMBER, DECEMBER, JANUARY_4 = (
    ("day 2 hour 10", "6", True),
    ("day 32 hour 10", "2", True),
    ("day 64 hour 10", "1", False),
)
EVENING = ("day 32 hour 19", "8", True)


def test_export_that_is_used_from_the_bank_is_that_of_the_months_before_at_its_price() -> None:
    """January's 3 kWh less 1 of its own; the evening's export is of another price."""
    rated = months(GIVEN, banked())

    assert behind(rated, LineKind.EXPORT_BANK_USED) == [[NOVEMBER, DECEMBER]]
    assert behind(rated, LineKind.EXPORT_NETTED) == [[JANUARY_4]]
    assert behind(rated, LineKind.EXPORT_BANK_KEPT) == [[NOVEMBER, DECEMBER, JANUARY_4], [EVENING]]


def test_the_true_up_stands_on_all_export_since_the_one_before() -> None:
    """Whatever its price; with a true-up after November nothing of November is in that of January."""
    rated = months(GIVEN, banked(true_up_month=1))

    assert behind(rated, LineKind.EXPORT) == [[NOVEMBER, DECEMBER, EVENING, JANUARY_4]]
    assert behind(months(GIVEN, banked(true_up_month=11)), LineKind.EXPORT_BANK_USED) == [[DECEMBER]]


def test_in_a_bill_of_two_months_each_line_stands_on_its_own_month_and_those_before() -> None:
    """December keeps what November and it gave, January uses it."""
    rated = months(GIVEN, banked(), days=(date(2025, 12, 1), date(2026, 2, 1)))

    used_up = behind(rated, LineKind.EXPORT_BANK_USED, date(2025, 12, 1))
    kept = behind(rated, LineKind.EXPORT_BANK_KEPT, date(2025, 12, 1))

    assert used_up == [[NOVEMBER, DECEMBER]]
    assert kept[0] == [NOVEMBER, (*DECEMBER[:2], False)]
    assert kept[2] == [NOVEMBER, DECEMBER, JANUARY_4]


@pytest.mark.parametrize("change", ["2026-01-01T00:00", "2025-11-20T00:00"])
def test_behind_a_demand_that_a_ratchet_bills_is_the_window_of_the_earlier_month(change: str) -> None:
    """Half an hour of November, under the tariff before."""
    charge = DemandCharge("all", Decimal(12), 30, ratchet_percent=Decimal(80), lookback_months=3)
    old = replace(tariff(PAID), demand_charges=(charge,))
    quarters = [
        used("2025-11-03T09:45", "1"),
        used("2025-11-03T10:00", "6"),
        used("2025-11-03T10:15", "4"),
        used("2026-01-03T10:00", "3"),
    ]

    rated = months(quarters, old, replace(old, tariff_id="new"), changes=[change])

    assert behind(rated, LineKind.DEMAND) == [[("day 2 hour 10", "6", True), ("day 2 hour 10", "4", True)]]


def test_behind_a_demand_of_its_own_month_is_its_window_under_its_own_tariff() -> None:
    """Of an hour that the next tariff takes over the first has what it priced."""
    charge = DemandCharge("all", Decimal(12), 60)
    old = replace(tariff(PAID), demand_charges=(charge,))
    quarters = [used("2026-01-03T10:00", "6"), used("2026-01-03T10:30", "4"), used("2026-01-03T11:00", "3")]

    rated = months(quarters, old, replace(old, tariff_id="new"), changes=["2026-01-03T10:30"])

    assert behind(rated, LineKind.DEMAND) == [[("day 63 hour 10", "6", False)], [("day 63 hour 11", "3", False)]]


def test_lines_count_the_edits_among_their_readings() -> None:
    """Each in the line of its price; of export alone in that of export."""
    billing = replace(tariff(evening("0.40", "0.10")), export=ExportTerms(ExportMode.NET_BILLING, PAID))
    quarters = [
        used("2026-01-03T10:00", "1")._replace(reading_count=3, edited_reading_count=2),
        used("2026-01-03T19:00", "1"),
        used("2026-01-03T20:00", None, "1")._replace(edited_reading_count=1),
    ]

    lines = lines_of(months(quarters, billing), JANUARY[0], UTC)

    assert [(line.price_name, line.edited_reading_count) for line in lines] == [("rest", 2), ("peak", 0), ("flat", 1)]


def test_the_digest_is_another_when_any_reading_is() -> None:
    """Order does not count; every figure does."""
    one, other = GIVEN[0], GIVEN[1]
    known = readings_digest([one, other])
    changed = [
        one._replace(start_ms=one.start_ms - 1),
        one._replace(last_end_ms=one.last_end_ms + 1),
        one._replace(import_milliwatt_hours=None),
        one._replace(export_milliwatt_hours=0),
        one._replace(reading_count=2),
        one._replace(estimated_reading_count=1),
        one._replace(edited_reading_count=1),
        one._replace(substituted_reading_count=1),
    ]

    assert readings_digest([other, one]) == known
    assert len({known, *(readings_digest([each, other]) for each in changed)}) == 9


def test_the_digest_of_a_kept_bill_stays_what_it_was() -> None:
    """As an earlier release made it, before substitutes were counted."""
    assert readings_digest([Quarter(0, 900_000, 5, 3, 2, 7, 1)]) == (
        "a1e62fd9e7eaee46c06346950e3533f9c9e9da188c6ed7375ae4b5a75dbd5d04"
    )

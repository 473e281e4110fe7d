"""What is true of every rating, whatever the readings: nothing lost, nothing double, no order, plain arithmetic."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoices.invoice import Invoice, make_invoice
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine
from billing.tariffs.rating import rate
from billing.tariffs.tariff import (
    DemandCharge,
    ExportMode,
    ExportTerms,
    FlatPricing,
    PriceStep,
    Tariff,
    TierAllowance,
    TierCounter,
    TierRules,
    TierVolume,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import TariffAssignment
from common.local_time import local_midnight_ms

QUARTER_MS = 900_000
STEADY = settings(deadline=None, derandomize=True, max_examples=60)

ZONES = st.sampled_from(
    ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"]
)
PRICES = st.decimals(-5, 50, places=8)
PERCENTS = st.decimals(0, 100, places=4)
STEPS = st.lists(st.tuples(st.integers(1, 3_000_000), PRICES), max_size=2, unique_by=lambda step: step[0]).map(
    lambda drawn: tuple(PriceStep(Decimal(above), price) for above, price in sorted(drawn))
)
RULES = st.builds(TierRules, st.sampled_from(TierAllowance), st.sampled_from(TierCounter), st.sampled_from(TierVolume))
EXPORT = st.builds(ExportTerms, st.sampled_from(ExportMode), st.builds(FlatPricing, PRICES), st.integers(1, 12))


@st.composite
def tariffs(draw: st.DrawFn, tariff_id: str) -> Tariff:
    """A flat tariff, or one of up to three periods by the clock, with any tiers."""
    windows = st.tuples(st.frozensets(st.integers(0, 6)), st.integers(0, 47), st.integers(48, 96))
    periods = draw(st.lists(st.tuples(PRICES, st.lists(windows, min_size=1, max_size=3)), max_size=3))
    pricing: FlatPricing | TimeOfUsePricing = FlatPricing(draw(PRICES), draw(STEPS))
    if periods:
        named = tuple(
            TimeOfUsePeriod(
                f"period-{index}",
                price,
                tuple(TimeOfUseWindow(days, 15 * first, 15 * last) for days, first, last in w),
                draw(STEPS),
            )
            for index, (price, w) in enumerate(periods)
        )
        pricing = TimeOfUsePricing(named, "rest", draw(PRICES), default_steps=draw(STEPS))
    charge = draw(st.none() | st.decimals(0, 100, places=2))
    return Tariff(tariff_id, "", "USD", pricing, charge, draw(PERCENTS), tier_rules=draw(RULES))


Case = tuple[str, date, int, list[Tariff], list[TariffAssignment], list[Quarter]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Zone, first day, number of days, tariffs, assignments at local midnights, and some quarters of the period."""
    zone = draw(ZONES)
    start_date = draw(st.dates(date(2018, 1, 1), date(2026, 12, 1)))
    days = draw(st.integers(2, 8))
    drawn = [draw(tariffs("first")), draw(tariffs("second"))]
    change_date = start_date + timedelta(days=draw(st.integers(1, 10)))
    assignments = [
        TariffAssignment("m-1", tariff.tariff_id, local_midnight_ms(day, ZoneInfo(zone)))
        for tariff, day in zip(drawn, (start_date, change_date), strict=True)
    ]
    start_ms = local_midnight_ms(start_date, ZoneInfo(zone))
    last = (local_midnight_ms(start_date + timedelta(days=days), ZoneInfo(zone)) - start_ms) // QUARTER_MS - 1
    energies = draw(st.dictionaries(st.integers(0, last), st.integers(0, 10**12), min_size=1, max_size=40))
    quarters = [
        Quarter(start_ms + place * QUARTER_MS, start_ms + (place + 1) * QUARTER_MS, energy, 1)
        for place, energy in energies.items()
    ]
    return zone, start_date, days, drawn, assignments, quarters


def lines_of(case: Case, quarters: Sequence[Quarter], first_day: int, last_day: int) -> list[RatedLine]:
    """The lines of the days [first_day, last_day) of a case."""
    zone, start_date, _, drawn, assignments, _ = case
    return rate(
        device_id="m-1",
        zone=ZoneInfo(zone),
        start_date=start_date + timedelta(days=first_day),
        end_date=start_date + timedelta(days=last_day),
        assignments=assignments,
        tariffs={tariff.tariff_id: tariff for tariff in drawn},
        quarters=quarters,
    )


def bill_of(case: Case) -> Invoice:
    """The bill of the whole period of a case."""
    return make_invoice(lines_of(case, case[5], 0, case[2]))


def energy_by_price(lines: Sequence[RatedLine]) -> dict[tuple[str, str], Decimal]:
    """The energy of some lines, kWh, by tariff and price name."""
    energies: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        if line.kind is LineKind.ENERGY:
            key = (line.tariff.tariff_id, line.price_name)
            energies[key] = energies.get(key, Decimal(0)) + line.quantity
    return energies


@STEADY
@given(case=cases())
def test_the_lines_hold_the_energy_of_the_quarters(case: Case) -> None:
    """No milliwatt-hour and no reading is lost or billed twice."""
    lines = lines_of(case, case[5], 0, case[2])

    assert sum(energy_by_price(lines).values()) * 1_000_000 == sum(
        quarter.import_milliwatt_hours or 0 for quarter in case[5]
    )
    assert sum(line.reading_count for line in lines) == len(case[5])


@STEADY
@given(case=cases(), data=st.data())
def test_splitting_the_period_never_changes_the_energy(case: Case, data: st.DataObject) -> None:
    """Two bills that share a midnight hold together what one bill over both holds."""
    zone, start_date, days, _, _, quarters = case
    split = data.draw(st.integers(1, days - 1))
    split_ms = local_midnight_ms(start_date + timedelta(days=split), ZoneInfo(zone))
    halves = [
        ([quarter for quarter in quarters if quarter.start_ms < split_ms], 0, split),
        ([quarter for quarter in quarters if quarter.start_ms >= split_ms], split, days),
    ]

    whole = lines_of(case, quarters, 0, days)
    parts = [line for half in halves if half[0] for line in lines_of(case, *half)]

    assert energy_by_price(parts) == energy_by_price(whole)


@STEADY
@given(case=cases(), seed=st.integers(0, 2**32))
def test_the_order_of_the_quarters_never_changes_the_bill(case: Case, seed: int) -> None:
    """Rows come as the store hands them out."""
    shuffled = [*case[5]]
    random.Random(seed).shuffle(shuffled)

    assert make_invoice(lines_of(case, shuffled, 0, case[2])) == bill_of(case)


@STEADY
@given(case=cases())
def test_the_total_is_the_sum_of_what_is_printed(case: Case) -> None:
    """A person who adds up the printed lines and taxes gets the printed total."""
    invoice = bill_of(case)

    assert invoice.net == sum(line.amount for line in invoice.lines)
    assert invoice.net == sum(tax.base for tax in invoice.taxes)
    assert invoice.tax == sum(tax.amount for tax in invoice.taxes)
    assert invoice.total == invoice.net + invoice.tax


@STEADY
@given(case=cases())
def test_every_amount_is_within_half_a_cent_of_the_exact_one(case: Case) -> None:
    """Rounding happens once a line and once a tax rate, and not before."""
    invoice = bill_of(case)

    for line in invoice.lines:
        assert abs(line.amount - line.rated.quantity * line.rated.unit_price) <= Decimal("0.005")
    for tax in invoice.taxes:
        assert abs(tax.amount - tax.base * tax.percent / 100) <= Decimal("0.005")


@STEADY
@given(
    pricing=st.builds(FlatPricing, PRICES, STEPS),
    rules=RULES,
    energies=st.dictionaries(st.integers(0, 89), st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1),
    export=EXPORT,
)
def test_a_bill_of_three_months_is_the_bills_of_its_months(
    pricing: FlatPricing, rules: TierRules, energies: dict[int, tuple[int, int]], export: ExportTerms
) -> None:
    """Before rounding, whatever is counted by the month: tiers, demand, monthly charges, a bank of export."""
    counted = replace(rules, counter=TierCounter.PRICE) if export.mode is ExportMode.PERIOD_NETTING else rules
    tariff = Tariff(
        "t",
        "",
        "USD",
        pricing,
        None,
        Decimal(0),
        monthly_charge=Decimal(7),
        tier_rules=counted,
        demand_charges=(DemandCharge("all", Decimal(3), ratchet_percent=Decimal(70), lookback_months=2),),
        export=export,
    )
    # From the 1st of January on: one quarter-hour on each of some of its first ninety days, and of each month.
    first_ms = local_midnight_ms(date(2026, 1, 1), ZoneInfo("UTC"))
    given_on = {0: (1, 1), 31: (1, 1), 59: (1, 1), **energies}
    quarters = [
        Quarter(first_ms + day * 86_400_000, first_ms + day * 86_400_000 + QUARTER_MS, imported, 1, 0, exported)
        for day, (imported, exported) in given_on.items()
    ]

    def exact(start_date: date, end_date: date, history_months: int) -> Fraction:
        end_ms = local_midnight_ms(end_date, ZoneInfo("UTC"))
        lines = rate(
            device_id="m-1",
            zone=ZoneInfo("UTC"),
            start_date=start_date,
            end_date=end_date,
            assignments=[TariffAssignment("m-1", "t", 0)],
            tariffs={"t": tariff},
            quarters=[quarter for quarter in quarters if quarter.start_ms < end_ms],
            history_months=history_months,
        )
        return sum((line.exact_amount for line in lines), Fraction(0))

    bounds = [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]
    assert exact(bounds[0], bounds[3], 0) == sum(exact(bounds[n], bounds[n + 1], n) for n in range(3))

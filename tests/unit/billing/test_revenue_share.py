"""What an invoice is made of by region, tariff and kind of charge: nothing is lost, and no coin is split."""

from energy.billing.v1 import invoice_pb2 as pb
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoices.revenue_of_bills import revenue_of
from billing.invoices.revenue_share import RevenueKind, RevenueShare, added_up, grouped, less, spread

PEAK = RevenueShare("north", "flat", RevenueKind.ENERGY, 1000, 190, 5_000_000)
FIXED = RevenueShare("north", "flat", RevenueKind.FIXED, 300, 57, 0)
SOUTH = RevenueShare("south", "clock", RevenueKind.ENERGY, 2000, 380, 9_000_000)
FED_IN = RevenueShare("south", "clock", RevenueKind.EXPORT, -500, -95, 2_000_000)


def money(coins: int) -> Money:
    """So many cents."""
    sign = -1 if coins < 0 else 1
    return Money(currency_code="EUR", units=sign * (abs(coins) // 100), nanos=sign * (abs(coins) % 100) * 10_000_000)


def line(kind: int, coins: int, quantity: str, percent: str = "19", tariff_id: str = "flat") -> pb.InvoiceLine:
    """A line of a bill."""
    return pb.InvoiceLine(
        kind=kind,  # type: ignore[arg-type]
        tariff_id=tariff_id,
        quantity=DecimalMessage(value=quantity),
        amount=money(coins),
        tax_percent=DecimalMessage(value=percent),
    )


@settings(deadline=None, derandomize=True)
@given(st.integers(-10_000, 10_000), st.lists(st.integers(-1000, 1000), min_size=1, max_size=8))
def test_what_is_spread_adds_up_and_is_off_by_less_than_a_coin(coins: int, weights: list[int]) -> None:
    """Whatever the signs; where the weights come to nothing the first has it all."""
    parts, whole = spread(coins, weights), sum(weights)

    assert sum(parts) == coins
    if whole:
        assert all(abs(part * whole - coins * weight) < abs(whole) for part, weight in zip(parts, weights, strict=True))
    else:
        assert parts == [coins, *[0] * (len(weights) - 1)]


def test_nothing_is_spread_over_nobody() -> None:
    """An invoice of nothing has no shares."""
    assert spread(0, []) == []


def test_a_tax_is_spread_over_its_lines_and_only_energy_has_kilowatt_hours() -> None:
    """19 % of 10.01 are 1.90: of 6.67 and 3.34 they are 1.27 and 0.63; another rate is spread by itself."""
    bill = pb.Invoice(
        device_id="meter-1",
        lines=[
            line(pb.INVOICE_LINE_KIND_ENERGY, 667, "1.5"),
            line(pb.INVOICE_LINE_KIND_DAILY_CHARGE, 334, "31"),
            line(pb.INVOICE_LINE_KIND_DEMAND, 100, "4", "7"),
            line(pb.INVOICE_LINE_KIND_EXPORT, -50, "0.25", "0", "sun"),
            line(pb.INVOICE_LINE_KIND_EXPORT_NETTED, 0, "3", "0", "sun"),
            line(pb.INVOICE_LINE_KIND_ROUNDING, 1, "1", "0"),
        ],
        currency_code="EUR",
        taxes=[
            pb.InvoiceTax(percent=DecimalMessage(value="19"), base=money(1001), amount=money(190)),
            pb.InvoiceTax(percent=DecimalMessage(value="7"), base=money(100), amount=money(7)),
        ],
    )

    assert revenue_of([bill], {"meter-1": "north"}) == (
        RevenueShare("north", "flat", RevenueKind.DEMAND, 100, 7, 0),
        RevenueShare("north", "flat", RevenueKind.ENERGY, 667, 127, 1_500_000),
        RevenueShare("north", "flat", RevenueKind.FIXED, 334, 63, 0),
        RevenueShare("north", "flat", RevenueKind.OTHER, 1, 0, 0),
        RevenueShare("north", "sun", RevenueKind.EXPORT, -50, 0, 250_000),
    )


def test_an_adjustment_is_what_it_differs_by_in_each_part() -> None:
    """What is the same is no part of it; a tariff that was taken away comes back below nothing."""
    dearer = RevenueShare("north", "dear", RevenueKind.ENERGY, 1500, 285, 5_000_000)

    assert less([dearer, FIXED], [PEAK, FIXED]) == (
        RevenueShare("north", "dear", RevenueKind.ENERGY, 1500, 285, 5_000_000),
        RevenueShare("north", "flat", RevenueKind.ENERGY, -1000, -190, -5_000_000),
    )
    assert added_up([PEAK, PEAK]) == (RevenueShare("north", "flat", RevenueKind.ENERGY, 2000, 380, 10_000_000),)


def test_payments_and_credit_notes_fall_to_groups_by_what_each_bills() -> None:
    """15.47 in the north and 17.85 in the south: of 10.00 paid 4.64 and 5.36, of 1.00 credited 0.46 and 0.54."""
    north, south = grouped([PEAK, FIXED, SOUTH, FED_IN], lambda share: share.region, 100, 1000)

    assert (north.group, north.net_coins, north.tax_coins, north.paid_coins, north.credited_coins) == (
        *("north", 1300, 247),
        *(464, 46),
    )
    assert (south.group, south.paid_coins, south.credited_coins) == ("south", 536, 54)
    assert (south.milliwatt_hours, south.export_milliwatt_hours) == (9_000_000, 2_000_000)
    assert south.net_by_kind[RevenueKind.EXPORT] == -500

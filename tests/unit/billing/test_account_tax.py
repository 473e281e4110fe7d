"""The tax of an invoice over several meters: on the sum of their lines, and rounded once for each rate."""

from decimal import Decimal

import pytest
from energy.billing.v1 import invoice_pb2 as pb
from energy.billing.v1 import tariff_pb2
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.invoices.account_tax import account_taxes
from billing.invoices.revenue_of_bills import revenue_of
from common.money import from_coins


def bill(device_id: str, *taxed: tuple[str, int], mode: int = tariff_pb2.ROUNDING_MODE_HALF_UP) -> pb.Invoice:
    """The bill of a meter: a line of so many cents for each rate."""
    return pb.Invoice(
        device_id=device_id,
        currency_code="EUR",
        lines=[
            pb.InvoiceLine(
                kind=pb.INVOICE_LINE_KIND_DEMAND,
                tariff_id="t",
                amount=from_coins(coins, "EUR"),
                tax_percent=DecimalMessage(value=percent),
            )
            for percent, coins in taxed
        ],
        taxes=[
            pb.InvoiceTax(percent=DecimalMessage(value=percent), base=from_coins(coins, "EUR"))
            for percent, coins in taxed
        ],
        roundings=[pb.InvoiceRounding(tariff_id="t", mode=mode)],  # type: ignore[arg-type]
    )


def test_a_tax_is_on_the_sum_of_the_lines_of_all_meters() -> None:
    """18 % of 0.14 are 0.03 for each of three meters, and 0.08 of the 0.42 of all."""
    bills = [bill("a", ("18", 14)), bill("b", ("18", 14)), bill("c", ("18", 14))]

    assert account_taxes(bills) == {Decimal(18): 8}


def test_each_rate_has_a_tax_of_its_own() -> None:
    """5 % of 1.30 are 0.07; 18 % of 1.00 are 0.18; what is free of tax has one of nothing."""
    bills = [bill("a", ("18", 100), ("5", 30)), bill("b", ("5", 100), ("0", 50))]

    assert account_taxes(bills) == {Decimal(18): 18, Decimal(5): 7, Decimal(0): 0}


@pytest.mark.parametrize(
    ("mode", "coins"), [(tariff_pb2.ROUNDING_MODE_UP, 8), (tariff_pb2.ROUNDING_MODE_DOWN, 7)], ids=["up", "down"]
)
def test_a_tax_is_rounded_as_the_tariff_of_its_first_line_says(mode: int, coins: int) -> None:
    """18 % of 0.42 are 0.0756."""
    assert account_taxes([bill("a", ("18", 14), mode=mode), bill("b", ("18", 28))]) == {Decimal(18): coins}


def test_shares_add_up_to_the_tax_of_the_invoice() -> None:
    """Not to that of the bills, one by one."""
    bills = [bill("a", ("18", 14)), bill("b", ("18", 14)), bill("c", ("18", 14), ("5", 30))]

    shares = revenue_of(bills, {"a": "north", "b": "south", "c": "south"})

    assert sum(share.tax_coins for share in shares) == sum(account_taxes(bills).values()) == 10
    assert sum(share.net_coins for share in shares) == 72

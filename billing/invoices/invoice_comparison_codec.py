"""What two bills differ by, as a message of the contract."""

from decimal import Decimal

from energy.billing.v1.invoice_service_pb2 import CompareInvoicesResponse, LineDifference
from google.type.money_pb2 import Money

from billing.invoices.invoice_comparison import Comparison
from common.money import from_decimal


def comparison_message(comparison: Comparison, currency_code: str) -> CompareInvoicesResponse:
    """The message of the differences of two bills."""

    def money(amount: Decimal) -> Money:
        return from_decimal(amount, currency_code)

    return CompareInvoicesResponse(
        lines=[
            LineDifference(
                kind=line.key.kind,
                description=line.description,
                price_name=line.key.price_name,
                tier=line.key.tier,
                before=money(line.before),
                after=money(line.after),
                difference=money(line.difference),
                by_quantity=money(line.by_quantity),
                by_price=money(line.by_price),
            )
            for line in comparison.lines
        ],
        tax_difference=money(comparison.tax),
        total_difference=money(comparison.total),
    )

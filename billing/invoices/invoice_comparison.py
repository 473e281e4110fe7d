"""Why one bill is not another: what each price contributed, by how much was used and by what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from energy.billing.v1 import invoice_pb2

from common.errors import CurrencyMixed
from common.money import RoundingMode, round_amount, to_decimal


class LineKey(NamedTuple):
    """What makes lines of two bills the same one: what they are for, by the names of the tariff."""

    kind: "invoice_pb2.InvoiceLineKind.ValueType"
    price_name: str
    tier: int


@dataclass(frozen=True, slots=True)
class LineDifference:
    """The amounts of the lines of one key in both bills, and what of their difference is due to quantity and price.

    `by_quantity` is what the change of the quantity comes to at the earlier price, or at the later one where there was
    none; `by_price` is all the rest, what rounding adds among it.
    """

    key: LineKey
    description: str
    before: Decimal
    after: Decimal
    by_quantity: Decimal

    @property
    def difference(self) -> Decimal:
        """By how much the later amount is more."""
        return self.after - self.before

    @property
    def by_price(self) -> Decimal:
        """What of the difference is not due to quantity."""
        return self.difference - self.by_quantity


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two bills: of their lines, of their taxes, and of their totals, which is the sum of both."""

    lines: tuple[LineDifference, ...]
    tax: Decimal
    total: Decimal


@dataclass(slots=True)
class _Side:
    """The lines of one key in one bill."""

    description: str = ""
    quantity: Fraction = Fraction(0)
    amount: Decimal = Decimal(0)


def compare(before: invoice_pb2.Invoice, after: invoice_pb2.Invoice) -> Comparison:
    """The differences of two bills, in the order of the lines of the earlier one, then of the later.

    Raises:
        CurrencyMixed: they are in different currencies.
    """
    if before.currency_code != after.currency_code:
        raise CurrencyMixed([before.currency_code, after.currency_code])
    sides = (_sides(before.lines), _sides(after.lines))
    keys = dict.fromkeys([*sides[0], *sides[1]])
    return Comparison(
        tuple(
            _difference(key, sides[0].get(key, _Side()), sides[1].get(key, _Side()), before.currency_code)
            for key in keys
        ),
        to_decimal(after.tax) - to_decimal(before.tax),
        to_decimal(after.total) - to_decimal(before.total),
    )


def _sides(lines: Iterable[invoice_pb2.InvoiceLine]) -> dict[LineKey, _Side]:
    found: dict[LineKey, _Side] = {}
    for line in lines:
        side = found.setdefault(LineKey(line.kind, line.price_name, line.tier), _Side(line.description))
        share = Fraction(1)
        if line.HasField("month_share"):
            share = Fraction(line.month_share.numerator, line.month_share.denominator)
        side.quantity += Fraction(line.quantity.value) * share
        side.amount += to_decimal(line.amount)
    return found


def _difference(key: LineKey, before: _Side, after: _Side, currency_code: str) -> LineDifference:
    known = before if before.quantity else after
    price = Fraction(known.amount) / known.quantity if known.quantity else Fraction(0)
    exact = (after.quantity - before.quantity) * price
    return LineDifference(
        key=key,
        description=before.description or after.description,
        before=before.amount,
        after=after.amount,
        by_quantity=round_amount(exact, currency_code, RoundingMode.HALF_UP),
    )

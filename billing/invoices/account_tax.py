"""The taxes of an invoice: each rate once, on what the bills of all its meters have under that rate."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from energy.billing.v1 import invoice_pb2 as pb

from billing.tariffs.tariff_terms_codec import ROUNDING_MODES
from common.money import RoundingMode, round_amount, to_coins, to_decimal

_MODES = {number: mode for mode, number in ROUNDING_MODES.items()}


def account_taxes(bills: Sequence[pb.Invoice]) -> dict[Decimal, int]:
    """The taxes of bills of one currency by rate, percent, in whole coins.

    A tax is on the sum of the rounded lines of all bills, and is itself rounded once, as the tariff of its first line
    says: by the meter, many small roundings would add up.
    """
    bases: dict[Decimal, Decimal] = {}
    modes: dict[Decimal, RoundingMode] = {}
    for bill in bills:
        for tax in bill.taxes:
            percent = Decimal(tax.percent.value)
            bases[percent] = bases.get(percent, Decimal(0)) + to_decimal(tax.base)
            modes.setdefault(percent, _mode(bill, percent))
    return {
        percent: to_coins(
            round_amount(Fraction(base) * Fraction(percent) / 100, bills[0].currency_code, modes[percent]),
            bills[0].currency_code,
        )
        for percent, base in bases.items()
    }


def _mode(bill: pb.Invoice, percent: Decimal) -> RoundingMode:
    taxed = (line.tariff_id for line in bill.lines if Decimal(line.tax_percent.value or 0) == percent)
    tariff_id = next(taxed, "")
    modes = (_MODES[one.mode] for one in bill.roundings if one.tariff_id == tariff_id and one.mode in _MODES)
    return next(modes, RoundingMode.HALF_UP)

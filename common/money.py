"""What a reading costs: exact amounts between `google.type.Money` on the wire and `Decimal` inside."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact

from google.type.money_pb2 import Money

_NANOS_PER_UNIT = 1_000_000_000
_NANO = Decimal(1).scaleb(-9)
_UNITS_LIMIT = 2**63

# Wide enough for every int64 of units with nine decimals; a lost digit raises instead of rounding.
_EXACT = Context(prec=40, traps=[Inexact])

# ISO 4217, minor units other than two (list one, as amended through 2024).
_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    "CLF": 4,
    "UYW": 4,
}


def to_decimal(money: Money) -> Decimal:
    """The exact amount in units of the currency.

    Raises:
        ValueError: nanos out of range, or of another sign than units.
    """
    units, nanos = money.units, money.nanos
    if abs(nanos) >= _NANOS_PER_UNIT or units * nanos < 0:
        raise ValueError("must be a valid amount of money")
    return _EXACT.add(Decimal(units), Decimal(nanos).scaleb(-9))


def from_decimal(amount: Decimal, currency_code: str) -> Money:
    """The amount on the wire, exact; negative amounts are allowed.

    Raises:
        ValueError: not finite, more than nine decimals, or beyond an int64 of units.
    """
    if not amount.is_finite():
        raise ValueError("must be a finite amount")
    if abs(amount) >= _UNITS_LIMIT:
        raise ValueError("must fit in 64 bits of units")
    try:
        nanos_total = int(amount.quantize(_NANO, context=_EXACT).scaleb(9, context=_EXACT))
    except Inexact:
        raise ValueError("must have at most nine decimals") from None
    sign = -1 if nanos_total < 0 else 1
    units, nanos = divmod(abs(nanos_total), _NANOS_PER_UNIT)
    return Money(currency_code=currency_code, units=sign * units, nanos=sign * nanos)


def currency_exponent(currency_code: str) -> int:
    """How many decimals the smallest coin of an ISO 4217 currency has: 2, unless the standard says otherwise."""
    return _EXPONENTS.get(currency_code, 2)


def round_half_up(amount: Decimal, currency_code: str) -> Decimal:
    """The amount in whole coins of its currency, ties away from zero."""
    coin = Decimal(1).scaleb(-currency_exponent(currency_code))
    return amount.quantize(coin, rounding=ROUND_HALF_UP, context=Context(prec=40))

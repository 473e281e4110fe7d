"""What a reading costs: exact amounts between `google.type.Money` on the wire and `Decimal` inside."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from enum import Enum
from fractions import Fraction

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


_HALF = Fraction(1, 2)


class RoundingMode(Enum):
    """How an amount becomes one of whole coins: ties away from zero, ties to even, away from zero, towards zero."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    UP = "up"
    DOWN = "down"


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


def round_amount(amount: Fraction, currency_code: str, mode: RoundingMode) -> Decimal:
    """The amount in whole coins of its currency, exactly rounded."""
    exponent = currency_exponent(currency_code)
    coins, rest = divmod(abs(amount) * 10**exponent, 1)
    match mode:
        case RoundingMode.HALF_UP:
            coins += rest >= _HALF
        case RoundingMode.HALF_EVEN:
            coins += rest > _HALF or (rest == _HALF and coins % 2 == 1)
        case RoundingMode.UP:
            coins += rest > 0
        case RoundingMode.DOWN:
            pass
    return Decimal(-coins if amount < 0 else coins).scaleb(-exponent, context=_EXACT)


def round_half_up(amount: Decimal, currency_code: str) -> Decimal:
    """The amount in whole coins of its currency, ties away from zero."""
    return round_amount(Fraction(amount), currency_code, RoundingMode.HALF_UP)


def to_coins(amount: Decimal, currency_code: str) -> int:
    """The amount in coins, the smallest units of its currency.

    Raises:
        ValueError: it is not a whole number of them.
    """
    coins = amount.scaleb(currency_exponent(currency_code), context=_EXACT)
    if coins != coins.to_integral_value():
        raise ValueError("must be a whole number of the currency's smallest coins")
    return int(coins)


def from_coins(coins: int, currency_code: str) -> Money:
    """So many coins on the wire."""
    return from_decimal(coins_decimal(coins, currency_code), currency_code)


def coins_text(coins: int, currency_code: str) -> str:
    """So many coins for people, such as `-12.50 EUR`."""
    return f"{coins_decimal(coins, currency_code):f} {currency_code}"


def coins_decimal(coins: int, currency_code: str) -> Decimal:
    """So many coins in units of their currency."""
    return Decimal(coins).scaleb(-currency_exponent(currency_code), context=_EXACT)

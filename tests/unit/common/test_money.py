"""Money: exact on both sides of the wire."""

from __future__ import annotations

from decimal import Decimal

import pytest
from google.type.money_pb2 import Money
from hypothesis import given
from hypothesis import strategies as st

from common.money import currency_exponent, from_decimal, round_half_up, to_decimal


@given(st.decimals(min_value=-(2**63) + 1, max_value=2**63 - 1, places=9))
def test_an_amount_survives_the_wire(amount: Decimal) -> None:
    """Any amount with nine decimals comes back equal, negative ones too."""
    money = from_decimal(amount, "INR")

    assert to_decimal(money) == amount
    assert money.currency_code == "INR"


@pytest.mark.parametrize(
    ("amount", "units", "nanos"),
    [("0", 0, 0), ("1.5", 1, 500_000_000), ("-1.75", -1, -750_000_000), ("-0.000000001", 0, -1), ("1E+3", 1000, 0)],
)
def test_units_and_nanos_have_the_sign_of_the_amount(amount: str, units: int, nanos: int) -> None:
    """As google.type.Money documents it."""
    assert from_decimal(Decimal(amount), "EUR") == Money(currency_code="EUR", units=units, nanos=nanos)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("0.0000000001", "nine decimals"),
        ("NaN", "finite"),
        ("Infinity", "finite"),
        ("9223372036854775808", "64 bits"),
        ("1E+30", "64 bits"),
    ],
)
def test_an_amount_that_does_not_fit_is_refused(amount: str, problem: str) -> None:
    """Nothing is rounded on the way to the wire."""
    with pytest.raises(ValueError, match=problem):
        from_decimal(Decimal(amount), "INR")


@pytest.mark.parametrize(
    "money",
    [Money(units=1, nanos=-1), Money(units=-1, nanos=1), Money(nanos=1_000_000_000), Money(nanos=-1_000_000_000)],
)
def test_money_that_contradicts_itself_is_refused(money: Money) -> None:
    """Two signs, or a billion nanos."""
    with pytest.raises(ValueError, match="valid amount"):
        to_decimal(money)


@pytest.mark.parametrize(
    ("currency_code", "amount", "rounded"),
    [
        ("INR", "2.675", "2.68"),
        ("INR", "2.665", "2.67"),
        ("INR", "-2.675", "-2.68"),
        ("JPY", "0.5", "1"),
        ("KWD", "0.0005", "0.001"),
        ("XYZ", "0.005", "0.01"),
    ],
)
def test_an_amount_is_rounded_to_the_coin_of_its_currency_ties_away_from_zero(
    currency_code: str, amount: str, rounded: str
) -> None:
    """Two decimals unless ISO 4217 says otherwise; the result shows all of them."""
    assert str(round_half_up(Decimal(amount), currency_code)) == rounded


@pytest.mark.parametrize(("currency_code", "exponent"), [("EUR", 2), ("VND", 0), ("CLP", 0), ("TND", 3), ("CLF", 4)])
def test_each_currency_has_the_decimals_of_the_standard(currency_code: str, exponent: int) -> None:
    """Minor units of ISO 4217."""
    assert currency_exponent(currency_code) == exponent

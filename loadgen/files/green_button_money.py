"""What a Green Button file says of money: bills in its usage summaries, and costs of intervals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from xml.etree.ElementTree import Element

from loadgen.files.green_button_feed import Feed
from loadgen.files.safe_xml import child, child_text
from loadgen.files.stated_bill import StatedBill

# Amounts are in hundred-thousandths of the currency, which is named by its number in ISO 4217.
_AMOUNT_EXPONENT = -5
_CURRENCIES = {
    "36": "AUD",
    "124": "CAD",
    "156": "CNY",
    "208": "DKK",
    "356": "INR",
    "392": "JPY",
    "410": "KRW",
    "484": "MXN",
    "554": "NZD",
    "578": "NOK",
    "702": "SGD",
    "710": "ZAR",
    "752": "SEK",
    "756": "CHF",
    "826": "GBP",
    "840": "USD",
    "978": "EUR",
    "985": "PLN",
    "986": "BRL",
}
_WATT_HOUR = "72"
_KWH_EXPONENT = -3
_WHOLE_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)
_MULTIPLIER = re.compile(r"-?\d{1,2}", re.ASCII)


def amount_of(text: str | None) -> Decimal | None:
    """An amount of money in its currency; None where there is none, or it is no whole number."""
    return Decimal(text).scaleb(_AMOUNT_EXPONENT) if text and _WHOLE_NUMBER.fullmatch(text) else None


def currency_of(text: str | None) -> str | None:
    """The code of a currency by its number; None where none is named or ESPI's number of it is not known here."""
    return _CURRENCIES.get((text or "").lstrip("0"))


def stated_bills(feed: Feed, usage_point: str | None) -> Iterator[StatedBill]:
    """The bills of the usage summaries, of one usage point where one is named."""
    for summary, point in feed.summaries():
        if usage_point is not None and point is not None and point.name != usage_point:
            continue
        bill = _bill(summary)
        if bill is not None:
            yield bill


def _bill(summary: Element) -> StatedBill | None:
    amount = amount_of(child_text(summary, "billLastPeriod"))
    if amount is None:
        return None
    period = child(summary, "billingPeriod")
    start_ms = _seconds_ms(child_text(period, "start")) if period is not None else None
    duration_ms = _seconds_ms(child_text(period, "duration")) if period is not None else None
    return StatedBill(
        amount=amount,
        start_ms=start_ms,
        end_ms=None if start_ms is None or duration_ms is None else start_ms + duration_ms,
        additional=amount_of(child_text(summary, "costAdditionalLastPeriod")) or None,
        energy_kwh=_energy_kwh(child(summary, "overallConsumptionLastPeriod")),
        currency_code=currency_of(child_text(summary, "currency")),
        tariff=child_text(summary, "tariffProfile"),
    )


def _seconds_ms(text: str | None) -> int | None:
    return int(text) * 1000 if text and _WHOLE_NUMBER.fullmatch(text) else None


def _energy_kwh(measurement: Element | None) -> Decimal | None:
    if measurement is None or child_text(measurement, "uom") != _WATT_HOUR:
        return None
    value, multiplier = child_text(measurement, "value") or "", child_text(measurement, "powerOfTenMultiplier") or "0"
    if not _WHOLE_NUMBER.fullmatch(value) or not _MULTIPLIER.fullmatch(multiplier):
        return None
    return Decimal(value).scaleb(int(multiplier) + _KWH_EXPONENT)

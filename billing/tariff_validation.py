"""Whether a tariff can price anything: every rule it breaks, each with the path of its field, all at once."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Context, Decimal

from billing.tariff import (
    DAY_MINUTES,
    QUARTER_MINUTES,
    FlatPricing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from common.mesh_error import FieldViolation

PRICE_DECIMALS_MAXIMUM = 8
# Keeps the largest bill (a million kWh a reading) far within the 64 bits of units that money has on the wire.
PRICE_MAXIMUM = 1_000_000
TAX_PERCENT_MAXIMUM = 100
TAX_PERCENT_DECIMALS_MAXIMUM = 4
DISPLAY_NAME_LENGTH_MAXIMUM = 200
PRICE_NAME_LENGTH_MAXIMUM = 64
PERIODS_MAXIMUM = 24
WINDOWS_MAXIMUM = 32

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")
_WEEK = frozenset(range(7))
_YEAR = frozenset(range(1, 13))
_WIDE = Context(prec=60)


def id_violations(path: str, identity: str) -> Iterator[FieldViolation]:
    """What is wrong with an id of a tariff or device."""
    if not identity:
        yield _required(path)
    elif not _ID.fullmatch(identity):
        yield FieldViolation(path, "INVALID_FORMAT", "must be 1..128 characters of A-Z a-z 0-9 . _ : -")


def tariff_violations(tariff: Tariff, path: str = "tariff") -> list[FieldViolation]:
    """Every rule that the tariff breaks, in the order of its fields."""
    violations = [*id_violations(f"{path}.tariff_id", tariff.tariff_id)]
    if len(tariff.display_name) > DISPLAY_NAME_LENGTH_MAXIMUM:
        violations.append(_out_of_range(f"{path}.display_name", f"at most {DISPLAY_NAME_LENGTH_MAXIMUM} characters"))
    if not tariff.currency_code:
        violations.append(_required(f"{path}.currency_code"))
    elif not _CURRENCY_CODE.fullmatch(tariff.currency_code):
        violations.append(FieldViolation(f"{path}.currency_code", "INVALID_FORMAT", "must be three letters A-Z"))
    if isinstance(tariff.pricing, FlatPricing):
        violations += _price(f"{path}.flat.price_per_kwh", tariff.pricing.price_per_kwh)
    else:
        violations += _time_of_use(f"{path}.time_of_use", tariff.pricing)
    if tariff.daily_charge is not None:
        violations += _price(f"{path}.daily_charge", tariff.daily_charge)
    violations += _tax_percent(f"{path}.tax_percent", tariff.tax_percent)
    return violations


def _time_of_use(path: str, pricing: TimeOfUsePricing) -> Iterator[FieldViolation]:
    if not pricing.periods:
        yield _required(f"{path}.periods")
    elif len(pricing.periods) > PERIODS_MAXIMUM:
        yield _out_of_range(f"{path}.periods", f"at most {PERIODS_MAXIMUM} periods")
    used = Counter[str]()
    for index, period in enumerate(pricing.periods):
        used[period.name] += 1
        yield from _period(f"{path}.periods[{index}]", period, repeated=used[period.name] > 1)
    yield from _name(f"{path}.default_name", pricing.default_name, repeated=pricing.default_name in used)
    yield from _price(f"{path}.default_price_per_kwh", pricing.default_price_per_kwh)


def _period(path: str, period: TimeOfUsePeriod, *, repeated: bool) -> Iterator[FieldViolation]:
    yield from _name(f"{path}.name", period.name, repeated=repeated)
    yield from _price(f"{path}.price_per_kwh", period.price_per_kwh)
    if not period.windows:
        yield _required(f"{path}.windows")
    elif len(period.windows) > WINDOWS_MAXIMUM:
        yield _out_of_range(f"{path}.windows", f"at most {WINDOWS_MAXIMUM} windows")
    for index, window in enumerate(period.windows):
        yield from _window(f"{path}.windows[{index}]", window)


def _window(path: str, window: TimeOfUseWindow) -> Iterator[FieldViolation]:
    start, end = window.start_minute, window.end_minute
    if not window.days_of_week <= _WEEK:
        yield _out_of_range(f"{path}.days_of_week", "days from MONDAY to SUNDAY")
    if not window.months <= _YEAR:
        yield _out_of_range(f"{path}.months", "months from 1 to 12")
    if not _is_quarter(start) or not 0 <= start < DAY_MINUTES:
        yield _out_of_range(f"{path}.start_minute", "a multiple of 15 in 0..1425")
    if not _is_quarter(end) or not QUARTER_MINUTES <= end <= DAY_MINUTES:
        yield _out_of_range(f"{path}.end_minute", "a multiple of 15 in 15..1440")
    elif start >= end:
        yield _out_of_range(f"{path}.end_minute", "after start_minute; a window over midnight is two windows")


def _is_quarter(minute: int) -> bool:
    return minute % QUARTER_MINUTES == 0


def _name(path: str, name: str, *, repeated: bool) -> Iterator[FieldViolation]:
    if not name:
        yield _required(path)
    elif len(name) > PRICE_NAME_LENGTH_MAXIMUM:
        yield _out_of_range(path, f"at most {PRICE_NAME_LENGTH_MAXIMUM} characters")
    elif repeated:
        yield FieldViolation(path, "INVALID_FORMAT", "must differ from the name of every other price of the tariff")


def _price(path: str, price: Decimal) -> Iterator[FieldViolation]:
    if not 0 <= price <= PRICE_MAXIMUM:
        yield _out_of_range(path, f"0..{PRICE_MAXIMUM}")
    elif not _has_at_most(PRICE_DECIMALS_MAXIMUM, price):
        yield _out_of_range(path, f"a price of at most {PRICE_DECIMALS_MAXIMUM} decimals")


def _tax_percent(path: str, percent: Decimal) -> Iterator[FieldViolation]:
    if not 0 <= percent <= TAX_PERCENT_MAXIMUM:
        yield _out_of_range(path, f"0..{TAX_PERCENT_MAXIMUM}")
    elif not _has_at_most(TAX_PERCENT_DECIMALS_MAXIMUM, percent):
        yield _out_of_range(path, f"a number of at most {TAX_PERCENT_DECIMALS_MAXIMUM} decimals")


def _has_at_most(decimals: int, number: Decimal) -> bool:
    return number.quantize(Decimal(1).scaleb(-decimals), context=_WIDE) == number


def _required(path: str) -> FieldViolation:
    return FieldViolation(path, "FIELD_REQUIRED", "is required")


def _out_of_range(path: str, allowed: str) -> FieldViolation:
    return FieldViolation(path, "OUT_OF_RANGE", f"must be {allowed}")

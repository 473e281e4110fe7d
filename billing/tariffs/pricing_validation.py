"""Whether prices can price anything: every rule they break, each with the path of its field."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal

from billing.tariffs.tariff import (
    DAY_MINUTES,
    QUARTER_MINUTES,
    DynamicPricing,
    EnergyPricing,
    FlatPricing,
    PriceStep,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from common.mesh_error import FieldViolation

PRICE_DECIMALS_MAXIMUM = 8
# Keeps the largest bill (a million kWh a reading) far within the 64 bits of units that money has on the wire.
PRICE_MAXIMUM = 1_000_000
PERCENT_MAXIMUM = 100
PERCENT_DECIMALS_MAXIMUM = 4
PRICE_NAME_LENGTH_MAXIMUM = 64
PERIODS_MAXIMUM = 24
WINDOWS_MAXIMUM = 32
STEPS_MAXIMUM = 24
STEP_KWH_MAXIMUM = 1_000_000_000
STEP_KWH_DECIMALS_MAXIMUM = 6

_WEEK = frozenset(range(7))
_YEAR = frozenset(range(1, 13))
_WIDE = Context(prec=60)


def pricing_violations(path: str, pricing: EnergyPricing) -> Iterator[FieldViolation]:
    """What is wrong with the prices of a message, its path given."""
    if isinstance(pricing, DynamicPricing):
        yield from price_violations(f"{path}.dynamic.adder_per_kwh", pricing.adder_per_kwh)
    elif isinstance(pricing, FlatPricing):
        yield from price_violations(f"{path}.flat.price_per_kwh", pricing.price_per_kwh)
        yield from _steps(f"{path}.flat.steps", pricing.steps)
    else:
        yield from _time_of_use_violations(f"{path}.time_of_use", pricing)


def _time_of_use_violations(path: str, pricing: TimeOfUsePricing) -> Iterator[FieldViolation]:
    if not pricing.periods:
        yield required(f"{path}.periods")
    elif len(pricing.periods) > PERIODS_MAXIMUM:
        yield out_of_range(f"{path}.periods", f"at most {PERIODS_MAXIMUM} periods")
    used = Counter[str]()
    for index, period in enumerate(pricing.periods):
        used[period.name] += 1
        yield from _period(f"{path}.periods[{index}]", period, repeated=used[period.name] > 1)
    yield from name_violations(f"{path}.default_name", pricing.default_name, repeated=pricing.default_name in used)
    yield from price_violations(f"{path}.default_price_per_kwh", pricing.default_price_per_kwh)
    yield from _steps(f"{path}.default_steps", pricing.default_steps)


def _period(path: str, period: TimeOfUsePeriod, *, repeated: bool) -> Iterator[FieldViolation]:
    yield from name_violations(f"{path}.name", period.name, repeated=repeated)
    yield from price_violations(f"{path}.price_per_kwh", period.price_per_kwh)
    if not period.windows:
        yield required(f"{path}.windows")
    yield from windows_violations(f"{path}.windows", period.windows)
    yield from _steps(f"{path}.steps", period.steps)


def _steps(path: str, steps: Sequence[PriceStep]) -> Iterator[FieldViolation]:
    if len(steps) > STEPS_MAXIMUM:
        yield out_of_range(path, f"at most {STEPS_MAXIMUM} steps")
    before_kwh = Decimal(0)
    for index, step in enumerate(steps):
        above_path = f"{path}[{index}].above_kwh"
        if not 0 < step.above_kwh <= STEP_KWH_MAXIMUM:
            yield out_of_range(above_path, f"more than 0 and at most {STEP_KWH_MAXIMUM}")
        elif not _has_at_most(STEP_KWH_DECIMALS_MAXIMUM, step.above_kwh):
            yield out_of_range(above_path, f"an amount of at most {STEP_KWH_DECIMALS_MAXIMUM} decimals")
        elif step.above_kwh <= before_kwh:
            yield out_of_range(above_path, "more than the amount of the step before it")
        before_kwh = step.above_kwh
        yield from price_violations(f"{path}[{index}].price_per_kwh", step.per_kwh)


def windows_violations(path: str, windows: Sequence[TimeOfUseWindow]) -> Iterator[FieldViolation]:
    """What is wrong with the windows of a list, its path given."""
    if len(windows) > WINDOWS_MAXIMUM:
        yield out_of_range(path, f"at most {WINDOWS_MAXIMUM} windows")
    for index, window in enumerate(windows):
        yield from _window(f"{path}[{index}]", window)


def _window(path: str, window: TimeOfUseWindow) -> Iterator[FieldViolation]:
    start, end = window.start_minute, window.end_minute
    if not window.days_of_week <= _WEEK:
        yield out_of_range(f"{path}.days_of_week", "days from MONDAY to SUNDAY")
    if not window.months <= _YEAR:
        yield out_of_range(f"{path}.months", "months from 1 to 12")
    if not _is_quarter(start) or not 0 <= start < DAY_MINUTES:
        yield out_of_range(f"{path}.start_minute", "a multiple of 15 in 0..1425")
    if not _is_quarter(end) or not QUARTER_MINUTES <= end <= DAY_MINUTES:
        yield out_of_range(f"{path}.end_minute", "a multiple of 15 in 15..1440")
    elif start >= end:
        yield out_of_range(f"{path}.end_minute", "after start_minute; a window over midnight is two windows")


def _is_quarter(minute: int) -> bool:
    return minute % QUARTER_MINUTES == 0


def name_violations(path: str, name: str, *, repeated: bool) -> Iterator[FieldViolation]:
    """What is wrong with the name of a price."""
    if not name:
        yield required(path)
    elif len(name) > PRICE_NAME_LENGTH_MAXIMUM:
        yield out_of_range(path, f"at most {PRICE_NAME_LENGTH_MAXIMUM} characters")
    elif repeated:
        yield FieldViolation(path, "INVALID_FORMAT", "must differ from the name of every other price of the tariff")


def price_violations(path: str, price: Decimal) -> Iterator[FieldViolation]:
    """What is wrong with a price of energy, which may be less than 0."""
    if not -PRICE_MAXIMUM <= price <= PRICE_MAXIMUM:
        yield out_of_range(path, f"-{PRICE_MAXIMUM}..{PRICE_MAXIMUM}")
    elif not _has_at_most(PRICE_DECIMALS_MAXIMUM, price):
        yield out_of_range(path, f"a price of at most {PRICE_DECIMALS_MAXIMUM} decimals")


def charge_violations(path: str, charge: Decimal) -> Iterator[FieldViolation]:
    """What is wrong with a charge that is not for energy."""
    if charge < 0:
        yield out_of_range(path, f"0..{PRICE_MAXIMUM}")
    else:
        yield from price_violations(path, charge)


def percent_violations(path: str, percent: Decimal) -> Iterator[FieldViolation]:
    """What is wrong with a percentage."""
    if not 0 <= percent <= PERCENT_MAXIMUM:
        yield out_of_range(path, f"0..{PERCENT_MAXIMUM}")
    else:
        yield from decimals_violations(path, percent)


def decimals_violations(path: str, number: Decimal) -> Iterator[FieldViolation]:
    """What is wrong with how fine a percentage or a factor is."""
    if not _has_at_most(PERCENT_DECIMALS_MAXIMUM, number):
        yield out_of_range(path, f"a number of at most {PERCENT_DECIMALS_MAXIMUM} decimals")


def required(path: str) -> FieldViolation:
    """A field that must be there."""
    return FieldViolation(path, "FIELD_REQUIRED", "is required")


def out_of_range(path: str, allowed: str) -> FieldViolation:
    """A value that must be another."""
    return FieldViolation(path, "OUT_OF_RANGE", f"must be {allowed}")


def _has_at_most(decimals: int, number: Decimal) -> bool:
    return number.quantize(Decimal(1).scaleb(-decimals), context=_WIDE) == number

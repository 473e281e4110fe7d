"""What the price of a region may be in the next hours: what it was at the same time of the days before."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from billing.prices.price_override import PriceOverride, override_at
from billing.prices.region_price import RegionPrice
from billing.tariffs.tariff import QUARTER_MS

DAY_MS = 86_400_000
SAMPLE_DAYS = 14
COMPARED_DAYS = 7
HISTORY_MS = (SAMPLE_DAYS + COMPARED_DAYS) * DAY_MS

_LOW, _HIGH = 10, 90


class Expectation(NamedTuple):
    """An interval, its price and how low and high it may be, in units of the currency for one kWh.

    The three are equal where the price is fixed, and where a person has set it, by the override of `override_id`;
    `sample_count` intervals of the past say the others.
    """

    start_ms: int
    is_fixed: bool
    per_kwh: Decimal
    low_per_kwh: Decimal
    high_per_kwh: Decimal
    sample_count: int
    override_id: str = ""


class Comparison(NamedTuple):
    """How this method would have done: the share of prices between low and high, and the mean error of one kWh."""

    hit_share: float
    mean_error_per_kwh: Decimal
    compared_count: int


def forecast(
    history: Iterable[RegionPrice], now_ms: int, intervals: int, overrides: Sequence[PriceOverride] = ()
) -> list[Expectation]:
    """The present interval and those after it, as far as anything can be said of them.

    Of each the middle of the prices at this time of the last 14 days that are known, and the tenth and the ninetieth
    of a hundred of them (nearest rank); what a person has set for it already, where there is such an override.
    """
    known = {price.start_ms: price for price in history}
    first_ms = now_ms // QUARTER_MS * QUARTER_MS
    found = []
    for start_ms in range(first_ms, first_ms + intervals * QUARTER_MS, QUARTER_MS):
        fixed = known.get(start_ms)
        if fixed is not None:
            found.append(Expectation(start_ms, True, fixed.per_kwh, fixed.per_kwh, fixed.per_kwh, 1))
        elif override := override_at(overrides, start_ms):
            price = override.per_kwh
            found.append(Expectation(start_ms, False, price, price, price, 0, override.override_id))
        else:
            found += _expected(known, start_ms)
    return found


def compare(history: Sequence[RegionPrice], now_ms: int) -> Comparison | None:
    """How a forecast of a day ahead would have done over the last 7 days; None without a price to compare."""
    known = {price.start_ms: price for price in history}
    compared = [
        (price.per_kwh, expected)
        for price in history
        if now_ms - COMPARED_DAYS * DAY_MS <= price.start_ms < now_ms
        for expected in _expected(known, price.start_ms)
    ]
    if not compared:
        return None
    hits = sum(1 for actual, expected in compared if expected.low_per_kwh <= actual <= expected.high_per_kwh)
    errors = sum((abs(actual - expected.per_kwh) for actual, expected in compared), Decimal(0))
    mean_error = (errors / len(compared)).quantize(Decimal("1E-8"))
    return Comparison(hits / len(compared), mean_error, len(compared))


def _expected(known: dict[int, RegionPrice], start_ms: int) -> Iterator[Expectation]:
    instants_ms = (start_ms - day * DAY_MS for day in range(1, SAMPLE_DAYS + 1))
    before = [known[instant_ms] for instant_ms in instants_ms if instant_ms in known]
    # What a person sets says nothing of another day.
    samples = sorted(price.automatic_per_kwh for price in before)
    if samples:
        low, middle, high = (_nearest_rank(samples, percent) for percent in (_LOW, 50, _HIGH))
        yield Expectation(start_ms, False, middle, low, high, len(samples))


def _nearest_rank(ordered: Sequence[Decimal], percent: int) -> Decimal:
    return ordered[-(-percent * len(ordered) // 100) - 1]

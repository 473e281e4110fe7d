"""What a reading's energy costs per kWh: tariffs, flat or by the local clock, and when their price changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

# A price holds for whole UTC quarter-hours: windows are multiples of 15 minutes and so is every offset that has been
# standard time since 1972. (Local mean times of before, and the shifts at 00:01 that a few zones had until 2011, move a
# change by at most 15 minutes, to the next quarter-hour.)
QUARTER_MINUTES = 15
QUARTER_MS = QUARTER_MINUTES * 60_000
DAY_MINUTES = 1440

FLAT_PRICE_NAME = "flat"

_QUARTERS_PER_DAY = DAY_MINUTES // QUARTER_MINUTES
_DAYS_PER_WEEK = 7
_SUNDAY = 6
_QUARTERS_PER_WEEK = _DAYS_PER_WEEK * _QUARTERS_PER_DAY


class Price(NamedTuple):
    """A named price of one kWh, in units of the tariff's currency."""

    name: str
    per_kwh: Decimal


class PriceSegment(NamedTuple):
    """A span [start_ms, end_ms) of UTC milliseconds in which one price holds."""

    start_ms: int
    end_ms: int
    price: Price


@dataclass(frozen=True, slots=True)
class FlatPricing:
    """One price at any time."""

    price_per_kwh: Decimal


@dataclass(frozen=True, slots=True)
class TimeOfUseWindow:
    """Minutes [start_minute, end_minute) of the local day, on weekdays 0 (Monday) to 6; none named means every day.

    `months` are 1 (January) to 12; none named means every month.
    """

    days_of_week: frozenset[int]
    start_minute: int
    end_minute: int
    months: frozenset[int] = frozenset()

    def covers(self, month: int, weekday: int, minute: int) -> bool:
        """True when the wall clock time lies in the window."""
        return (
            self.start_minute <= minute < self.end_minute
            and (not self.days_of_week or weekday in self.days_of_week)
            and (not self.months or month in self.months)
        )


@dataclass(frozen=True, slots=True)
class TimeOfUsePeriod:
    """A named price and the windows it applies in."""

    name: str
    price_per_kwh: Decimal
    windows: tuple[TimeOfUseWindow, ...]


@dataclass(frozen=True, slots=True)
class TimeOfUsePricing:
    """Prices by the local clock; where windows overlap the earlier period counts, elsewhere the default.

    `holidays` are days of the local calendar that count as a Sunday.
    """

    periods: tuple[TimeOfUsePeriod, ...]
    default_name: str
    default_price_per_kwh: Decimal
    holidays: frozenset[date] = frozenset()

    @property
    def has_seasons(self) -> bool:
        """Whether a window is one of some months only."""
        return any(window.months for period in self.periods for window in period.windows)


@dataclass(frozen=True, slots=True)
class Tariff:
    """An immutable price list; every amount is in units of `currency_code`, `daily_charge` per local day."""

    tariff_id: str
    display_name: str
    currency_code: str
    pricing: FlatPricing | TimeOfUsePricing
    daily_charge: Decimal | None
    tax_percent: Decimal


@dataclass(frozen=True, slots=True)
class TariffAssignment:
    """From `start_ms` (UTC milliseconds) on a tariff prices a device, until the next assignment begins."""

    device_id: str
    tariff_id: str
    start_ms: int


def price_at(tariff: Tariff, month: int, weekday: int, minute: int) -> Price:
    """The price at a wall clock time: month 1 to 12, weekday 0 (Monday) to 6, minute 0..1439 of the local day.

    A holiday has the weekday of a Sunday.
    """
    pricing = tariff.pricing
    if isinstance(pricing, FlatPricing):
        return Price(FLAT_PRICE_NAME, pricing.price_per_kwh)
    for period in pricing.periods:
        if any(window.covers(month, weekday, minute) for window in period.windows):
            return Price(period.name, period.price_per_kwh)
    return Price(pricing.default_name, pricing.default_price_per_kwh)


def price_segments(tariff: Tariff, zone: ZoneInfo, start_ms: int, end_ms: int) -> Iterator[PriceSegment]:
    """The prices over [start_ms, end_ms), UTC milliseconds, as the fewest segments that cover it without a gap.

    A change is resolved by the clock of the zone, so that an hour that comes twice has the same price twice and one
    that is skipped has none.
    """
    if start_ms >= end_ms:
        return
    if isinstance(tariff.pricing, FlatPricing):
        yield PriceSegment(start_ms, end_ms, price_at(tariff, 1, 0, 0))
        return
    first, last = start_ms // QUARTER_MS, -(-end_ms // QUARTER_MS)
    prices = _prices(tariff, tariff.pricing, zone, first, last)
    begun_ms, price = start_ms, next(prices)
    for quarter, following in enumerate(prices, first + 1):
        if following != price:
            yield PriceSegment(begun_ms, quarter * QUARTER_MS, price)
            begun_ms, price = quarter * QUARTER_MS, following
    yield PriceSegment(begun_ms, end_ms, price)


def _prices(tariff: Tariff, pricing: TimeOfUsePricing, zone: ZoneInfo, first: int, last: int) -> Iterator[Price]:
    """The price of each UTC quarter-hour in [first, last)."""
    if not pricing.has_seasons and not pricing.holidays:
        week = _week(tariff, month=1)
        yield from (week[place] for place in _places_in_week(zone, first, last))
        return
    weeks = {month: _week(tariff, month) for month in range(1, 13)}
    for quarter in range(first, last):
        local = _local(zone, quarter)
        weekday = _SUNDAY if local.date() in pricing.holidays else local.weekday()
        yield weeks[local.month][_place(weekday, local)]


def _week(tariff: Tariff, month: int) -> list[Price]:
    """The price of each local quarter-hour of a week of a month, from Monday 00:00."""
    return [
        price_at(tariff, month, weekday, quarter * QUARTER_MINUTES)
        for weekday in range(_DAYS_PER_WEEK)
        for quarter in range(_QUARTERS_PER_DAY)
    ]


def _places_in_week(zone: ZoneInfo, first: int, last: int) -> Iterator[int]:
    """The local quarter-hour of the week, 0 from Monday 00:00, of each UTC quarter-hour in [first, last)."""
    for begun in range(first, last, _QUARTERS_PER_DAY):
        ended = min(begun + _QUARTERS_PER_DAY, last)
        start, end = _local(zone, begun), _local(zone, ended)
        if start.utcoffset() == end.utcoffset():
            # No zone has ever changed its clock there and back within a day: this one ran on.
            place = _place_in_week(start)
            yield from ((place + steps) % _QUARTERS_PER_WEEK for steps in range(ended - begun))
        else:
            yield from (_place_in_week(_local(zone, quarter)) for quarter in range(begun, ended))


def _local(zone: ZoneInfo, quarter: int) -> datetime:
    # Whole seconds, so nothing is rounded on the way through the time stamp.
    return datetime.fromtimestamp(quarter * (QUARTER_MS // 1000), UTC).astimezone(zone)


def _place_in_week(local: datetime) -> int:
    return _place(local.weekday(), local)


def _place(weekday: int, local: datetime) -> int:
    return weekday * _QUARTERS_PER_DAY + (local.hour * 60 + local.minute) // QUARTER_MINUTES

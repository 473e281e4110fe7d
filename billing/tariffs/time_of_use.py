"""When the price of energy changes: prices by the local clock laid out as spans of time."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.tariffs.tariff import (
    DAY_MINUTES,
    FLAT_PRICE_NAME,
    QUARTER_MINUTES,
    QUARTER_MS,
    FlatPricing,
    Price,
    Pricing,
    TariffClock,
    TimeOfUsePricing,
)

# A price holds for whole UTC quarter-hours: windows are multiples of 15 minutes and so is every offset that has been
# standard time since 1972. (Local mean times of before, and the shifts at 00:01 that a few zones had until 2011, move a
# change by at most 15 minutes, to the next quarter-hour.)
_QUARTERS_PER_DAY = DAY_MINUTES // QUARTER_MINUTES
_SUNDAY = 6


class PriceSegment(NamedTuple):
    """A span [start_ms, end_ms) of UTC milliseconds in which one price holds."""

    start_ms: int
    end_ms: int
    price: Price


def clock_zone(clock: TariffClock, zone: ZoneInfo, instant_ms: int) -> tzinfo:
    """The clock that a tariff's prices go by at a site.

    Standard time is the least offset that the zone has at the beginning and in the middle of the year of the instant,
    UTC milliseconds: summer time puts clocks forward.
    """
    if clock is TariffClock.PREVAILING:
        return zone
    year = _local(UTC, instant_ms // QUARTER_MS).year
    offsets = [zone.utcoffset(datetime(year, month, 1)) or timedelta() for month in (1, 7)]  # noqa: DTZ001
    return timezone(min(offsets))


def price_at(pricing: Pricing, month: int, weekday: int, minute: int) -> Price:
    """The price at a wall clock time: month 1 to 12, weekday 0 (Monday) to 6, minute 0..1439 of the local day.

    A holiday has the weekday of a Sunday.
    """
    if isinstance(pricing, FlatPricing):
        return Price(FLAT_PRICE_NAME, pricing.price_per_kwh, pricing.steps)
    for period in pricing.periods:
        if any(window.covers(month, weekday, minute) for window in period.windows):
            return Price(period.name, period.price_per_kwh, period.steps)
    return Price(pricing.default_name, pricing.default_price_per_kwh, pricing.default_steps)


def price_segments(pricing: Pricing, zone: tzinfo, start_ms: int, end_ms: int) -> Iterator[PriceSegment]:
    """The prices over [start_ms, end_ms), UTC milliseconds, as the fewest segments that cover it without a gap.

    A change is resolved by the clock of the zone, so that an hour that comes twice has the same price twice and one
    that is skipped has none.
    """
    if start_ms >= end_ms:
        return
    if isinstance(pricing, FlatPricing):
        yield PriceSegment(start_ms, end_ms, price_at(pricing, 1, 0, 0))
        return
    begun_ms, price = start_ms, None
    for quarter, following in _prices(pricing, zone, start_ms // QUARTER_MS, -(-end_ms // QUARTER_MS)):
        if price is None:
            price = following
        elif following != price:
            yield PriceSegment(begun_ms, quarter * QUARTER_MS, price)
            begun_ms, price = quarter * QUARTER_MS, following
    if price is not None:
        yield PriceSegment(begun_ms, end_ms, price)


def _prices(pricing: TimeOfUsePricing, zone: tzinfo, first: int, last: int) -> Iterator[tuple[int, Price]]:
    """The UTC quarter-hours in [first, last) from which on a price holds, the same one perhaps more than once."""
    days: dict[tuple[int, int], _DayPrices] = {}
    quarter = first
    while quarter < last:
        local = _local(zone, quarter)
        ended = min(quarter + _QUARTERS_PER_DAY - _place(local), last)
        if _local(zone, ended).utcoffset() == local.utcoffset():
            # No zone has ever changed its clock there and back within a day: this one ran on.
            prices, midnight = _of_day(days, pricing, local), quarter - _place(local)
            yield quarter, prices.at(_place(local))
            for place, price in prices.changes:
                if quarter < midnight + place < ended:
                    yield midnight + place, price
            quarter = ended
        else:
            yield quarter, _of_day(days, pricing, local).at(_place(local))
            quarter += 1


class _DayPrices(NamedTuple):
    """The quarter-hours of a day, by the clock, from which on a price holds; the first is 0."""

    changes: list[tuple[int, Price]]

    def at(self, place: int) -> Price:
        """The price of a quarter-hour of the day."""
        return self.changes[bisect_right(self.changes, place, key=_place_of) - 1][1]


def _place_of(change: tuple[int, Price]) -> int:
    return change[0]


def _of_day(days: dict[tuple[int, int], _DayPrices], pricing: TimeOfUsePricing, local: datetime) -> _DayPrices:
    weekday = _SUNDAY if local.date() in pricing.holidays else local.weekday()
    known = days.get((local.month, weekday))
    if known is None:
        edges = {
            edge for period in pricing.periods for one in period.windows for edge in (one.start_minute, one.end_minute)
        }
        minutes = sorted({0, *edges} - {DAY_MINUTES})
        changes = [(minute // QUARTER_MINUTES, price_at(pricing, local.month, weekday, minute)) for minute in minutes]
        known = days[local.month, weekday] = _DayPrices(changes)
    return known


def _local(zone: tzinfo, quarter: int) -> datetime:
    # Whole seconds, so nothing is rounded on the way through the time stamp.
    return datetime.fromtimestamp(quarter * (QUARTER_MS // 1000), UTC).astimezone(zone)


def _place(local: datetime) -> int:
    """The quarter-hour of the day that the clock shows, 0 to 95."""
    return (local.hour * 60 + local.minute) // QUARTER_MINUTES

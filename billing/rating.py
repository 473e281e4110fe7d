"""What the readings of a period cost before rounding: exact energy by price and fixed charges by local day."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact
from enum import Enum
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.local_time import LocalDay, local_days, local_midnight_ms
from billing.price_timeline import TariffSegment, price_timeline, segment_at
from billing.tariff import Tariff, TariffAssignment
from common.errors import IntervalCrossesPrice, NoReadings, TariffNotAssigned

# 60 digits hold every sum and product here; one that does not fit raises instead of losing its tail.
EXACT = Context(prec=60, traps=[Inexact])


class Quarter(NamedTuple):
    """The readings of a device that start in one UTC quarter-hour.

    `start_ms` is the start of the quarter-hour, `last_end_ms` the latest end of its readings, both UTC milliseconds.
    The import is None when no reading carries it; `reading_count` counts them all,
    `estimated_reading_count` the estimates among them.
    """

    start_ms: int
    last_end_ms: int
    import_milliwatt_hours: int | None
    reading_count: int
    estimated_reading_count: int = 0


class LineKind(Enum):
    """What a line of a bill is for."""

    ENERGY = "energy"
    DAILY_CHARGE = "daily_charge"


@dataclass(frozen=True, slots=True)
class RatedLine:
    """A quantity (kWh for energy, local days for a daily charge) and the price of one unit, both exact.

    `price_name` is empty and `reading_count` 0 for a daily charge.
    """

    kind: LineKind
    tariff: Tariff
    price_name: str
    unit_price: Decimal
    quantity: Decimal
    reading_count: int
    estimated_reading_count: int = 0


def rate(
    *,
    device_id: str,
    zone: ZoneInfo,
    start_date: date,
    end_date: date,
    assignments: Iterable[TariffAssignment],
    tariffs: Mapping[str, Tariff],
    quarters: Iterable[Quarter],
) -> list[RatedLine]:
    """The lines of the local days from `start_date` (inclusive) to `end_date` (exclusive).

    Energy lines come first, one for each tariff and price, in the order of first use; then the daily charges, each for
    the days that began under its tariff. `quarters` are those that start in the period, in any order; a reading counts
    where it starts, also if it ends after the period. One without import is not billed.

    Raises:
        NoReadings: no reading of the period carries an import.
        TariffNotAssigned: the device has no tariff at the start of the period.
        IntervalCrossesPrice: readings of a quarter-hour reach beyond a change of price or tariff.
        ValueError: a quarter does not start in the period.
    """
    carrying_import = (quarter for quarter in quarters if quarter.import_milliwatt_hours is not None)
    billed = sorted(carrying_import, key=attrgetter("start_ms"))
    if not billed:
        raise NoReadings(device_id)
    start_ms, end_ms = local_midnight_ms(start_date, zone), local_midnight_ms(end_date, zone)
    if billed[0].start_ms < start_ms or billed[-1].start_ms >= end_ms:
        raise ValueError("every quarter must start in the period")
    reach_ms = max(end_ms, *(quarter.last_end_ms for quarter in billed))
    timeline = price_timeline(assignments, tariffs, zone, start_ms, reach_ms)
    if not timeline or timeline[0].start_ms > start_ms:
        raise TariffNotAssigned(device_id, start_ms)
    days = local_days(start_date, end_date, zone)
    return [*_energy(device_id, billed, timeline), *_daily_charges(days, timeline)]


def _energy(device_id: str, quarters: Sequence[Quarter], timeline: Iterable[TariffSegment]) -> Iterable[RatedLine]:
    starts_ms = [quarter.start_ms for quarter in quarters]
    groups: dict[tuple[str, str], tuple[TariffSegment, list[Quarter]]] = {}
    for segment in timeline:
        priced = quarters[bisect_left(starts_ms, segment.start_ms) : bisect_left(starts_ms, segment.end_ms)]
        for quarter in priced:
            if quarter.last_end_ms > segment.end_ms:
                raise IntervalCrossesPrice(device_id, quarter.start_ms)
        if priced:
            key = (segment.tariff.tariff_id, segment.price.name)
            groups.setdefault(key, (segment, []))[1].extend(priced)
    return [_energy_line(segment, priced) for segment, priced in groups.values()]


def _energy_line(segment: TariffSegment, quarters: Sequence[Quarter]) -> RatedLine:
    milliwatt_hours = sum(quarter.import_milliwatt_hours or 0 for quarter in quarters)
    return RatedLine(
        kind=LineKind.ENERGY,
        tariff=segment.tariff,
        price_name=segment.price.name,
        unit_price=segment.price.per_kwh,
        quantity=Decimal(milliwatt_hours).scaleb(-6, context=EXACT),
        reading_count=sum(quarter.reading_count for quarter in quarters),
        estimated_reading_count=sum(quarter.estimated_reading_count for quarter in quarters),
    )


def _daily_charges(days: Iterable[LocalDay], timeline: Sequence[TariffSegment]) -> Iterable[RatedLine]:
    segments = (segment_at(timeline, day.start_ms) for day in days)
    tariffs = [segment.tariff for segment in segments if segment]
    for tariff_id, tariff in {tariff.tariff_id: tariff for tariff in tariffs}.items():
        if tariff.daily_charge is not None:
            days_count = sum(other.tariff_id == tariff_id for other in tariffs)
            yield RatedLine(LineKind.DAILY_CHARGE, tariff, "", tariff.daily_charge, Decimal(days_count), 0)

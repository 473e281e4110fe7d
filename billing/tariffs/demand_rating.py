"""Demand charges: the greatest mean power of a billing month, and what a ratchet makes of the months before."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.tariffs.billing_month import months_before
from billing.tariffs.rated_line import LineKind, RatedLine, kilowatt_hours
from billing.tariffs.tariff import (
    QUARTER_MS,
    DemandCharge,
    IntervalCrossing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
)
from billing.tariffs.tariff_month import TariffMonth
from billing.tariffs.time_of_use import clock_zone, price_segments

_HOUR_MS = 3_600_000
_COUNTED = "counted"


class Peak(NamedTuple):
    """The greatest mean power of a time, milliwatts, and when the window began that had it, UTC milliseconds."""

    milliwatts: int
    start_ms: int


def demand_lines(rated: TariffMonth, before: Sequence[TariffMonth], zone: ZoneInfo) -> Iterator[RatedLine]:
    """A line for each demand charge that has a window in the month; `before` are the months before it, by time.

    A month without a reading in the windows has a demand of 0, or what the ratchet says.
    """
    for charge in rated.tariff.demand_charges:
        spans = _counted_spans(rated, rated.tariff, charge, zone)
        if not spans:
            continue
        peak = _measured_peak(rated, charge, spans)
        floor = _ratchet_floor(rated, charge, before, zone)
        billed = floor if floor and (peak is None or floor.milliwatts > peak.milliwatts) else peak
        yield RatedLine(
            kind=LineKind.DEMAND,
            tariff=rated.tariff,
            price_name=charge.name,
            unit_price=charge.price_per_kw,
            quantity=kilowatt_hours(billed.milliwatts) if billed else Decimal(0),
            reading_count=0,
            share=rated.share,
            peak_start_ms=billed.start_ms if billed else None,
            month_start_ms=rated.month.start_ms,
        )


def _ratchet_floor(
    rated: TariffMonth, charge: DemandCharge, before: Sequence[TariffMonth], zone: ZoneInfo
) -> Peak | None:
    """The part of the greatest peak of the months before that is billed at least, whatever tariff they had.

    A new price is another tariff, and does not undo what the meter once drew.
    """
    if not charge.ratchet_percent or not charge.lookback_months:
        return None
    first_date = months_before(rated.month.start_date, charge.lookback_months)
    measured = [
        _measured_peak(one, charge, _counted_spans(one, rated.tariff, charge, zone))
        for one in before
        if first_date <= one.month.start_date < rated.month.start_date
    ]
    peaks = [peak for peak in measured if peak]
    if not peaks:
        return None
    # Of equal ones max takes the first.
    greatest = max(peaks, key=lambda peak: peak.milliwatts)
    floor = Fraction(charge.ratchet_percent) * greatest.milliwatts
    return Peak(_rounded(floor.numerator, floor.denominator * 100), greatest.start_ms)


def _measured_peak(rated: TariffMonth, charge: DemandCharge, spans: Sequence[tuple[int, int]]) -> Peak | None:
    """The greatest mean power of the windows that begin in some spans; of equal ones the earliest."""
    starts_ms = [start_ms for start_ms, _ in spans]
    greatest: Peak | None = None
    greatest_energy, greatest_length_ms = 0, 1
    for start_ms, energy, length_ms in _windows(rated, charge):
        is_later = greatest is not None and start_ms >= greatest.start_ms
        if greatest is None or energy * greatest_length_ms >= greatest_energy * length_ms + is_later:
            place = bisect_right(starts_ms, start_ms)
            if place and start_ms < spans[place - 1][1]:
                greatest = Peak(_rounded(energy * _HOUR_MS, length_ms), start_ms)
                greatest_energy, greatest_length_ms = energy, length_ms
    return greatest


def _windows(rated: TariffMonth, charge: DemandCharge) -> Iterator[tuple[int, int, int]]:
    """Start, import in milliwatt-hours and length in milliseconds of each window that has a reading, by time.

    One with an estimate is left out, unless these count. One that was measured in part has the energy of that part
    only. A reading that is longer than its window counts with the mean over its own time.
    """
    window_ms = charge.window_minutes * 60_000
    if window_ms == QUARTER_MS and rated.tariff.interval_crossing is IntervalCrossing.REFUSED:
        if charge.windows:
            yield from _quarter_hours(rated, estimates_count=charge.estimates_count)
        else:
            yield from _greatest_quarter_hours(rated, estimates_count=charge.estimates_count)
        return
    day_starts_ms, estimates_count = rated.month.day_starts_ms, charge.estimates_count
    begun_ms = end_ms = following_ms = energy = 0
    is_counted = is_estimated = False
    for one in rated.priced:
        for start_ms, last_end_ms, imported, _, estimated, *_ in one.quarters:
            if start_ms >= following_ms:
                if is_counted:
                    yield begun_ms, energy, end_ms - begun_ms
                begun_ms = _window_start_ms(day_starts_ms, start_ms, window_ms)
                end_ms = following_ms = begun_ms + window_ms
                energy, is_counted, is_estimated = 0, False, False
            if estimated and not estimates_count:
                is_counted, is_estimated = False, True
            elif imported is not None and not is_estimated:
                energy += imported
                is_counted = True
            end_ms = max(end_ms, last_end_ms)
    if is_counted:
        yield begun_ms, energy, end_ms - begun_ms


def _quarter_hours(rated: TariffMonth, *, estimates_count: bool) -> Iterator[tuple[int, int, int]]:
    """The same of windows of a quarter-hour, none of which is in two pieces: the most common ones, in half the time."""
    for one in rated.priced:
        for start_ms, last_end_ms, imported, _, estimated, *_ in one.quarters:
            if imported is not None and (estimates_count or not estimated):
                length_ms = last_end_ms - start_ms
                yield start_ms, imported, max(QUARTER_MS, length_ms)


def _greatest_quarter_hours(rated: TariffMonth, *, estimates_count: bool) -> Iterator[tuple[int, int, int]]:
    """Of these only such as may be the greatest where every one counts: under each price the first of the greatest."""
    for one in rated.priced:
        greatest, greatest_start_ms = -1, 0
        for start_ms, last_end_ms, imported, _, estimated, *_ in one.quarters:
            if imported is None or (estimated and not estimates_count):
                continue
            if last_end_ms - start_ms > QUARTER_MS:
                yield start_ms, imported, last_end_ms - start_ms
            elif imported > greatest:
                greatest, greatest_start_ms = imported, start_ms
        if greatest >= 0:
            yield greatest_start_ms, greatest, QUARTER_MS


def _window_start_ms(day_starts_ms: Sequence[int], instant_ms: int, window_ms: int) -> int:
    """Windows begin at the local midnight and follow each other from there."""
    if window_ms == QUARTER_MS:
        return instant_ms - instant_ms % QUARTER_MS
    midnight_ms = day_starts_ms[bisect_right(day_starts_ms, instant_ms) - 1]
    return instant_ms - (instant_ms - midnight_ms) % window_ms


def _counted_spans(rated: TariffMonth, tariff: Tariff, charge: DemandCharge, zone: ZoneInfo) -> list[tuple[int, int]]:
    """When the windows of a tariff's charge may begin within a month, as spans [start, end) of UTC milliseconds."""
    if not charge.windows:
        return [(one.start_ms, one.end_ms) for one in rated.priced]
    pricing = tariff.pricing
    holidays = pricing.holidays if isinstance(pricing, TimeOfUsePricing) else frozenset()
    by_clock = TimeOfUsePricing((TimeOfUsePeriod(_COUNTED, Decimal(1), charge.windows),), "", Decimal(0), holidays)
    clock = clock_zone(tariff.clock, zone, rated.month.start_ms)
    return [
        (segment.start_ms, segment.end_ms)
        for segment in price_segments(by_clock, clock, rated.priced[0].start_ms, rated.priced[-1].end_ms)
        if segment.price.name == _COUNTED
    ]


def _rounded(numerator: int, denominator: int) -> int:
    """Their quotient, half up."""
    return (2 * numerator + denominator) // (2 * denominator)

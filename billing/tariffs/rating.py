"""What the readings of a period cost before rounding: exact energy by price, demand, export and fixed charges."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from zoneinfo import ZoneInfo

from billing.tariffs.billing_month import billing_months
from billing.tariffs.demand_rating import demand_lines
from billing.tariffs.dynamic_pricing import NO_REGION, RegionPrices
from billing.tariffs.export_rating import ExportBank, ExportSums, billable_import
from billing.tariffs.price_timeline import TariffSegment, price_timeline
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine, kilowatt_hours
from billing.tariffs.tariff import ExportMode, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_month import TariffMonth, tariff_months, within_prices
from billing.tariffs.tier_rating import EnergyTotal, PriceTier, Totals, energy_by_tier
from common.errors import NoReadings, TariffNotAssigned
from common.local_time import local_midnight_ms

_START_MS = attrgetter("start_ms")


def rate(
    *,
    device_id: str,
    zone: ZoneInfo,
    start_date: date,
    end_date: date,
    assignments: Iterable[TariffAssignment],
    tariffs: Mapping[str, Tariff],
    quarters: Iterable[Quarter],
    history_months: int = 0,
    region_prices: RegionPrices = NO_REGION,
) -> list[RatedLine]:
    """The lines of the local days from `start_date` (inclusive) to `end_date` (exclusive).

    Energy lines come first, one for each tariff, price and tier, in the order of first use; then demand, export, and
    the fixed charges, each for the days that began under its tariff. `quarters` are those that start in the period, and
    in the `history_months` billing months before it, in any order; a reading counts where it starts, also if it ends
    after the period. One without import is not billed; its export is, by a tariff that has terms for it.

    Raises:
        NoReadings: no reading of the period carries energy that is billed.
        TariffNotAssigned: the device has no tariff for a reading of the period; time without readings needs none.
        IntervalCrossesPrice: readings of a quarter-hour reach beyond a change of price or tariff.
        PriceNotFixed, CurrencyMixed: a tariff follows the price of a region that has none, or one in another currency.
        ValueError: a quarter starts neither in the period nor in the months before it.
    """
    rated = rated_months(
        device_id=device_id,
        zone=zone,
        start_date=start_date,
        end_date=end_date,
        assignments=assignments,
        tariffs=tariffs,
        quarters=quarters,
        history_months=history_months,
        region_prices=region_prices,
    )
    return lines_of(rated, start_date, zone)


def rated_months(
    *,
    device_id: str,
    zone: ZoneInfo,
    start_date: date,
    end_date: date,
    assignments: Iterable[TariffAssignment],
    tariffs: Mapping[str, Tariff],
    quarters: Iterable[Quarter],
    history_months: int = 0,
    region_prices: RegionPrices = NO_REGION,
) -> list[TariffMonth]:
    """The months that `rate` makes lines of, with those before the period, each by the tariffs that price it.

    Raises:
        as `rate` does.
    """
    months = billing_months(start_date, end_date, zone, history_months)
    start_ms, end_ms = local_midnight_ms(start_date, zone), local_midnight_ms(end_date, zone)
    given, assigned = sorted(quarters, key=_START_MS), list(assignments)
    if given and (given[0].start_ms < months[0].start_ms or given[-1].start_ms >= end_ms):
        raise ValueError("every quarter must start in the period")
    reach_ms = max([end_ms, *(quarter.last_end_ms for quarter in given)])
    timeline = price_timeline(assigned, tariffs, zone, months[0].start_ms, reach_ms, region_prices=region_prices)
    has_export = any(segment.export_price for segment in timeline)
    counted = [
        quarter
        for quarter in given
        if quarter.import_milliwatt_hours is not None or (has_export and quarter.export_milliwatt_hours is not None)
    ]
    if not counted or counted[-1].start_ms < start_ms:
        raise NoReadings(device_id)
    priced = within_prices(device_id, counted, timeline)
    for some in (counted, priced):
        for instant_ms in _unpriced(timeline, some, start_ms):
            raise TariffNotAssigned(device_id, instant_ms)
    return tariff_months(months, timeline, priced, assigned)


def _unpriced(timeline: Sequence[TariffSegment], quarters: Sequence[Quarter], start_ms: int) -> Iterator[int]:
    """Where quarter-hours of the period, by time, begin that no tariff prices; nothing is left out in silence."""
    ends_ms = [start_ms, *(one.end_ms for one in timeline)]
    starts_ms = [*(one.start_ms for one in timeline), None]
    for begun_ms, ended_ms in zip(ends_ms, starts_ms, strict=True):
        first = bisect_left(quarters, max(begun_ms, start_ms), key=_START_MS)
        if first < len(quarters) and (ended_ms is None or quarters[first].start_ms < ended_ms):
            yield quarters[first].start_ms


def lines_of(rated: Sequence[TariffMonth], start_date: date, zone: ZoneInfo) -> list[RatedLine]:
    """The lines of the months from `start_date` on, in their order on the bill."""
    billed = [month for month in rated if month.month.start_date >= start_date]
    tariffs = {month.tariff.tariff_id: month.tariff for month in billed}
    energies: dict[tuple[str, PriceTier], EnergyTotal] = {}
    export: list[RatedLine] = []
    sums: dict[str, ExportSums] = {}
    banks: dict[str, ExportBank] = {}
    for month in rated:
        is_billed = month.month.start_date >= start_date
        terms, tariff_id = month.tariff.export, month.tariff.tariff_id
        if terms is not None and terms.mode is ExportMode.PERIOD_NETTING:
            totals, lines = banks.setdefault(tariff_id, ExportBank(month.tariff)).settle(month)
            export += lines if is_billed else []
        elif is_billed:
            totals = energy_by_tier(month, billable_import(month.tariff))
            if terms is not None:
                sums.setdefault(tariff_id, ExportSums(month.tariff, terms.mode)).add(month)
        if is_billed:
            _add(energies, tariff_id, totals)
    demand = [
        line
        for place, month in enumerate(rated)
        if month.month.start_date >= start_date
        for line in demand_lines(month, rated[:place], zone)
    ]
    return [
        *(_energy_line(tariffs[tariff_id], tier, total) for (tariff_id, tier), total in energies.items()),
        *demand,
        *(line for one in sums.values() for line in one.lines()),
        *export,
        *(line for tariff in tariffs.values() for line in _daily_charge(tariff, billed)),
        *(line for tariff in tariffs.values() for line in _monthly(tariff, billed)),
    ]


def _add(energies: dict[tuple[str, PriceTier], EnergyTotal], tariff_id: str, totals: Totals) -> None:
    for tier, total in totals.items():
        known = energies.setdefault((tariff_id, tier), EnergyTotal())
        known.add(total.milliwatt_hours, total.counts)


def _energy_line(tariff: Tariff, tier: PriceTier, total: EnergyTotal) -> RatedLine:
    return RatedLine(
        kind=LineKind.ENERGY,
        tariff=tariff,
        price_name=tier.price.name,
        unit_price=tier.per_kwh,
        quantity=kilowatt_hours(total.milliwatt_hours),
        reading_count=total.reading_count,
        estimated_reading_count=total.estimated_reading_count,
        edited_reading_count=total.edited_reading_count,
        substituted_reading_count=total.substituted_reading_count,
        tier=tier.tier + 1 if tier.price.steps else 0,
    )


def _daily_charge(tariff: Tariff, billed: Sequence[TariffMonth]) -> Iterator[RatedLine]:
    days = sum(month.begun_days for month in billed if month.tariff.tariff_id == tariff.tariff_id)
    if tariff.daily_charge is not None and days:
        yield RatedLine(LineKind.DAILY_CHARGE, tariff, "", tariff.daily_charge, Decimal(days), 0)


def _monthly(tariff: Tariff, billed: Sequence[TariffMonth]) -> Iterator[RatedLine]:
    """Whole months in one line, a part of a month in one of its own: so much of a month cannot be said in decimals."""
    shares = [month.share for month in billed if month.tariff.tariff_id == tariff.tariff_id and month.share]
    counts: dict[Fraction, int] = {}
    for share in shares:
        counts[share] = counts.get(share, 0) + 1
    charges = [
        (LineKind.MONTHLY_CHARGE, tariff.monthly_charge),
        (LineKind.MINIMUM_CHARGE, tariff.minimum_monthly_charge),
    ]
    for kind, charge in charges:
        if charge is not None:
            for share, count in counts.items():
                yield RatedLine(kind, tariff, "", charge, Decimal(count), 0, share=share)

"""What a line of a bill is made of: the quarter-hours behind its quantity, each with the energy that counts in it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from billing.tariffs.export_rating import banked_months, billable_import
from billing.tariffs.rated_line import LineKind, Quarter, RatedLine
from billing.tariffs.tariff import ExportMode
from billing.tariffs.tariff_month import TariffMonth
from billing.tariffs.tier_rating import parts_by_tier

EnergyOf = Callable[[Quarter], int | None]


class ExplainedInterval(NamedTuple):
    """The readings that start in [start_ms, end_ms), epoch milliseconds, and what of them counts, milliwatt-hours.

    `is_of_earlier_month` is true where they lie in a billing month before that of the line.
    """

    start_ms: int
    end_ms: int
    milliwatt_hours: int
    reading_count: int
    is_of_earlier_month: bool = False


def explain(rated: Sequence[TariffMonth], start_date: date, line: RatedLine) -> list[ExplainedInterval]:
    """The quarter-hours behind a line, by time; none behind fixed charges and differences.

    Of energy and export that is paid for they add up to the quantity. Where export is set off by the month they are all
    import, or all export, at the price, and the lines beside say what was set off; behind what is kept, used or paid
    for at the true-up is all export since the one before. Of demand they are those of the window with the greatest
    power, also where it lies in an earlier month and a ratchet bills a part of it.
    """
    if line.kind is LineKind.DEMAND:
        return sorted(_peak(rated, line))
    months = [
        month
        for month in rated
        if month.month.start_date >= start_date and month.tariff.tariff_id == line.tariff.tariff_id
    ]
    if line.tariff.export is not None and line.tariff.export.mode is ExportMode.PERIOD_NETTING:
        return sorted(_set_off_by_month(rated, months, line))
    return sorted(interval for month in months for interval in _behind(month, line))


def _behind(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    match line.kind:
        case LineKind.ENERGY:
            yield from _energy(month, line)
        case LineKind.EXPORT | LineKind.EXPORT_NETTED:
            yield from _export(month, line)


def _set_off_by_month(
    rated: Sequence[TariffMonth], months: Sequence[TariffMonth], line: RatedLine
) -> Iterator[ExplainedInterval]:
    match line.kind:
        case LineKind.ENERGY:
            yield from _at_price(months, line, line.price_name, lambda quarter: quarter.import_milliwatt_hours)
        case LineKind.EXPORT_NETTED:
            own = [month for month in months if month.month.start_ms == line.month_start_ms]
            yield from _at_price(own, line, line.price_name, _exported)
        case LineKind.EXPORT_BANK_USED:
            before = [one for one in banked_months(rated, line) if one.month.start_ms != line.month_start_ms]
            yield from _at_price(before, line, line.price_name, _exported)
        case LineKind.EXPORT_BANK_KEPT:
            yield from _at_price(banked_months(rated, line), line, line.price_name, _exported)
        case LineKind.EXPORT:
            yield from _at_price(banked_months(rated, line), line, None, _exported)


def _energy(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    for tier, quarter, energy in parts_by_tier(month, billable_import(month.tariff)):
        number = tier.tier + 1 if tier.price.steps else 0
        if (tier.price.name, tier.per_kwh, number) == (line.price_name, line.unit_price, line.tier):
            yield _interval(quarter, energy, line)


def _exported(quarter: Quarter) -> int | None:
    return quarter.export_milliwatt_hours


def _at_price(
    months: Sequence[TariffMonth], line: RatedLine, name: str | None, energy_of: EnergyOf
) -> Iterator[ExplainedInterval]:
    """All energy of some months at the price of a name, or at any."""
    for one in (one for month in months for one in month.priced):
        if name is None or one.segment.price.name == name:
            for quarter in one.quarters:
                energy = energy_of(quarter)
                if energy:
                    yield _interval(quarter, energy, line)


def _export(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    terms = month.tariff.export
    is_netted = terms is not None and terms.mode is ExportMode.INTERVAL_NETTING
    for one in month.priced:
        for quarter in one.quarters:
            export = quarter.export_milliwatt_hours or 0
            netted = min(export, quarter.import_milliwatt_hours or 0) if is_netted else 0
            if line.kind is LineKind.EXPORT_NETTED and netted:
                yield _interval(quarter, netted, line)
            price = one.segment.export_price
            # The price of a region has the same name at many a price.
            is_at_price = price is not None and (price.name, -price.per_kwh) == (line.price_name, line.unit_price)
            if line.kind is LineKind.EXPORT and is_at_price and export > netted:
                yield _interval(quarter, export - netted, line)


def _peak(rated: Sequence[TariffMonth], line: RatedLine) -> Iterator[ExplainedInterval]:
    """The window of the peak, in whichever month and under whichever tariff it was measured."""
    if line.peak_start_ms is None:
        return
    charge = next(one for one in line.tariff.demand_charges if one.name == line.price_name)
    end_ms = line.peak_start_ms + charge.window_minutes * 60_000
    for month in rated:
        is_own = month.month.start_ms == line.month_start_ms
        if not month.month.start_ms <= line.peak_start_ms < month.month.end_ms or (
            is_own and month.tariff.tariff_id != line.tariff.tariff_id
        ):
            continue
        for quarter in (quarter for one in month.priced for quarter in one.quarters):
            if line.peak_start_ms <= quarter.start_ms < end_ms:
                yield _interval(quarter, quarter.import_milliwatt_hours or 0, line)


def _interval(quarter: Quarter, energy: int, line: RatedLine) -> ExplainedInterval:
    return ExplainedInterval(
        quarter.start_ms,
        quarter.last_end_ms,
        energy,
        quarter.reading_count,
        line.month_start_ms is not None and quarter.start_ms < line.month_start_ms,
    )

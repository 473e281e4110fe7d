"""What a line of a bill is made of: the quarter-hours behind its quantity, each with the energy that counts in it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from billing.export_rating import billable_import
from billing.rated_line import LineKind, Quarter, RatedLine
from billing.tariff import ExportMode
from billing.tariff_month import TariffMonth
from billing.tier_rating import parts_by_tier


class ExplainedInterval(NamedTuple):
    """The readings that start in [start_ms, end_ms), epoch milliseconds, and what of them counts, milliwatt-hours."""

    start_ms: int
    end_ms: int
    milliwatt_hours: int
    reading_count: int


def explain(rated: Sequence[TariffMonth], start_date: date, line: RatedLine) -> list[ExplainedInterval]:
    """The quarter-hours behind a line, by time; none behind fixed charges and differences.

    Of energy and export that is paid for they add up to the quantity. Where export is set off by the month they are all
    import, or all export, at the price, and the lines beside say what was set off. Of demand they are those of the
    window with the greatest power.
    """
    months = [
        month
        for month in rated
        if month.month.start_date >= start_date and month.tariff.tariff_id == line.tariff.tariff_id
    ]
    return sorted(interval for month in months for interval in _behind(month, line))


def _behind(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    is_banked = line.tariff.export is not None and line.tariff.export.mode is ExportMode.PERIOD_NETTING
    match line.kind:
        case LineKind.ENERGY if is_banked:
            yield from _at_price(month, line.price_name, lambda quarter: quarter.import_milliwatt_hours)
        case LineKind.ENERGY:
            yield from _energy(month, line)
        case LineKind.DEMAND:
            yield from _peak(month, line)
        case LineKind.EXPORT | LineKind.EXPORT_NETTED if not is_banked:
            yield from _export(month, line)
        case LineKind.EXPORT | LineKind.EXPORT_NETTED | LineKind.EXPORT_BANK_KEPT:
            name = line.price_name if line.kind is not LineKind.EXPORT else None
            yield from _at_price(month, name, lambda quarter: quarter.export_milliwatt_hours)


def _energy(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    for tier, quarter, energy in parts_by_tier(month, billable_import(month.tariff)):
        number = tier.tier + 1 if tier.price.steps else 0
        if (tier.price.name, tier.per_kwh, number) == (line.price_name, line.unit_price, line.tier):
            yield _interval(quarter, energy)


def _at_price(
    month: TariffMonth, name: str | None, energy_of: Callable[[Quarter], int | None]
) -> Iterator[ExplainedInterval]:
    for one in month.priced:
        if name is None or one.segment.price.name == name:
            for quarter in one.quarters:
                energy = energy_of(quarter)
                if energy:
                    yield _interval(quarter, energy)


def _export(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    terms = month.tariff.export
    is_netted = terms is not None and terms.mode is ExportMode.INTERVAL_NETTING
    for one in month.priced:
        for quarter in one.quarters:
            export = quarter.export_milliwatt_hours or 0
            netted = min(export, quarter.import_milliwatt_hours or 0) if is_netted else 0
            if line.kind is LineKind.EXPORT_NETTED and netted:
                yield _interval(quarter, netted)
            price = one.segment.export_price
            if line.kind is LineKind.EXPORT and price and price.name == line.price_name and export > netted:
                yield _interval(quarter, export - netted)


def _peak(month: TariffMonth, line: RatedLine) -> Iterator[ExplainedInterval]:
    charge = next(one for one in month.tariff.demand_charges if one.name == line.price_name)
    if line.peak_start_ms is None:
        return
    end_ms = line.peak_start_ms + charge.window_minutes * 60_000
    for one in month.priced:
        for quarter in one.quarters:
            if line.peak_start_ms <= quarter.start_ms < end_ms:
                yield _interval(quarter, quarter.import_milliwatt_hours or 0)


def _interval(quarter: Quarter, energy: int) -> ExplainedInterval:
    return ExplainedInterval(quarter.start_ms, quarter.last_end_ms, energy, quarter.reading_count)

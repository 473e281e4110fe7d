"""Export on a bill: what is paid for, what is set off against import, and the kWh kept for later months."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from billing.tariffs.rated_line import NO_READINGS, LineKind, Quarter, RatedLine, kilowatt_hours
from billing.tariffs.tariff import ExportMode, FlatPricing, Price, Tariff
from billing.tariffs.tariff_month import TariffMonth
from billing.tariffs.tier_rating import Billable, EnergyTotal, Totals, sums_by_tier


def billable_import(tariff: Tariff) -> Billable:
    """What of a quarter-hour's import is billed, as a function; None where it carries none."""
    if tariff.export is None or tariff.export.mode is not ExportMode.INTERVAL_NETTING:
        return lambda quarter: quarter.import_milliwatt_hours
    return lambda quarter: (
        None
        if quarter.import_milliwatt_hours is None
        else max(0, quarter.import_milliwatt_hours - (quarter.export_milliwatt_hours or 0))
    )


class ExportSums:
    """Gathers the export of one tariff that is paid for or set off at once, over any number of months."""

    def __init__(self, tariff: Tariff, mode: ExportMode) -> None:
        self._tariff = tariff
        self._is_netted = mode is ExportMode.INTERVAL_NETTING
        self._netted = EnergyTotal()
        self._paid: defaultdict[Price, EnergyTotal] = defaultdict(EnergyTotal)

    def add(self, rated: TariffMonth) -> None:
        """Takes in a month."""
        for one in rated.priced:
            if one.segment.export_price is None:
                continue
            for quarter in one.quarters:
                self._add(one.segment.export_price, quarter)

    def _add(self, price: Price, quarter: Quarter) -> None:
        export = quarter.export_milliwatt_hours
        if export is None:
            return
        netted = min(export, quarter.import_milliwatt_hours or 0) if self._is_netted else 0
        self._netted.add(netted, NO_READINGS)
        # Readings that carry import too count in the lines of energy.
        self._paid[price].add(
            export - netted, quarter.counts if quarter.import_milliwatt_hours is None else NO_READINGS
        )

    def lines(self) -> Iterator[RatedLine]:
        """What was set off, and the export by price, in the order of first use."""
        if self._netted.milliwatt_hours:
            yield _unpriced(LineKind.EXPORT_NETTED, self._tariff, "", self._netted.milliwatt_hours)
        for price, total in self._paid.items():
            yield _paid(self._tariff, price, total)


class ExportBank:
    """Sets the export of a tariff's months off against their import, and keeps what is left over, by price."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._kept: dict[str, int] = {}

    def settle(self, rated: TariffMonth) -> tuple[Totals, list[RatedLine]]:
        """What of the import of the next month is billed, and the lines on export.

        Export is set off at the price it was given at, first against import of the month, then what was kept before.
        At the true-up, and when another tariff follows, what is still kept is paid for and forgotten.
        """
        lines: list[RatedLine] = []
        left: dict[Price, EnergyTotal] = {}
        for price, imported, exported in _by_price(rated):
            netted = min(imported.milliwatt_hours, exported)
            drawn = min(imported.milliwatt_hours - netted, self._kept.get(price.name, 0))
            kept = self._kept.get(price.name, 0) - drawn + exported - netted
            self._kept[price.name] = kept
            left[price] = EnergyTotal(imported.milliwatt_hours - netted - drawn, *imported.counts)
            if netted:
                lines.append(_unpriced(LineKind.EXPORT_NETTED, self._tariff, price.name, netted))
            if drawn:
                lines.append(_unpriced(LineKind.EXPORT_BANK_USED, self._tariff, price.name, drawn))
        lines += self._paid_out() if _is_true_up(rated) else self._carried()
        return sums_by_tier(rated, left), [replace(line, month_start_ms=rated.month.start_ms) for line in lines]

    def _carried(self) -> Iterable[RatedLine]:
        for name, kept in self._kept.items():
            if kept:
                yield _unpriced(LineKind.EXPORT_BANK_KEPT, self._tariff, name, kept)

    def _paid_out(self) -> Iterable[RatedLine]:
        total = sum(self._kept.values())
        self._kept = {}
        terms = self._tariff.export
        if total and terms is not None and isinstance(terms.pricing, FlatPricing):
            yield _paid(self._tariff, Price("true-up", terms.pricing.price_per_kwh), EnergyTotal(total))


def banked_months(rated: Iterable[TariffMonth], line: RatedLine) -> list[TariffMonth]:
    """The months, by time, whose export may be in the bank at the end of that of a line: since it was last paid out."""
    found: list[TariffMonth] = []
    month_start_ms = line.month_start_ms or 0
    for one in rated:
        if one.tariff.tariff_id == line.tariff.tariff_id and one.month.start_ms <= month_start_ms:
            found.append(one)
            if one.month.start_ms < month_start_ms and _is_true_up(one):
                found.clear()
    return found


def _is_true_up(rated: TariffMonth) -> bool:
    terms = rated.tariff.export
    # However the time is cut into months and parts of them, one of these reaches the first of the month after.
    first_after = rated.month.end_date.replace(day=1)
    month_before = (first_after - timedelta(days=1)).month
    ends = terms is not None and first_after > rated.month.start_date and month_before == terms.true_up_month
    return ends or rated.is_left


def _by_price(rated: TariffMonth) -> Iterator[tuple[Price, EnergyTotal, int]]:
    imports: defaultdict[Price, EnergyTotal] = defaultdict(EnergyTotal)
    exports: defaultdict[Price, int] = defaultdict(int)
    for one in rated.priced:
        total = imports[one.segment.price]
        for quarter in one.quarters:
            total.add(quarter.import_milliwatt_hours or 0, quarter.counts)
            exports[one.segment.price] += quarter.export_milliwatt_hours or 0
    for price, total in imports.items():
        if total.reading_count or total.milliwatt_hours or exports[price]:
            yield price, total, exports[price]


def _paid(tariff: Tariff, price: Price, total: EnergyTotal) -> RatedLine:
    return RatedLine(
        kind=LineKind.EXPORT,
        tariff=tariff,
        price_name=price.name,
        unit_price=-price.per_kwh,
        quantity=kilowatt_hours(total.milliwatt_hours),
        reading_count=total.reading_count,
        estimated_reading_count=total.estimated_reading_count,
        edited_reading_count=total.edited_reading_count,
        substituted_reading_count=total.substituted_reading_count,
    )


def _unpriced(kind: LineKind, tariff: Tariff, price_name: str, milliwatt_hours: int) -> RatedLine:
    return RatedLine(kind, tariff, price_name, Decimal(0), kilowatt_hours(milliwatt_hours), 0)

"""Everything that the bill of a device is made of, and the bill that follows from it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.invoices.bill_hold import HoldLimits, bill_holds, gap_hold, quarantine_hold
from billing.invoices.coverage import carries_energy, coverage
from billing.invoices.invoice import BilledPeriod, Invoice, make_invoice
from billing.invoices.invoice_codec import Knowledge
from billing.invoices.readings_digest import readings_digest
from billing.tariffs.billing_month import months_before
from billing.tariffs.dynamic_pricing import RegionPrices
from billing.tariffs.price_timeline import tariffs_in_effect
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import lines_of, rated_months
from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_month import TariffMonth


@dataclass(frozen=True, slots=True)
class BillBasis:
    """A period, the tariffs in it, the quarter-hours of it and of the `history_months` before, and what is known.

    `quarantined` are the times of it of which readings are set aside.
    """

    period: BilledPeriod
    knowledge: Knowledge
    assignments: Sequence[TariffAssignment]
    tariffs: Mapping[str, Tariff]
    quarters: Sequence[Quarter]
    history_months: int
    region_prices: RegionPrices
    quarantined: Collection[QuarantinedPeriod] = ()

    @property
    def has_energy(self) -> bool:
        """Whether a reading of the period carries energy."""
        return any(carries_energy(one) for one in self.quarters if one.start_ms >= self.period.start_ms)

    @property
    def has_tariff(self) -> bool:
        """Whether a tariff is in effect at some time of the period."""
        return bool(tariffs_in_effect(self.assignments, self.period.start_ms, self.period.end_ms))

    def rated_months(self) -> list[TariffMonth]:
        """The months of the period and those before it; raises as `rating.rate` does."""
        return rated_months(
            device_id=self.period.device_id,
            zone=ZoneInfo(self.period.time_zone),
            start_date=self.period.start_date,
            end_date=self.period.end_date,
            assignments=self.assignments,
            tariffs=self.tariffs,
            quarters=self.quarters,
            history_months=self.history_months,
            region_prices=self.region_prices,
        )

    def invoice(self, rated: Sequence[TariffMonth], limits: HoldLimits) -> Invoice:
        """The bill of these months."""
        period, complete_ms = self.period, self.knowledge.complete_through_ms
        billed = [quarter for quarter in self.quarters if quarter.start_ms >= period.start_ms]
        lines = lines_of(rated, period.start_date, ZoneInfo(period.time_zone))
        # What is still to come is not missed.
        until_ms = period.end_ms if complete_ms is None else max(period.start_ms, min(period.end_ms, complete_ms))
        holds = [
            *bill_holds(billed, limits),
            *gap_hold(billed, period.start_ms, until_ms, limits),
            *quarantine_hold(self.quarantined, period.start_ms, period.end_ms),
        ]
        return replace(
            make_invoice(lines, holds),
            coverage=coverage(billed, period.start_ms, period.end_ms),
            history_start_date=months_before(period.start_date, self.history_months),
            readings_digest=readings_digest(self.quarters),
        )

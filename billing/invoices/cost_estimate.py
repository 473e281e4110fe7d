"""What a usage comes to by a tariff that it never had: that of a device, or an amount used evenly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from energy.billing.v1 import invoice_pb2

from billing.invoices.invoice import BilledPeriod, make_invoice
from billing.invoices.invoice_codec import Knowledge, invoice_message
from billing.tariffs.dynamic_pricing import NO_REGION, RegionPrices
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from billing.tariffs.tariff import QUARTER_MS, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from common.errors import MeshError
from common.local_time import local_midnight_ms
from common.money import to_decimal

_ALWAYS_MS = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The bill by a tariff, or why there is none."""

    tariff_id: str
    bill: invoice_pb2.Invoice | None = None
    refusal: MeshError | None = None


def estimate(
    period: BilledPeriod,
    quarters: Iterable[Quarter],
    history_months: int,
    tariff: Tariff,
    knowledge: Knowledge,
    *,
    region_prices: RegionPrices = NO_REGION,
) -> Estimate:
    """The bill of some quarter-hours by a tariff that is taken to have been assigned always.

    `quarters` may begin `history_months` billing months before the period; `region_prices` are for a tariff that
    follows them.
    """
    try:
        lines = rate(
            device_id=period.device_id,
            zone=ZoneInfo(period.time_zone),
            start_date=period.start_date,
            end_date=period.end_date,
            assignments=[TariffAssignment(period.device_id, tariff.tariff_id, _ALWAYS_MS)],
            tariffs={tariff.tariff_id: tariff},
            quarters=quarters,
            history_months=history_months,
            region_prices=region_prices,
        )
    except MeshError as refusal:
        return Estimate(tariff.tariff_id, refusal=refusal)
    return Estimate(tariff.tariff_id, invoice_message(period, make_invoice(lines), knowledge))


def even_period(start_date: date, end_date: date, time_zone: str) -> BilledPeriod:
    """The local days [start_date, end_date) of nobody in particular."""
    zone = ZoneInfo(time_zone)
    bounds = (local_midnight_ms(start_date, zone), local_midnight_ms(end_date, zone))
    return BilledPeriod("", "", start_date, end_date, *bounds, time_zone)


def even_quarters(period: BilledPeriod, milliwatt_hours: int) -> list[Quarter]:
    """An energy spread evenly over the quarter-hours of a period; what does not divide is in the last one."""
    starts_ms = range(period.start_ms // QUARTER_MS * QUARTER_MS, period.end_ms, QUARTER_MS)
    each, rest = divmod(milliwatt_hours, len(starts_ms))
    last_ms = starts_ms[-1]
    return [
        Quarter(max(start_ms, period.start_ms), start_ms + QUARTER_MS, each + rest * (start_ms == last_ms), 0)
        for start_ms in starts_ms
    ]


def cheapest_first(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Those that have a bill, by currency and total; of equal ones the order stays."""
    billed = [one for one in estimates if one.bill is not None]
    return sorted(billed, key=lambda one: (one.bill.currency_code, to_decimal(one.bill.total)) if one.bill else ("", 0))

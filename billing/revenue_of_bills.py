"""What bills bring in, by region, tariff and kind of charge."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from energy.billing.v1 import invoice_pb2 as pb
from google.type.money_pb2 import Money

from billing.revenue_share import RevenueKind, RevenueShare, added_up, spread
from common.money import to_coins, to_decimal

_KINDS = {
    pb.INVOICE_LINE_KIND_ENERGY: RevenueKind.ENERGY,
    pb.INVOICE_LINE_KIND_DEMAND: RevenueKind.DEMAND,
    pb.INVOICE_LINE_KIND_DAILY_CHARGE: RevenueKind.FIXED,
    pb.INVOICE_LINE_KIND_MONTHLY_CHARGE: RevenueKind.FIXED,
    pb.INVOICE_LINE_KIND_MINIMUM_CHARGE: RevenueKind.FIXED,
    pb.INVOICE_LINE_KIND_EXPORT: RevenueKind.EXPORT,
    pb.INVOICE_LINE_KIND_EXPORT_NETTED: RevenueKind.EXPORT,
    pb.INVOICE_LINE_KIND_EXPORT_BANK_USED: RevenueKind.EXPORT,
    pb.INVOICE_LINE_KIND_EXPORT_BANK_KEPT: RevenueKind.EXPORT,
}
# Export that is set off or kept is in the energy lines already, or will be.
_OF_ENERGY = {pb.INVOICE_LINE_KIND_ENERGY, pb.INVOICE_LINE_KIND_EXPORT}


def revenue_of(bills: Iterable[pb.Invoice], region_of: Mapping[str, str]) -> tuple[RevenueShare, ...]:
    """The shares of some bills of devices in regions; a tax is spread over the lines that it is on."""
    return added_up(share for bill in bills for share in _of_bill(bill, region_of.get(bill.device_id, "")))


def _of_bill(bill: pb.Invoice, region: str) -> Iterator[RevenueShare]:
    for rate in dict.fromkeys(line.tax_percent.value for line in bill.lines):
        lines = [line for line in bill.lines if line.tax_percent.value == rate]
        tax_coins = sum(_coins(tax.amount) for tax in bill.taxes if Decimal(tax.percent.value) == Decimal(rate or 0))
        net = [_coins(line.amount) for line in lines]
        for line, net_coins, of_tax in zip(lines, net, spread(tax_coins, net), strict=True):
            kind = _KINDS.get(line.kind, RevenueKind.OTHER)
            yield RevenueShare(region, line.tariff_id, kind, net_coins, of_tax, _milliwatt_hours(line))


def _milliwatt_hours(line: pb.InvoiceLine) -> int:
    if line.kind not in _OF_ENERGY:
        return 0
    return int(Decimal(line.quantity.value).scaleb(6).to_integral_value())


def _coins(money: Money) -> int:
    return to_coins(to_decimal(money), money.currency_code) if money.currency_code else 0

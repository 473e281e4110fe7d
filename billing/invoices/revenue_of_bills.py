"""What bills bring in, by region, tariff and kind of charge."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from energy.billing.v1 import invoice_pb2 as pb
from google.type.money_pb2 import Money

from billing.invoices.account_tax import account_taxes
from billing.invoices.revenue_share import RevenueKind, RevenueShare, added_up, spread
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


def revenue_of(bills: Sequence[pb.Invoice], region_of: Mapping[str, str]) -> tuple[RevenueShare, ...]:
    """The shares of the bills of an invoice, of devices in regions; a tax is spread over the lines that it is on."""
    return added_up(_shares(bills, region_of))


def _shares(bills: Sequence[pb.Invoice], region_of: Mapping[str, str]) -> Iterator[RevenueShare]:
    taxes = account_taxes(bills)
    taxed: dict[Decimal, list[tuple[str, pb.InvoiceLine]]] = {}
    for bill in bills:
        for line in bill.lines:
            rate = Decimal(line.tax_percent.value or 0)
            taxed.setdefault(rate, []).append((region_of.get(bill.device_id, ""), line))
    for rate, lines in taxed.items():
        net = [_coins(line.amount) for _, line in lines]
        for (region, line), net_coins, tax_coins in zip(lines, net, spread(taxes.get(rate, 0), net), strict=True):
            kind = _KINDS.get(line.kind, RevenueKind.OTHER)
            yield RevenueShare(region, line.tariff_id, kind, net_coins, tax_coins, _milliwatt_hours(line))


def _milliwatt_hours(line: pb.InvoiceLine) -> int:
    if line.kind not in _OF_ENERGY:
        return 0
    return int(Decimal(line.quantity.value).scaleb(6).to_integral_value())


def _coins(money: Money) -> int:
    return to_coins(to_decimal(money), money.currency_code) if money.currency_code else 0

"""What an invoice brings in, at rest: its shares, and what is summed of it by region and by tariff."""

from collections.abc import Iterable, Mapping
from typing import Any

from billing.invoices.account_invoice import AccountInvoice
from billing.invoices.revenue_share import RevenueGroup, RevenueKind, RevenueShare, grouped


def revenue_fields(invoice: AccountInvoice) -> dict[str, Any]:
    """The fields of an invoice's document that revenue is summed by."""
    credited, paid = invoice.credited_coins, invoice.paid_coins
    by_region = grouped(invoice.shares, lambda share: share.region, credited, paid)
    by_tariff = grouped(invoice.shares, lambda share: share.tariff_id, credited, paid)
    return {
        "issue_date": None if invoice.issue_date is None else invoice.issue_date.isoformat(),
        "shares": [_share_to_document(share) for share in invoice.shares],
        "credited_coins": credited,
        "paid_coins": paid,
        "milliwatt_hours": sum(group.milliwatt_hours for group in by_region),
        "export_milliwatt_hours": sum(group.export_milliwatt_hours for group in by_region),
        "by_region": [_group_to_document(group) for group in by_region],
        "by_tariff": [_group_to_document(group) for group in by_tariff],
    }


def shares_from(documents: Iterable[Mapping[str, Any]]) -> tuple[RevenueShare, ...]:
    """The shares of a document."""
    return tuple(RevenueShare(**{**document, "kind": RevenueKind(document["kind"])}) for document in documents)


def unknown_shares(net_coins: int, tax_coins: int) -> tuple[RevenueShare, ...]:
    """The share of an invoice that was kept before there were any: of no region and no tariff."""
    return (RevenueShare("", "", RevenueKind.OTHER, net_coins, tax_coins, 0),)


def _share_to_document(share: RevenueShare) -> dict[str, Any]:
    return {
        "region": share.region,
        "tariff_id": share.tariff_id,
        "kind": share.kind.value,
        "net_coins": share.net_coins,
        "tax_coins": share.tax_coins,
        "milliwatt_hours": share.milliwatt_hours,
    }


def _group_to_document(group: RevenueGroup) -> dict[str, Any]:
    return {
        "group": group.group,
        "net_coins": group.net_coins,
        "tax_coins": group.tax_coins,
        "credited_coins": group.credited_coins,
        "paid_coins": group.paid_coins,
        "milliwatt_hours": group.milliwatt_hours,
        "export_milliwatt_hours": group.export_milliwatt_hours,
        **{f"{kind.value}_coins": coins for kind, coins in group.net_by_kind.items()},
    }

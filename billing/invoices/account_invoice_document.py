"""Kept invoices at rest: amounts as whole coins, bills as the bytes of their messages, dates as text."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from energy.billing.v1 import invoice_pb2

from billing.invoices.account_invoice import (
    AccountInvoice,
    Action,
    CreditNote,
    Dispute,
    DisputeOutcome,
    HistoryEntry,
    Payment,
    Stage,
    State,
    Word,
)
from billing.invoices.account_zone import UTC_ZONE
from billing.invoices.number_series import INVOICES
from billing.invoices.revenue_document import revenue_fields, shares_from, unknown_shares
from billing.invoices.revenue_share import RevenueShare
from billing.tariffs.billing_month import months_before
from billing.tariffs.tariff_terms_validation import LOOKBACK_MONTHS_MAXIMUM
from common.instants import datetime_from_ms, datetime_to_ms

FORM = 3
"""Which fields a document has; those of an earlier form are known to `from_document`, too."""
EARLIER_FORMS = (None, 2)
"""The first had none."""


def to_document(invoice: AccountInvoice) -> dict[str, Any]:
    """The document of an invoice; state and balance are in it to be found by."""
    identity = invoice.invoice_id
    return {
        "_id": identity,
        "key": identity,
        "form": FORM,
        "account_id": invoice.account_id,
        "start_date": invoice.start_date.isoformat(),
        "end_date": invoice.end_date.isoformat(),
        "stage": invoice.stage.value,
        "state": invoice.state.value,
        "currency_code": invoice.currency_code,
        "bills": list(invoice.bills),
        "net_coins": invoice.net_coins,
        "tax_coins": invoice.tax_coins,
        "total_coins": invoice.total_coins,
        "balance_coins": invoice.balance_coins,
        "is_held": invoice.is_held,
        "is_disputed": invoice.open_dispute is not None,
        "create_time": datetime_from_ms(invoice.create_ms),
        "update_time": datetime_from_ms(invoice.update_ms),
        "version": invoice.version,
        "sequence": invoice.sequence,
        "series": invoice.series,
        # Unique in any case, so that the index on it need not leave anybody out.
        "number": invoice.number or identity,
        "issue_time": None if invoice.issue_ms is None else datetime_from_ms(invoice.issue_ms),
        "due_date": None if invoice.due_date is None else invoice.due_date.isoformat(),
        "time_zone": invoice.time_zone,
        "due_end_time": None if invoice.due_end_ms is None else datetime_from_ms(invoice.due_end_ms),
        "unsettled_due_date": None if invoice.unsettled_due_date is None else invoice.unsettled_due_date.isoformat(),
        **revenue_fields(invoice),
        "held_issue_reason": invoice.held_issue_reason,
        "adjustment": invoice.adjustment,
        "edition": invoice.edition,
        "history_start_date": None if invoice.history_start_date is None else invoice.history_start_date.isoformat(),
        "has_unlisted_payments": bool(invoice.payments),
        "device_ids": list(invoice.device_ids),
        "payments": [asdict(payment) for payment in invoice.payments],
        "credit_notes": [asdict(note) for note in invoice.credit_notes],
        "disputes": [_dispute_to_document(dispute) for dispute in invoice.disputes],
        "history": [_entry_to_document(entry) for entry in invoice.history],
    }


def from_document(document: Mapping[str, Any]) -> AccountInvoice:
    """The invoice of a document; the inverse of `to_document`. Without its bills where they were not read."""
    due_date, issue_time = document["due_date"], document["issue_time"]
    return AccountInvoice(
        account_id=document["account_id"],
        start_date=date.fromisoformat(document["start_date"]),
        end_date=date.fromisoformat(document["end_date"]),
        stage=Stage(document["stage"]),
        currency_code=document["currency_code"],
        bills=tuple(bytes(bill) for bill in document.get("bills", ())),
        net_coins=document["net_coins"],
        tax_coins=document["tax_coins"],
        total_coins=document["total_coins"],
        is_held=document["is_held"],
        create_ms=datetime_to_ms(document["create_time"]),
        update_ms=datetime_to_ms(document["update_time"]),
        version=document["version"],
        sequence=document["sequence"],
        series=document.get("series", INVOICES),
        issue_ms=None if issue_time is None else datetime_to_ms(issue_time),
        due_date=None if due_date is None else date.fromisoformat(due_date),
        time_zone=document.get("time_zone", UTC_ZONE),
        device_ids=_device_ids(document),
        shares=_shares(document),
        held_issue_reason=document["held_issue_reason"],
        adjustment=document["adjustment"],
        edition=document.get("edition", 1),
        history_start_date=_history_start_date(document),
        payments=tuple(Payment(**payment) for payment in document["payments"]),
        credit_notes=tuple(CreditNote(**note) for note in document["credit_notes"]),
        disputes=tuple(_dispute_from_document(dispute) for dispute in document["disputes"]),
        history=tuple(_entry_from_document(entry) for entry in document.get("history", ())),
    )


def _device_ids(document: Mapping[str, Any]) -> tuple[str, ...]:
    known = document.get("device_ids")
    if known is not None:
        return tuple(known)
    return tuple(invoice_pb2.Invoice.FromString(bytes(bill)).device_id for bill in document.get("bills", ()))


def _history_start_date(document: Mapping[str, Any]) -> date | None:
    if "history_start_date" not in document:
        # Its bills do not tell: it is looked at too often rather than not at all.
        return months_before(date.fromisoformat(document["start_date"]), LOOKBACK_MONTHS_MAXIMUM)
    known = document["history_start_date"]
    return None if known is None else date.fromisoformat(known)


def _shares(document: Mapping[str, Any]) -> tuple[RevenueShare, ...]:
    known = document.get("shares")
    return unknown_shares(document["net_coins"], document["tax_coins"]) if known is None else shares_from(known)


def _dispute_to_document(dispute: Dispute) -> dict[str, Any]:
    return {**asdict(dispute), "outcome": None if dispute.outcome is None else dispute.outcome.value}


def _dispute_from_document(document: Mapping[str, Any]) -> Dispute:
    outcome = document["outcome"]
    return Dispute(**{**document, "outcome": None if outcome is None else DisputeOutcome(outcome)})


def _entry_to_document(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "action": entry.action.value,
        "actor": entry.word.actor,
        "note": entry.word.note,
        "at_ms": entry.at_ms,
        "state": entry.state.value,
        "entry_id": entry.entry_id,
    }


def _entry_from_document(document: Mapping[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        Action(document["action"]),
        Word(document["actor"], document["note"]),
        document["at_ms"],
        State(document["state"]),
        document["entry_id"],
    )

"""Kept invoices and what becomes of them between the contract and the book."""

from collections.abc import Iterable
from datetime import date

from energy.billing.v1 import account_invoice_pb2 as pb
from energy.billing.v1 import invoice_pb2
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from billing.invoices.account_invoice import (
    AccountInvoice,
    Action,
    CreditNote,
    Dispute,
    DisputeOutcome,
    HistoryEntry,
    Payment,
    State,
    Word,
)
from billing.invoices.payment_list_store import ListedPayment
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation
from common.instants import from_ms, optional_from_ms
from common.money import from_coins, to_coins, to_decimal

REFERENCE_LENGTH_MAXIMUM = 200
REASON_LENGTH_MAXIMUM = 500
PERSON_LENGTH_MAXIMUM = 128
_INVOICE_ID_LENGTH_MAXIMUM = 200

STATES = {
    State.DRAFT: pb.ACCOUNT_INVOICE_STATE_DRAFT,
    State.ISSUED: pb.ACCOUNT_INVOICE_STATE_ISSUED,
    State.PARTIALLY_PAID: pb.ACCOUNT_INVOICE_STATE_PARTIALLY_PAID,
    State.PAID: pb.ACCOUNT_INVOICE_STATE_PAID,
    State.CREDITED: pb.ACCOUNT_INVOICE_STATE_CREDITED,
    State.DISCARDED: pb.ACCOUNT_INVOICE_STATE_DISCARDED,
    State.VOID: pb.ACCOUNT_INVOICE_STATE_VOID,
}
_OUTCOMES = {
    DisputeOutcome.ACCEPTED: pb.DISPUTE_OUTCOME_ACCEPTED,
    DisputeOutcome.REJECTED: pb.DISPUTE_OUTCOME_REJECTED,
    DisputeOutcome.WITHDRAWN: pb.DISPUTE_OUTCOME_WITHDRAWN,
}
_ACTIONS = {
    Action.ISSUED: pb.INVOICE_ACTION_ISSUED,
    Action.DISCARDED: pb.INVOICE_ACTION_DISCARDED,
    Action.PAID: pb.INVOICE_ACTION_PAID,
    Action.CREDITED: pb.INVOICE_ACTION_CREDITED,
    Action.DISPUTED: pb.INVOICE_ACTION_DISPUTED,
    Action.RESOLVED: pb.INVOICE_ACTION_RESOLVED,
}


def account_invoice_message(invoice: AccountInvoice, now_ms: int) -> pb.AccountInvoice:
    """The message of an invoice, overdue or not as of an instant, UTC milliseconds."""

    def money(coins: int) -> Money:
        return from_coins(coins, invoice.currency_code)

    return pb.AccountInvoice(
        invoice_id=invoice.invoice_id,
        account_id=invoice.account_id,
        start_date=_date_message(invoice.start_date),
        end_date=_date_message(invoice.end_date),
        state=STATES[invoice.state],
        number=invoice.number,
        currency_code=invoice.currency_code,
        bills=[invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills],
        net=money(invoice.net_coins),
        tax=money(invoice.tax_coins),
        total=money(invoice.total_coins),
        paid=money(invoice.paid_coins),
        credited=money(invoice.credited_coins),
        balance=money(invoice.balance_coins),
        create_time=from_ms(invoice.create_ms),
        update_time=from_ms(invoice.update_ms),
        issue_time=optional_from_ms(invoice.issue_ms),
        due_date=None if invoice.due_date is None else _date_message(invoice.due_date),
        overdue=invoice.is_overdue(now_ms),
        payments=payment_messages(invoice),
        credit_notes=[
            pb.CreditNote(
                credit_note_id=note.credit_note_id,
                amount=money(note.coins),
                reason=note.reason,
                number=note.number,
                create_time=from_ms(note.create_ms),
            )
            for note in invoice.credit_notes
        ],
        disputes=[_dispute_message(dispute) for dispute in invoice.disputes],
        held_issue_reason=invoice.held_issue_reason,
        adjusted_invoice_id=invoice.adjusted_invoice_id,
        time_zone=invoice.time_zone,
        history=[_event_message(entry) for entry in invoice.history],
        edition=invoice.edition,
        replaced_invoice_id=invoice.replaced_invoice_id,
    )


def payment_messages(invoice: AccountInvoice) -> list[pb.Payment]:
    """The messages of the payments of an invoice."""
    return [
        pb.Payment(
            payment_id=payment.payment_id,
            amount=from_coins(payment.coins, invoice.currency_code),
            reference=payment.reference,
            create_time=from_ms(payment.create_ms),
        )
        for payment in invoice.payments
    ]


def listed_payment_message(listed: ListedPayment) -> pb.Payment:
    """The message of a payment among those of many invoices."""
    return pb.Payment(
        payment_id=listed.payment.payment_id,
        amount=from_coins(listed.payment.coins, listed.currency_code),
        reference=listed.payment.reference,
        create_time=from_ms(listed.payment.create_ms),
        invoice_id=listed.invoice_id,
        account_id=listed.account_id,
    )


def payment_from_message(message: pb.Payment, now_ms: int, word: Word) -> tuple[Payment, str]:
    """The payment of a message and its currency; `word` is who records it and what they say.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    coins, violations = _coins(message.amount, "payment.amount")
    violations += id_violations("payment.payment_id", message.payment_id)
    violations += text_violations("payment.reference", message.reference, REFERENCE_LENGTH_MAXIMUM)
    refuse([*violations, *word_violations(word)])
    return Payment(message.payment_id, coins, message.reference, now_ms), message.amount.currency_code


def credit_note_from_message(message: pb.CreditNote, now_ms: int, word: Word) -> tuple[CreditNote, str]:
    """The credit note of a message and its currency; `word` is who makes it and what they say.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    coins, violations = _coins(message.amount, "credit_note.amount")
    violations += id_violations("credit_note.credit_note_id", message.credit_note_id)
    violations += text_violations("credit_note.reason", message.reason, REASON_LENGTH_MAXIMUM, is_required=True)
    refuse([*violations, *word_violations(word)])
    return CreditNote(message.credit_note_id, coins, message.reason, now_ms), message.amount.currency_code


def dispute_from_message(message: pb.Dispute, now_ms: int) -> Dispute:
    """The dispute of a message, open.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    refuse(
        [
            *id_violations("dispute.dispute_id", message.dispute_id),
            *text_violations("dispute.reason", message.reason, REASON_LENGTH_MAXIMUM, is_required=True),
            *text_violations("dispute.opened_by", message.opened_by, PERSON_LENGTH_MAXIMUM, is_required=True),
        ]
    )
    return Dispute(message.dispute_id, message.reason, message.opened_by, now_ms)


def word_violations(word: Word, note_field: str = "note") -> list[FieldViolation]:
    """What is wrong with who does something and what they say."""
    return [
        *text_violations("actor", word.actor, PERSON_LENGTH_MAXIMUM),
        *text_violations(note_field, word.note, REASON_LENGTH_MAXIMUM),
    ]


def outcome_of(number: int) -> DisputeOutcome | None:
    """What a number of the contract stands for, if it is an outcome."""
    return next((outcome for outcome, value in _OUTCOMES.items() if value == number), None)


def invoice_id_violations(invoice_id: str) -> list[FieldViolation]:
    """What is wrong with the id of an invoice."""
    return text_violations("invoice_id", invoice_id, _INVOICE_ID_LENGTH_MAXIMUM, is_required=True)


def text_violations(path: str, text: str, longest: int, *, is_required: bool = False) -> list[FieldViolation]:
    """What is wrong with a text for people."""
    if is_required and not text:
        return [FieldViolation(path, "FIELD_REQUIRED", "is required")]
    if len(text) > longest:
        return [FieldViolation(path, "OUT_OF_RANGE", f"must be at most {longest} characters")]
    return []


def currency_violations(path: str, given: str, wanted: str) -> Iterable[FieldViolation]:
    """What is wrong with the currency of an amount that is to be set off against an invoice."""
    if given != wanted:
        yield FieldViolation(f"{path}.currency_code", "INVALID_FORMAT", f"must be {wanted}, as the invoice is")


def _coins(money: Money, path: str) -> tuple[int, list[FieldViolation]]:
    if not money.currency_code:
        return 0, [FieldViolation(path, "FIELD_REQUIRED", "is required, with its currency")]
    try:
        coins = to_coins(to_decimal(money), money.currency_code)
    except ValueError as wrong:
        return 0, [FieldViolation(path, "INVALID_FORMAT", str(wrong))]
    return coins, []


def _dispute_message(dispute: Dispute) -> pb.Dispute:
    return pb.Dispute(
        dispute_id=dispute.dispute_id,
        reason=dispute.reason,
        opened_by=dispute.opened_by,
        open_time=from_ms(dispute.open_ms),
        outcome=pb.DISPUTE_OUTCOME_UNSPECIFIED if dispute.outcome is None else _OUTCOMES[dispute.outcome],
        resolved_by=dispute.resolved_by,
        note=dispute.note,
        resolve_time=optional_from_ms(dispute.resolve_ms),
    )


def _event_message(entry: HistoryEntry) -> pb.InvoiceEvent:
    return pb.InvoiceEvent(
        action=_ACTIONS[entry.action],
        actor=entry.word.actor,
        note=entry.word.note,
        create_time=from_ms(entry.at_ms),
        entry_id=entry.entry_id,
        state=STATES[entry.state],
    )


def _date_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)

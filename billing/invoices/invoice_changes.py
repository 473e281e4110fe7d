"""What may become of a kept invoice: each change gives the invoice after it, or an error that says why not."""

from collections.abc import Sequence
from dataclasses import replace

from billing.invoices.account_invoice import (
    AccountInvoice,
    Action,
    CreditNote,
    Dispute,
    HistoryEntry,
    Payment,
    Stage,
    Word,
)
from common.errors import AmountExceedsInvoice, InvoiceEntryExists, InvoiceNotFound, InvoiceState
from common.money import coins_text

ENTRIES_MAXIMUM = 1000
_NOBODY = Word()


def require_issued(invoice: AccountInvoice) -> None:
    """Checks that it is issued.

    Raises:
        InvoiceState: it is not.
    """
    if invoice.stage is not Stage.ISSUED:
        raise InvoiceState(invoice.invoice_id, invoice.state.value)


def with_payment(invoice: AccountInvoice, payment: Payment, word: Word = _NOBODY) -> AccountInvoice:
    """The invoice with a payment; unchanged when it has it already.

    Raises:
        InvoiceState: it is not issued, or has had too many.
        InvoiceEntryExists: it has another payment of the same id.
        AmountExceedsInvoice: the payment is more than the balance, or of the other sign.
    """
    require_issued(invoice)
    for known in invoice.payments:
        if known.payment_id == payment.payment_id:
            if (known.coins, known.reference) != (payment.coins, payment.reference):
                raise InvoiceEntryExists(invoice.invoice_id, payment.payment_id)
            return invoice
    _require_room(invoice, invoice.payments)
    balance = invoice.balance_coins
    if payment.coins == 0 or not min(0, balance) <= payment.coins <= max(0, balance):
        raise AmountExceedsInvoice(invoice.invoice_id, coins_text(balance, invoice.currency_code))
    paid = replace(invoice, payments=(*invoice.payments, payment), update_ms=payment.create_ms)
    return _recorded(paid, Action.PAID, word, payment.payment_id)


def with_credit_note(invoice: AccountInvoice, note: CreditNote, word: Word = _NOBODY) -> AccountInvoice:
    """The invoice with a credit note; unchanged when it has it already.

    Raises:
        InvoiceState, InvoiceEntryExists: as `with_payment`.
        AmountExceedsInvoice: the note is more than what was not credited yet, or of the other sign than the total.
    """
    require_issued(invoice)
    for known in invoice.credit_notes:
        if known.credit_note_id == note.credit_note_id:
            if (known.coins, known.reason) != (note.coins, note.reason):
                raise InvoiceEntryExists(invoice.invoice_id, note.credit_note_id)
            return invoice
    _require_room(invoice, invoice.credit_notes)
    left = invoice.total_coins - invoice.credited_coins
    if note.coins == 0 or not min(0, left) <= note.coins <= max(0, left):
        raise AmountExceedsInvoice(invoice.invoice_id, coins_text(left, invoice.currency_code))
    credited = replace(invoice, credit_notes=(*invoice.credit_notes, note), update_ms=note.create_ms)
    said = Word(word.actor, word.note or note.reason)
    return _recorded(credited, Action.CREDITED, said, note.credit_note_id)


def with_number_of_note(invoice: AccountInvoice, credit_note_id: str, number: str) -> AccountInvoice:
    """The invoice with a number given to one of its credit notes."""
    notes = [
        replace(note, number=number) if note.credit_note_id == credit_note_id else note for note in invoice.credit_notes
    ]
    return replace(invoice, credit_notes=tuple(notes))


def with_dispute(invoice: AccountInvoice, dispute: Dispute) -> AccountInvoice:
    """The invoice with a dispute; unchanged when it has it already.

    Raises:
        InvoiceState: it is not issued, another dispute is open, or there were too many.
        InvoiceEntryExists: it has another dispute of the same id.
    """
    require_issued(invoice)
    for known in invoice.disputes:
        if known.dispute_id == dispute.dispute_id:
            if (known.reason, known.opened_by) != (dispute.reason, dispute.opened_by):
                raise InvoiceEntryExists(invoice.invoice_id, dispute.dispute_id)
            return invoice
    _require_room(invoice, invoice.disputes)
    if invoice.open_dispute is not None:
        raise InvoiceState(invoice.invoice_id, "disputed")
    disputed = replace(invoice, disputes=(*invoice.disputes, dispute), update_ms=dispute.open_ms)
    return _recorded(disputed, Action.DISPUTED, Word(dispute.opened_by, dispute.reason), dispute.dispute_id)


def with_resolution(invoice: AccountInvoice, resolved: Dispute) -> AccountInvoice:
    """The invoice with a dispute resolved as `resolved` says; unchanged when it is already.

    Raises:
        InvoiceNotFound: it has no dispute of this id.
        InvoiceEntryExists: the dispute was resolved otherwise.
    """
    known = next((one for one in invoice.disputes if one.dispute_id == resolved.dispute_id), None)
    if known is None:
        raise InvoiceNotFound(invoice.invoice_id, "dispute")
    if known.outcome is not None:
        if (known.outcome, known.resolved_by, known.note) != (resolved.outcome, resolved.resolved_by, resolved.note):
            raise InvoiceEntryExists(invoice.invoice_id, resolved.dispute_id)
        return invoice
    settled = replace(
        known,
        outcome=resolved.outcome,
        resolved_by=resolved.resolved_by,
        note=resolved.note,
        resolve_ms=resolved.resolve_ms,
    )
    disputes = tuple(settled if one is known else one for one in invoice.disputes)
    resolution = replace(invoice, disputes=disputes, update_ms=resolved.resolve_ms or invoice.update_ms)
    return _recorded(resolution, Action.RESOLVED, Word(resolved.resolved_by, resolved.note), resolved.dispute_id)


def issued(draft: AccountInvoice, made: AccountInvoice, word: Word = _NOBODY) -> AccountInvoice:
    """The draft, issued as it was made last: with the number, the due date and the moment of `made`.

    Unchanged when it is issued already.

    Raises:
        InvoiceState: it was discarded.
    """
    if draft.stage is Stage.ISSUED:
        return draft
    if draft.stage is Stage.DISCARDED:
        raise InvoiceState(draft.invoice_id, draft.state.value)
    numbered = replace(
        made,
        stage=Stage.ISSUED,
        create_ms=draft.create_ms,
        update_ms=made.issue_ms or made.update_ms,
        version=draft.version,
        history=draft.history,
    )
    return _recorded(numbered, Action.ISSUED, Word(word.actor, word.note or made.held_issue_reason))


def discarded(invoice: AccountInvoice, now_ms: int, word: Word = _NOBODY) -> AccountInvoice:
    """The draft, discarded; unchanged when it is already.

    Raises:
        InvoiceState: it is issued.
    """
    if invoice.stage is Stage.DISCARDED:
        return invoice
    if invoice.stage is not Stage.DRAFT:
        raise InvoiceState(invoice.invoice_id, invoice.state.value)
    return _recorded(replace(invoice, stage=Stage.DISCARDED, update_ms=now_ms), Action.DISCARDED, word)


def _recorded(invoice: AccountInvoice, action: Action, word: Word, entry_id: str = "") -> AccountInvoice:
    """The invoice after something was done to it at its last change, with that in its history."""
    entry = HistoryEntry(action, word, invoice.update_ms, invoice.state, entry_id)
    return replace(invoice, history=(*invoice.history, entry))


def _require_room(invoice: AccountInvoice, entries: Sequence[object]) -> None:
    if len(entries) >= ENTRIES_MAXIMUM:
        raise InvoiceState(invoice.invoice_id, f"full: it has {ENTRIES_MAXIMUM} entries of this kind")

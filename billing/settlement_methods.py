"""The methods of the invoice service about what becomes of an invoice: issued, paid, credited, disputed."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from collections.abc import Awaitable, Callable

from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceServicer

from billing.invoices.account_invoice import AccountInvoice, Dispute, Word
from billing.invoices.account_invoice_codec import (
    PERSON_LENGTH_MAXIMUM,
    REASON_LENGTH_MAXIMUM,
    account_invoice_message,
    credit_note_from_message,
    currency_violations,
    dispute_from_message,
    invoice_id_violations,
    outcome_of,
    payment_from_message,
    text_violations,
    word_violations,
)
from billing.invoices.invoice_book import InvoiceBook
from billing.invoices.invoice_maker import DeviceBillFailed
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation
from common.rpc_guard import Context


class SettlementMethods(InvoiceServiceServicer):
    """Translates between the contract and the book of invoices; `clock` gives now in UTC milliseconds."""

    def __init__(self, *, book: InvoiceBook, clock: Callable[[], int]) -> None:
        self._book = book
        self._clock = clock

    async def IssueInvoice(self, request: pb.IssueInvoiceRequest, context: Context) -> pb.IssueInvoiceResponse:
        """Issues a draft."""
        word = Word(request.actor, request.note)
        refuse(
            [
                *invoice_id_violations(request.invoice_id),
                *text_violations("held_issue_reason", request.held_issue_reason, REASON_LENGTH_MAXIMUM),
                *word_violations(word),
            ]
        )
        issued = await invoice_or_cause(self._book.issue(request.invoice_id, request.held_issue_reason, word))
        return pb.IssueInvoiceResponse(invoice=self._message(issued))

    async def DiscardInvoice(self, request: pb.DiscardInvoiceRequest, context: Context) -> pb.DiscardInvoiceResponse:
        """Discards a draft."""
        word = Word(request.actor, request.reason)
        refuse([*invoice_id_violations(request.invoice_id), *word_violations(word, "reason")])
        return pb.DiscardInvoiceResponse(invoice=self._message(await self._book.discard(request.invoice_id, word)))

    async def RecordPayment(self, request: pb.RecordPaymentRequest, context: Context) -> pb.RecordPaymentResponse:
        """Records a payment."""
        refuse(invoice_id_violations(request.invoice_id))
        word = Word(request.actor, request.note)
        payment, currency_code = payment_from_message(request.payment, self._clock(), word)
        await self._require_currency(request.invoice_id, "payment.amount", currency_code)
        return pb.RecordPaymentResponse(invoice=self._message(await self._book.pay(request.invoice_id, payment, word)))

    async def CreateCreditNote(
        self, request: pb.CreateCreditNoteRequest, context: Context
    ) -> pb.CreateCreditNoteResponse:
        """Takes back a part of an invoice."""
        refuse(invoice_id_violations(request.invoice_id))
        word = Word(request.actor, request.note)
        note, currency_code = credit_note_from_message(request.credit_note, self._clock(), word)
        await self._require_currency(request.invoice_id, "credit_note.amount", currency_code)
        credited = await self._book.credit(request.invoice_id, note, word)
        return pb.CreateCreditNoteResponse(invoice=self._message(credited))

    async def OpenDispute(self, request: pb.OpenDisputeRequest, context: Context) -> pb.OpenDisputeResponse:
        """Opens a dispute."""
        refuse(invoice_id_violations(request.invoice_id))
        opened = dispute_from_message(request.dispute, self._clock())
        return pb.OpenDisputeResponse(invoice=self._message(await self._book.dispute(request.invoice_id, opened)))

    async def ResolveDispute(self, request: pb.ResolveDisputeRequest, context: Context) -> pb.ResolveDisputeResponse:
        """Resolves a dispute."""
        outcome = outcome_of(request.outcome)
        violations = [
            *invoice_id_violations(request.invoice_id),
            *id_violations("dispute_id", request.dispute_id),
            *text_violations("resolved_by", request.resolved_by, PERSON_LENGTH_MAXIMUM, is_required=True),
            *text_violations("note", request.note, REASON_LENGTH_MAXIMUM),
        ]
        if outcome is None:
            violations.append(FieldViolation("outcome", "FIELD_REQUIRED", "is required: accepted, rejected, withdrawn"))
        refuse(violations)
        resolved = Dispute(
            request.dispute_id,
            "",
            "",
            0,
            outcome=outcome,
            resolved_by=request.resolved_by,
            note=request.note,
            resolve_ms=self._clock(),
        )
        return pb.ResolveDisputeResponse(invoice=self._message(await self._book.resolve(request.invoice_id, resolved)))

    async def _require_currency(self, invoice_id: str, path: str, currency_code: str) -> None:
        invoice = await self._book.store.get(invoice_id)
        refuse(currency_violations(path, currency_code, invoice.currency_code))

    def _message(self, invoice: AccountInvoice) -> account_invoice_pb2.AccountInvoice:
        return account_invoice_message(invoice, self._clock())


async def invoice_or_cause(made: Awaitable[AccountInvoice]) -> AccountInvoice:
    """The invoice, or why a bill of it cannot be made."""
    try:
        return await made
    except DeviceBillFailed as failed:
        raise failed.reason from failed

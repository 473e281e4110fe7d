"""The door for those who make invoices and those who pay them; it only translates."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from energy.billing.v1 import invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from billing.invoices.account_invoice_codec import invoice_id_violations
from billing.invoices.bill_maker import BillMaker
from billing.invoices.explaining import Explainer
from billing.invoices.invoice_book import InvoiceBook
from billing.invoices.invoice_codec import PreviewQuestion, days_of, preview_question, question_of
from billing.invoices.invoice_comparison import compare
from billing.invoices.invoice_comparison_codec import comparison_message
from billing.invoices.invoice_export import CHUNK_BYTES
from billing.invoices.invoice_generation import Failure, generate
from billing.invoices.invoice_lists import InvoiceLists
from billing.invoices.invoice_rendering import InvoiceRenderer, PrintFormat
from billing.listing_methods import ListingMethods
from billing.settlement_methods import invoice_or_cause
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from billing.usage.answers import Answers
from common.errors import DependencyUnavailable, FieldViolation, InvalidArgument
from common.rpc_guard import Context

_PRINT_FORMATS = {
    pb.INVOICE_RENDER_FORMAT_HTML: PrintFormat.HTML,
    pb.INVOICE_RENDER_FORMAT_PDF: PrintFormat.PDF,
}


class AccountsRegistry(Protocol):
    """Knows which accounts there are."""

    @property
    def is_complete(self) -> bool:
        """Whether all of them are known."""

    def account_count(self, kind: int, region: str = "", after: str = "") -> int:
        """How many accounts after one have a device of a kind, in a region where one is named."""

    def accounts(self, kind: int, region: str = "", after: str = "") -> Iterable[str]:
        """These accounts in order."""


class InvoiceService(ListingMethods):
    """Translates between the contract and the book of invoices; `clock` gives now in UTC milliseconds."""

    def __init__(
        self,
        *,
        bills: BillMaker,
        answers: Answers,
        book: InvoiceBook,
        lists: InvoiceLists,
        explainer: Explainer,
        renderer: InvoiceRenderer,
        registry: AccountsRegistry,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(book=book, lists=lists, clock=clock)
        self._explainer = explainer
        self._renderer = renderer
        self._bills = bills
        self._answers = answers
        self._registry = registry

    async def PreviewInvoice(self, request: pb.PreviewInvoiceRequest, context: Context) -> pb.PreviewInvoiceResponse:
        """Computes a bill and keeps nothing."""
        question = preview_question(request)
        return await self._answers.about(
            question.device_id, request, pb.PreviewInvoiceResponse, lambda: self._preview(question)
        )

    async def _preview(self, question: PreviewQuestion) -> pb.PreviewInvoiceResponse:
        return pb.PreviewInvoiceResponse(invoice=await self._bills.make(question))

    async def GenerateInvoices(
        self, request: pb.GenerateInvoicesRequest, context: Context
    ) -> AsyncIterator[pb.GenerateInvoicesResponse]:
        """Makes the drafts of a period."""
        violations: list[FieldViolation] = []
        if request.account_id:
            violations += id_violations("account_id", request.account_id)
        if request.after_account_id:
            violations += id_violations("after_account_id", request.after_account_id)
        for name in ("region", "after_account_id"):
            if request.account_id and getattr(request, name):
                violations.append(FieldViolation(name, "OUT_OF_RANGE", "must be empty where an account is named"))
        start_date, end_date = days_of(request, violations)
        refuse(violations)
        if not self._registry.is_complete:
            raise DependencyUnavailable("gateway")
        accounts: Iterable[str] = [request.account_id]
        count = 1
        if not request.account_id:
            # There may be very many: they are counted and walked, and never at hand all at once.
            after = request.after_account_id
            count = self._registry.account_count(DEVICE_KIND_METER, request.region, after)
            accounts = self._registry.accounts(DEVICE_KIND_METER, request.region, after)
        async for progress in generate(self._book, accounts, count, start_date, end_date, replaces=request.replace):
            yield pb.GenerateInvoicesResponse(
                account_count=progress.account_count,
                done_count=progress.done_count,
                draft_count=progress.draft_count,
                settled_count=progress.settled_count,
                held_count=progress.held_count,
                failed_count=progress.failed_count,
                adjusted_count=progress.adjusted_count,
                failures=[_failure_message(failure) for failure in progress.failures],
                last_account_id=progress.last_account_id,
            )

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.GetInvoiceResponse:
        """Finds an invoice; a draft is made again."""
        refuse(invoice_id_violations(request.invoice_id))
        return pb.GetInvoiceResponse(invoice=self._message(await invoice_or_cause(self._book.get(request.invoice_id))))

    async def ExplainInvoice(self, request: pb.ExplainInvoiceRequest, context: Context) -> pb.ExplainInvoiceResponse:
        """Explains a line of a bill."""
        if not request.invoice_id:
            return await self._explainer.explain(request, preview_question(request), None)
        refuse([*id_violations("device_id", request.device_id), *invoice_id_violations(request.invoice_id)])
        kept = await self._explainer.kept_bill(request.invoice_id, request.device_id)
        return await self._explainer.explain(request, question_of(kept), kept)

    async def CompareInvoices(self, request: pb.CompareInvoicesRequest, context: Context) -> pb.CompareInvoicesResponse:
        """Tells why one bill is not another."""
        before = await self._bill(request.before, "before")
        after = await self._bill(request.after, "after")
        return comparison_message(compare(before, after), before.currency_code)

    async def _bill(self, reference: pb.BillReference, field: str) -> invoice_pb2.Invoice:
        try:
            return await self._explainer.bill(reference)
        except InvalidArgument as refused:
            raise refused.within(field) from None

    async def RenderInvoice(
        self, request: pb.RenderInvoiceRequest, context: Context
    ) -> AsyncIterator[pb.RenderInvoiceResponse]:
        """Prints an invoice."""
        violations = [*invoice_id_violations(request.invoice_id)]
        if request.format not in _PRINT_FORMATS:
            violations.append(FieldViolation("format", "FIELD_REQUIRED", "is required: HTML or PDF"))
        refuse(violations)
        printed = await self._renderer.render(request.invoice_id, _PRINT_FORMATS[request.format])
        pieces = range(0, len(printed.content), CHUNK_BYTES)
        for piece in (printed.content[first : first + CHUNK_BYTES] for first in pieces):
            yield pb.RenderInvoiceResponse(chunk=piece, media_type=printed.media_type, file_name=printed.file_name)
            printed = printed._replace(media_type="", file_name="")


def _failure_message(failure: Failure) -> pb.InvoiceFailure:
    return pb.InvoiceFailure(
        account_id=failure.account_id,
        device_id=failure.device_id,
        reason=ErrorReason.Value(f"ERROR_REASON_{failure.reason.reason}"),
        description=failure.reason.message,
    )

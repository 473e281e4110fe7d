"""The methods of the invoice service that list what is kept: invoices, those overdue, payments, and files of them."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb

from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice_codec import invoice_id_violations, listed_payment_message, payment_messages
from billing.invoices.invoice_book import InvoiceBook
from billing.invoices.invoice_export import export_chunks
from billing.invoices.invoice_filter import (
    export_question,
    list_question,
    overdue_question,
    payment_question,
    payments_of_invoice_violations,
)
from billing.invoices.invoice_list_store import InvoiceFilter, InvoicePlace, place_of
from billing.invoices.invoice_lists import InvoiceLists
from billing.invoices.payment_list_store import PaymentPlace
from billing.invoices.pending_adjustment_codec import pending_adjustment_message, require_pending_question
from billing.invoices.revenue_codec import group_message, revenue_question
from billing.invoices.revenue_store import RevenuePlace
from billing.settlement_methods import SettlementMethods
from billing.tariffs.tariff_codec import refuse
from common.errors import PageTokenInvalid
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_PAGE_DEFAULT = 100
_PAGE_MAXIMUM = 1000


_Paged = (
    pb.ListInvoicesRequest
    | pb.ListOverdueRequest
    | pb.ListPaymentsRequest
    | pb.ListPendingAdjustmentsRequest
    | pb.GetRevenueAnalyticsRequest
)


class ListingMethods(SettlementMethods):
    """Translates between the contract and the lists; `clock` gives now in UTC milliseconds."""

    def __init__(self, *, book: InvoiceBook, lists: InvoiceLists, clock: Callable[[], int]) -> None:
        super().__init__(book=book, clock=clock)
        self._lists = lists

    async def ListInvoices(self, request: pb.ListInvoicesRequest, context: Context) -> pb.ListInvoicesResponse:
        """Lists invoices as they were last kept."""
        wanted = list_question(request, self._clock())
        invoices, more = await self._page(request, wanted)
        return pb.ListInvoicesResponse(invoices=invoices, next_page_token=more)

    async def ListOverdue(self, request: pb.ListOverdueRequest, context: Context) -> pb.ListOverdueResponse:
        """Lists invoices whose day is over; those in dispute are left out."""
        invoices, more = await self._page(request, overdue_question(request, self._clock()))
        return pb.ListOverdueResponse(invoices=invoices, next_page_token=more)

    async def _page(
        self, request: pb.ListInvoicesRequest | pb.ListOverdueRequest, wanted: InvoiceFilter
    ) -> tuple[list[account_invoice_pb2.AccountInvoice], str]:
        size, filters = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM), _filters(request)
        key = decode_token(request.page_token, filters)
        after = None if key is None else InvoicePlace(_text(key, "day"), _text(key, "after"))
        found = await self._lists.invoices.page(wanted, after, size + 1)
        page, more = found[:size], ""
        if len(found) > size:
            last = place_of(page[-1], wanted)
            more = encode_token({"day": last.day, "after": last.invoice_id}, filters)
        return [self._message(one) for one in page], more

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Context) -> pb.ListPaymentsResponse:
        """Lists the payments of an invoice, or of many."""
        if request.invoice_id:
            refuse([*invoice_id_violations(request.invoice_id), *payments_of_invoice_violations(request)])
            invoice = await self._book.store.get(request.invoice_id)
            payments = payment_messages(invoice)
            for payment in payments:
                payment.invoice_id, payment.account_id = invoice.invoice_id, invoice.account_id
            return pb.ListPaymentsResponse(payments=payments)
        size, filters = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM), _filters(request)
        wanted, key = payment_question(request), decode_token(request.page_token, filters)
        after = None if key is None else PaymentPlace(_number(key, "create_ms"), _text(key, "after"))
        found = await self._lists.payments.page(wanted, after, size + 1)
        page, more = found[:size], ""
        if len(found) > size:
            more = encode_token({"create_ms": page[-1].payment.create_ms, "after": page[-1].key}, filters)
        return pb.ListPaymentsResponse(payments=[listed_payment_message(one) for one in page], next_page_token=more)

    async def ListPendingAdjustments(
        self, request: pb.ListPendingAdjustmentsRequest, context: Context
    ) -> pb.ListPendingAdjustmentsResponse:
        """Lists the days whose issued invoices wait to be looked at."""
        require_pending_question(request)
        size, filters = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM), _filters(request)
        key = decode_token(request.page_token, filters)
        after = None if key is None else Day(_text(key, "device_id"), _number(key, "start_ms"))
        found = await self._lists.adjustments_due.page(request.device_id, after, size + 1, failed_only=request.failed)
        page, more = found[:size], ""
        if len(found) > size:
            more = encode_token(page[-1].day._asdict(), filters)
        adjustments = [pending_adjustment_message(one) for one in page]
        return pb.ListPendingAdjustmentsResponse(adjustments=adjustments, next_page_token=more)

    async def GetRevenueAnalytics(
        self, request: pb.GetRevenueAnalyticsRequest, context: Context
    ) -> pb.GetRevenueAnalyticsResponse:
        """Sums what was issued."""
        size, filters = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM), _filters(request)
        span, grouping = revenue_question(request, self._clock())
        key = decode_token(request.page_token, filters)
        after = None if key is None else RevenuePlace(_text(key, "currency_code"), _text(key, "group"))
        found = await self._lists.revenue.sums(span, grouping, after, size + 1)
        page, more = found[:size], ""
        if len(found) > size:
            more = encode_token(page[-1][0]._asdict(), filters)
        return pb.GetRevenueAnalyticsResponse(groups=[group_message(*one) for one in page], next_page_token=more)

    async def ExportInvoices(
        self, request: pb.ExportInvoicesRequest, context: Context
    ) -> AsyncIterator[pb.ExportInvoicesResponse]:
        """Writes invoices to a file."""
        wanted, written = export_question(request)
        async for chunk in export_chunks(self._lists.invoices, wanted, written, self._clock()):
            yield pb.ExportInvoicesResponse(chunk=chunk)


def _filters(request: _Paged) -> dict[str, Any]:
    """What a token is bound to: everything that is asked for but the page."""
    asked = deepcopy(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return {"asked": asked.SerializeToString(deterministic=True).hex()}


def _text(key: dict[str, Any], name: str) -> str:
    value = key.get(name)
    if not isinstance(value, str):
        raise PageTokenInvalid
    return value


def _number(key: dict[str, Any], name: str) -> int:
    value = key.get(name)
    if not isinstance(value, int):
        raise PageTokenInvalid
    return value

"""Explains a line of a bill down to the readings: the quarter-hours behind it, a page at a time."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from energy.billing.v1 import invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.billing.v1.usage_pb2 import RecordedReading

from billing.cold.reading_codec import to_recorded_reading
from billing.cold.span import Span, readings_of
from billing.invoices.account_invoice_codec import invoice_id_violations
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.bill_maker import BillMaker, Explanation
from billing.invoices.explanation import ExplainedInterval
from billing.invoices.invoice_codec import PreviewQuestion, preview_question
from billing.log.observation import SpanKey
from billing.log.schema import METER, Kind
from billing.tariffs.rated_line import kilowatt_hours
from billing.tariffs.tariff_codec import refuse, tariff_message
from billing.tariffs.tariff_reader import decimal_message
from billing.tariffs.tariff_store import TariffStore
from billing.tariffs.tariff_validation import id_violations
from common.errors import InvoiceNotFound, PageTokenInvalid
from common.instants import from_ms
from common.paging import decode_token, encode_token, page_size

_PAGE_DEFAULT = 96
_PAGE_MAXIMUM = 1000


class SpanReader(Protocol):
    """Reads what is on record of a device."""

    def spans(self, kind: Kind, device_id: str, start_ms: int, end_ms: int) -> AsyncIterator[tuple[SpanKey, Span]]:
        """The spans of a device in which a reading of [start_ms, end_ms), epoch milliseconds, may start, by time."""


class Explainer:
    """Answers where a line of a bill comes from."""

    def __init__(
        self, *, bills: BillMaker, invoices: AccountInvoiceStore, tariffs: TariffStore, readings: SpanReader
    ) -> None:
        self._bills = bills
        self._invoices = invoices
        self._tariffs = tariffs
        self._readings = readings

    async def kept_bill(self, invoice_id: str, device_id: str) -> invoice_pb2.Invoice:
        """The bill of a device in a kept invoice.

        Raises:
            InvoiceNotFound: there is no such invoice, or no bill of the device in it.
        """
        for kept in (await self._invoices.get(invoice_id)).bills:
            bill = invoice_pb2.Invoice.FromString(kept)
            if bill.device_id == device_id:
                return bill
        raise InvoiceNotFound(invoice_id, f"bill of {device_id!r}")

    async def bill(self, reference: pb.BillReference) -> invoice_pb2.Invoice:
        """The bill that is meant: kept, or made now.

        Raises:
            InvalidArgument: the reference breaks its rules. Beside it as `kept_bill` and `BillMaker.make`.
        """
        if not reference.invoice_id:
            return await self._bills.make(preview_question(reference))
        refuse([*id_violations("device_id", reference.device_id), *invoice_id_violations(reference.invoice_id)])
        return await self.kept_bill(reference.invoice_id, reference.device_id)

    async def explain(
        self, request: pb.ExplainInvoiceRequest, question: PreviewQuestion, kept: invoice_pb2.Invoice | None
    ) -> pb.ExplainInvoiceResponse:
        """A page of the explanation of a line; raises as `BillMaker.explain` does, and PageTokenInvalid."""
        filters = {
            "of": [request.device_id, request.invoice_id, request.line_index],
            "days": [question.start_date.isoformat(), question.end_date.isoformat(), question.as_of_ms],
        }
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        first = (decode_token(request.page_token, filters) or {"first": 0}).get("first")
        if not isinstance(first, int) or first < 0:
            raise PageTokenInvalid
        found = await self._bills.explain(question, request.line_index)
        page = found.intervals[first : first + size]
        line = found.bill.lines[request.line_index]
        more = encode_token({"first": first + size}, filters) if first + size < len(found.intervals) else ""
        response = pb.ExplainInvoiceResponse(
            line=line,
            tariff=tariff_message(*(await self._tariffs.get(found.tariff.tariff_id))),
            intervals=[message async for message in self._intervals(question.device_id, found, page)],
            next_page_token=more,
        )
        if kept is not None:
            is_there = request.line_index < len(kept.lines)
            response.equals_kept = is_there and kept.lines[request.line_index] == line
        return response

    async def _intervals(
        self, device_id: str, found: Explanation, page: Sequence[ExplainedInterval]
    ) -> AsyncIterator[pb.ExplainedInterval]:
        readings = await self._readings_of(device_id, found.as_of_ms, page)
        for interval, of_interval in zip(page, readings, strict=True):
            yield pb.ExplainedInterval(
                start_time=from_ms(interval.start_ms),
                end_time=from_ms(interval.end_ms),
                kwh=decimal_message(kilowatt_hours(interval.milliwatt_hours)),
                readings=of_interval,
                is_of_earlier_month=interval.is_of_earlier_month,
            )

    async def _readings_of(
        self, device_id: str, as_of_ms: int | None, page: Sequence[ExplainedInterval]
    ) -> list[list[RecordedReading]]:
        found: list[list[RecordedReading]] = [[] for _ in page]
        if not page:
            return found
        starts_ms = [interval.start_ms for interval in page]
        first_ms, end_ms = page[0].start_ms, max(interval.end_ms for interval in page)
        async for key, span in self._readings.spans(METER, device_id, first_ms, end_ms):
            known = span if as_of_ms is None else span.as_of(as_of_ms)
            for at_ms, observation, superseded in readings_of(key, known, first_ms, end_ms):
                place = bisect_right(starts_ms, at_ms) - 1
                if at_ms < page[place].end_ms:
                    found[place].append(to_recorded_reading(key, observation, superseded=superseded))
        return found

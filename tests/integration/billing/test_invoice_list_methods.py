"""Lists of invoices, of what is overdue and of payments over real gRPC: their filters and pages."""

from typing import Any

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, generate, issue, pay
from tests.integration.billing.pricing_mesh import assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms

MARCH = {"start_date": Date(year=2026, month=3, day=1), "end_date": Date(year=2026, month=4, day=1)}
JANUARY = {"start_date": Date(year=2026, month=1, day=31), "end_date": Date(year=2026, month=2, day=1)}
NOW = from_ms(utc_ms("2026-02-03T12:00"))
LATER = from_ms(utc_ms("2026-02-03T12:01"))
YEARLESS = Date(month=1, day=1)


async def test_lists_have_filters_and_pages(database: Database) -> None:
    """One invoice of January, issued on the 3rd of February, due on the 5th of March, and two payments of it."""
    async with pricing_mesh(database) as mesh:
        await assign(mesh, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
        mesh.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-03T12:00")
        await generate(mesh)
        await issue(mesh)
        await pay(mesh, 1, "p-1")
        mesh.clock.now_ms += 60_000
        await pay(mesh, 2, "p-2")

        async def listed(**wanted: Any) -> list[str]:
            return [
                one.invoice_id for one in (await mesh.invoices.ListInvoices(pb.ListInvoicesRequest(**wanted))).invoices
            ]

        async def overdue(**wanted: Any) -> list[str]:
            return [
                one.invoice_id for one in (await mesh.invoices.ListOverdue(pb.ListOverdueRequest(**wanted))).invoices
            ]

        async def payments(**wanted: Any) -> pb.ListPaymentsResponse:
            return await mesh.invoices.ListPayments(pb.ListPaymentsRequest(**wanted))

        assert await listed(device_id="meter-berlin", currency_code="EUR", **JANUARY) == [INVOICE_ID]
        assert await listed(device_id="meter-kolkata") == await listed(**MARCH) == await listed(overdue=True) == []
        mesh.clock.now_ms = utc_ms("2026-03-06T00:00")
        assert await listed(overdue=True) == await overdue(account_id="acc-1") == await overdue(**MARCH) == [INVOICE_ID]
        assert await overdue(account_id="acc-2") == await overdue(**JANUARY) == []

        first = await payments(page_size=1)
        second = await payments(page_size=1, page_token=first.next_page_token)
        assert [one.payment_id for page in (first, second) for one in page.payments] == ["p-1", "p-2"]
        assert (second.next_page_token, first.payments[0].amount) == ("", money(1))
        assert (first.payments[0].invoice_id, first.payments[0].account_id) == (INVOICE_ID, "acc-1")
        of_invoice = await payments(invoice_id=INVOICE_ID)
        assert of_invoice.payments == [*first.payments, *second.payments]
        assert [one.payment_id for one in (await payments(start_time=LATER)).payments] == ["p-2"]
        assert [one.payment_id for one in (await payments(account_id="acc-1", end_time=LATER)).payments] == ["p-1"]
        assert not (await payments(account_id="acc-2")).payments

        refusals: list[tuple[str, Message, list[str]]] = [
            (
                "ListInvoices",
                pb.ListInvoicesRequest(account_id="?", device_id="?", currency_code="euro", start_date=YEARLESS),
                ["account_id", "device_id", "currency_code", "start_date"],
            ),
            (
                "ListInvoices",
                pb.ListInvoicesRequest(start_date=MARCH["end_date"], end_date=MARCH["start_date"]),
                ["end_date"],
            ),
            ("ListOverdue", pb.ListOverdueRequest(account_id="?", end_date=YEARLESS), ["account_id", "end_date"]),
            (
                "ListPayments",
                pb.ListPaymentsRequest(invoice_id=INVOICE_ID, account_id="acc-1", start_time=NOW, end_time=LATER),
                ["account_id", "start_time", "end_time"],
            ),
            (
                "ListPayments",
                pb.ListPaymentsRequest(account_id="?", start_time=NOW, end_time=NOW),
                ["account_id", "end_time"],
            ),
            (
                "ListPayments",
                pb.ListPaymentsRequest(account_id="acc-1", page_token=first.next_page_token),
                ["page_token"],
            ),
        ]
        for method, request, fields in refusals:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await getattr(mesh.invoices, method)(request)
            assert error_of(refused.value)[3] == fields
        states = account_invoice_pb2.ACCOUNT_INVOICE_STATE_PARTIALLY_PAID
        assert await listed(state=states, account_id="acc-1") == [INVOICE_ID]

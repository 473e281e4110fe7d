"""What tests of kept invoices ask for: the invoice of January of the account with a meter in Berlin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.type.date_pb2 import Date

from common.mongo import Database
from tests.integration.billing.pricing_mesh import (
    PricingMesh,
    assign,
    at,
    flat_tariff,
    money,
    pricing_mesh,
)
from tests.integration.billing.test_invoice_service import steady, utc_ms

JANUARY = {"start_date": Date(year=2026, month=1, day=1), "end_date": Date(year=2026, month=2, day=1)}
INVOICE_ID = "acc-1@2026-01-01@2026-02-01"


@asynccontextmanager
async def january_mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services; the meter in Berlin used a steady 1 kW all January, and it is the 3rd of February."""
    async with pricing_mesh(database) as running:
        await assign(running, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
        running.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        running.clock.now_ms = utc_ms("2026-02-03T12:00")
        running.complete_through.latest_ms = utc_ms("2026-02-03T11:59")
        yield running


async def generate(mesh: PricingMesh, account_id: str = "") -> pb.GenerateInvoicesResponse:
    """The last report of making January's drafts, with the failures of all."""
    failures: list[pb.InvoiceFailure] = []
    last = pb.GenerateInvoicesResponse()
    async for report in mesh.invoices.GenerateInvoices(pb.GenerateInvoicesRequest(account_id=account_id, **JANUARY)):
        failures += report.failures
        last = report
    del last.failures[:]
    last.failures.extend(failures)
    return last


async def get(mesh: PricingMesh, invoice_id: str = INVOICE_ID) -> account_invoice_pb2.AccountInvoice:
    """An invoice."""
    return (await mesh.invoices.GetInvoice(pb.GetInvoiceRequest(invoice_id=invoice_id))).invoice


async def issue(mesh: PricingMesh, invoice_id: str = INVOICE_ID) -> account_invoice_pb2.AccountInvoice:
    """An invoice, issued."""
    return (await mesh.invoices.IssueInvoice(pb.IssueInvoiceRequest(invoice_id=invoice_id))).invoice


async def pay(mesh: PricingMesh, units: int, payment_id: str = "p-1") -> account_invoice_pb2.AccountInvoice:
    """The invoice with a payment."""
    payment = account_invoice_pb2.Payment(payment_id=payment_id, amount=money(units))
    return (await mesh.invoices.RecordPayment(pb.RecordPaymentRequest(invoice_id=INVOICE_ID, payment=payment))).invoice


async def credit(mesh: PricingMesh, units: int, credit_note_id: str = "c-1") -> account_invoice_pb2.AccountInvoice:
    """The invoice with a credit note."""
    note = account_invoice_pb2.CreditNote(credit_note_id=credit_note_id, amount=money(units), reason="wrong meter")
    request = pb.CreateCreditNoteRequest(invoice_id=INVOICE_ID, credit_note=note)
    return (await mesh.invoices.CreateCreditNote(request)).invoice

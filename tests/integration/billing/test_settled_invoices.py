"""Invoices that are kept, over real gRPC and on a real store: paid, taken back, disputed, overdue."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from billing.invoices.account_invoice import AccountInvoice, CreditNote
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.invoice_changes import with_credit_note
from common.instants import to_ms
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, credit, generate, get, issue, january_mesh, pay
from tests.integration.billing.pricing_mesh import (
    PricingMesh,
    error_of,
    money,
)
from tests.integration.billing.test_invoice_service import utc_ms


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services at the end of January."""
    async with january_mesh(database) as running:
        yield running


async def test_payments_make_it_paid_and_never_more(mesh: PricingMesh) -> None:
    """Of 87.79: twenty at once of 10.00 each, of which eight fit; then the rest, said twice."""
    await generate(mesh)
    await issue(mesh)

    outcomes = await asyncio.gather(*(pay(mesh, 10, f"p-{n}") for n in range(20)), return_exceptions=True)
    refused = [error_of(one) for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    rest = account_invoice_pb2.Payment(payment_id="rest", amount=money(7, 790_000_000), reference="bank")
    for _ in range(2):
        await mesh.invoices.RecordPayment(pb.RecordPaymentRequest(invoice_id=INVOICE_ID, payment=rest))
    payments = (await mesh.invoices.ListPayments(pb.ListPaymentsRequest(invoice_id=INVOICE_ID))).payments
    invoice = await get(mesh)

    assert {reason for _, reason, _, _ in refused} == {"AMOUNT_EXCEEDS_INVOICE"}
    assert (len(refused), len(payments)) == (12, 9)
    assert (invoice.state, invoice.balance) == (account_invoice_pb2.ACCOUNT_INVOICE_STATE_PAID, money(0))
    assert payments[-1].reference == "bank"


async def test_the_history_says_who_issued_paid_credited_and_discarded(mesh: PricingMesh) -> None:
    """With what they said and when; a call that names nobody is in it, too."""
    draft = pb.GenerateInvoicesRequest(
        account_id="acc-1", start_date=JANUARY["start_date"], end_date=Date(year=2026, month=1, day=2)
    )
    async for _ in mesh.invoices.GenerateInvoices(draft):
        pass
    discarding = pb.DiscardInvoiceRequest(invoice_id="acc-1@2026-01-01@2026-01-02", actor="cleo", reason="a trial")
    discarded = (await mesh.invoices.DiscardInvoice(discarding)).invoice
    await generate(mesh)
    issuing = pb.IssueInvoiceRequest(invoice_id=INVOICE_ID, actor="ann", note="by the month's run")
    await mesh.invoices.IssueInvoice(issuing)
    payment = account_invoice_pb2.Payment(payment_id="p-1", amount=money(1))
    await mesh.invoices.RecordPayment(pb.RecordPaymentRequest(invoice_id=INVOICE_ID, payment=payment, actor="bob"))
    await credit(mesh, 1)

    history = (await get(mesh)).history

    assert [(one.action, one.actor, one.note, one.entry_id) for one in history] == [
        (account_invoice_pb2.INVOICE_ACTION_ISSUED, "ann", "by the month's run", ""),
        (account_invoice_pb2.INVOICE_ACTION_PAID, "bob", "", "p-1"),
        (account_invoice_pb2.INVOICE_ACTION_CREDITED, "", "wrong meter", "c-1"),
    ]
    assert history[-1].state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_PARTIALLY_PAID
    assert {to_ms(one.create_time) for one in history} == {mesh.clock.now_ms}
    assert [(one.actor, one.note) for one in discarded.history] == [("cleo", "a trial")]


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("IssueInvoice", pb.IssueInvoiceRequest(actor="x" * 129, note="x" * 501), ["invoice_id", "actor", "note"]),
        (
            "DiscardInvoice",
            pb.DiscardInvoiceRequest(actor="x" * 129, reason="x" * 501),
            ["invoice_id", "actor", "reason"],
        ),
        (
            "RecordPayment",
            pb.RecordPaymentRequest(invoice_id=INVOICE_ID, actor="x" * 129, note="x" * 501),
            ["payment.amount", "payment.payment_id", "actor", "note"],
        ),
        (
            "CreateCreditNote",
            pb.CreateCreditNoteRequest(invoice_id=INVOICE_ID, actor="x" * 129, note="x" * 501),
            ["credit_note.amount", "credit_note.credit_note_id", "credit_note.reason", "actor", "note"],
        ),
    ],
)
async def test_who_and_what_they_say_are_bounded(
    mesh: PricingMesh, method: str, request_: Message, fields: list[str]
) -> None:
    """Each broken rule is told with its field."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(mesh.invoices, method)(request_)

    assert error_of(refused.value)[3] == fields


async def test_credit_notes_have_numbers_of_their_own_without_a_gap(mesh: PricingMesh) -> None:
    """Ten at once of 1.00; one that was left without its number gets it when it is asked for again."""
    await generate(mesh)
    await issue(mesh)

    await asyncio.gather(*(credit(mesh, 1, f"c-{n}") for n in range(10)))
    invoice = await get(mesh)

    assert sorted(note.number for note in invoice.credit_notes) == [f"CRN-{n:08}" for n in range(1, 11)]
    assert invoice.balance == money(77, 790_000_000)


async def test_a_credit_note_whose_maker_was_killed_is_numbered_by_the_next_try(
    mesh: PricingMesh, database: Database
) -> None:
    """After the note was kept, or after its number was."""
    await generate(mesh)
    await issue(mesh)
    store = AccountInvoiceStore(database)
    await credit(mesh, 1, "first")
    for name in ("kept", "numbered"):
        note = CreditNote(name, 100, "wrong meter", 5)

        async def with_it(before: AccountInvoice, note: CreditNote = note) -> AccountInvoice:
            return with_credit_note(before, note)

        await store.change(INVOICE_ID, with_it)
    await store.number_of_note(INVOICE_ID, "numbered")

    await credit(mesh, 1, "kept")
    invoice = await credit(mesh, 1, "numbered")

    assert {note.credit_note_id: note.number for note in invoice.credit_notes} == {
        "first": "CRN-00000001",
        "numbered": "CRN-00000002",
        "kept": "CRN-00000003",
    }


async def test_a_credit_note_whose_maker_was_killed_is_numbered_by_whoever_looks_at_the_invoice(
    mesh: PricingMesh, database: Database
) -> None:
    """Also when nobody ever asks for the note again; looking once more changes nothing."""
    await generate(mesh)
    await issue(mesh)

    async def with_it(before: AccountInvoice) -> AccountInvoice:
        return with_credit_note(before, CreditNote("kept", 100, "wrong meter", 5))

    await AccountInvoiceStore(database).change(INVOICE_ID, with_it)

    looked_at = await get(mesh)

    assert [note.number for note in looked_at.credit_notes] == ["CRN-00000001"]
    assert await get(mesh) == looked_at


async def test_a_full_credit_note_voids_what_nobody_paid(mesh: PricingMesh) -> None:
    """Within the remaining amount, and nothing after it."""
    await generate(mesh)
    await issue(mesh)
    whole = account_invoice_pb2.CreditNote(credit_note_id="all", amount=money(87, 790_000_000), reason="wrong account")

    request = pb.CreateCreditNoteRequest(invoice_id=INVOICE_ID, credit_note=whole)
    void = (await mesh.invoices.CreateCreditNote(request)).invoice
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await credit(mesh, 1, "more")

    assert void.state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_VOID
    assert error_of(refused.value)[1] == "AMOUNT_EXCEEDS_INVOICE"


async def test_what_is_overdue_is_listed_until_it_is_paid_or_disputed(mesh: PricingMesh) -> None:
    """Due on the 5th of March, which is over in Berlin an hour before it is by UTC."""
    await generate(mesh)
    await issue(mesh)

    async def overdue() -> list[str]:
        return [one.invoice_id for one in (await mesh.invoices.ListOverdue(pb.ListOverdueRequest())).invoices]

    mesh.clock.now_ms = utc_ms("2026-03-05T22:59")
    on_the_day = await overdue()
    mesh.clock.now_ms = utc_ms("2026-03-05T23:00")
    after_it = await overdue()
    dispute = account_invoice_pb2.Dispute(dispute_id="d-1", reason="too much", opened_by="ann")
    await mesh.invoices.OpenDispute(pb.OpenDisputeRequest(invoice_id=INVOICE_ID, dispute=dispute))
    disputed = await overdue()
    resolution = pb.ResolveDisputeRequest(
        invoice_id=INVOICE_ID,
        dispute_id="d-1",
        outcome=account_invoice_pb2.DISPUTE_OUTCOME_REJECTED,
        resolved_by="bob",
    )
    await mesh.invoices.ResolveDispute(resolution)

    assert (on_the_day, after_it, disputed, await overdue()) == ([], [INVOICE_ID], [], [INVOICE_ID])


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.RecordPaymentRequest(), ["invoice_id"]),
        (
            pb.RecordPaymentRequest(
                invoice_id=INVOICE_ID,
                payment=account_invoice_pb2.Payment(amount=money(0, 1), reference="x" * 201),
            ),
            ["payment.amount", "payment.payment_id", "payment.reference"],
        ),
        (
            pb.RecordPaymentRequest(
                invoice_id=INVOICE_ID,
                payment=account_invoice_pb2.Payment(payment_id="p", amount=money(1, currency_code="USD")),
            ),
            ["payment.amount.currency_code"],
        ),
    ],
)
async def test_a_broken_payment_is_refused_field_by_field(
    mesh: PricingMesh, request_: pb.RecordPaymentRequest, fields: list[str]
) -> None:
    """And nothing is recorded."""
    await generate(mesh)
    await issue(mesh)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.invoices.RecordPayment(request_)

    assert error_of(refused.value)[3] == fields
    assert not (await get(mesh)).payments


async def test_an_unknown_invoice_is_not_found(mesh: PricingMesh) -> None:
    """Whatever is wanted of it."""
    for call in (get(mesh, "nobody@x"), issue(mesh, "nobody@x"), pay(mesh, 1)):
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await call
        assert error_of(missing.value)[:2] == (grpc.StatusCode.NOT_FOUND, "INVOICE_NOT_FOUND")

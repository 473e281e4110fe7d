"""Invoices that are kept, over real gRPC and on a real store: made, issued, paid, taken back, disputed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import date

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2, invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.common.v1 import error_reason_pb2
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from billing.account_invoice import AccountInvoice, CreditNote
from billing.account_invoice_store import AccountInvoiceStore
from billing.invoice_changes import with_credit_note
from billing.rated_line import Quarter
from common import store_deadline
from common.errors import DependencyUnavailable
from common.instants import to_ms
from common.mongo import Database
from tests.integration.billing.pricing_mesh import (
    MadeUpReadings,
    PricingMesh,
    assign,
    at,
    error_of,
    flat_tariff,
    money,
    pricing_mesh,
)
from tests.integration.billing.test_invoice_service import steady, utc_ms

JANUARY = {"start_date": Date(year=2026, month=1, day=1), "end_date": Date(year=2026, month=2, day=1)}
INVOICE_ID = "acc-1@2026-01-01@2026-02-01"
DAY_MS = 86_400_000


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
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


async def test_the_drafts_of_a_period_are_made_and_what_cannot_be_made_is_told(mesh: PricingMesh) -> None:
    """744 kWh at 0.10 are 74.40 and 18 % tax; the meters in Kolkata and New York have no tariff and no readings."""
    report = await generate(mesh)
    invoice = await get(mesh)

    assert (report.account_count, report.done_count, report.draft_count, report.failed_count) == (3, 3, 1, 2)
    assert [(failure.account_id, failure.device_id) for failure in report.failures] == [
        ("acc-2", "meter-kolkata"),
        ("acc-3", "meter-new-york"),
    ]
    assert {failure.reason for failure in report.failures} == {error_reason_pb2.ERROR_REASON_NO_READINGS}
    assert (invoice.net, invoice.tax, invoice.total) == (
        money(74, 400_000_000),
        money(13, 390_000_000),
        money(87, 790_000_000),
    )
    assert invoice.balance == invoice.total
    assert invoice.state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_DRAFT
    assert [bill.device_id for bill in invoice.bills] == ["meter-berlin"]
    assert (invoice.number, invoice.HasField("issue_time"), invoice.overdue) == ("", False, False)


async def test_what_is_away_ends_the_run_and_is_no_failure_of_an_account(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told of a meter without a bill where only the log's progress is not known yet."""

    async def unknown(_: int) -> int:
        raise DependencyUnavailable("ingestion")

    monkeypatch.setattr(mesh.complete_through, "lowered", unknown)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await generate(mesh)

    assert error_of(refused.value)[:2] == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")


async def test_drafts_are_made_for_the_accounts_of_a_region_only(mesh: PricingMesh) -> None:
    """Those with a meter there; a region without one has none, and an account is asked for by itself."""
    request = pb.GenerateInvoicesRequest(region="Pune-East", **JANUARY)
    *_, there = [report async for report in mesh.invoices.GenerateInvoices(request)]
    request.region = "Nowhere"
    *_, nowhere = [report async for report in mesh.invoices.GenerateInvoices(request)]
    request.account_id = "acc-1"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in mesh.invoices.GenerateInvoices(request):
            pass

    assert (there.account_count, [failure.account_id for failure in there.failures]) == (1, ["acc-2"])
    assert (nowhere.account_count, nowhere.done_count) == (0, 0)
    assert error_of(refused.value)[1::2] == ("OUT_OF_RANGE", ["region"])


async def test_making_drafts_again_and_at_the_same_time_leaves_one_invoice_each(
    mesh: PricingMesh, database: Database
) -> None:
    """And what is issued is left alone."""
    await asyncio.gather(*(generate(mesh) for _ in range(5)))
    await issue(mesh)

    report = await generate(mesh)

    assert await database["invoices"].count_documents({}) == 1
    assert (report.draft_count, report.settled_count) == (0, 1)


class SlowReadings(MadeUpReadings):
    """Readings of which each question takes as long as it is told."""

    seconds = 0.0

    async def quarters(
        self, device_id: str, start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> Sequence[Quarter]:
        """Those of the span, late."""
        never = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), self.seconds)
        return await super().quarters(device_id, start_ms, end_ms, as_of_ms)


async def test_making_many_invoices_may_take_longer_than_any_question(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question is worth so much and no more; a run of many of them is not one."""
    slow = SlowReadings()
    slow.seconds = 0.3
    monkeypatch.setattr(store_deadline, "_LONGEST_SECONDS", 0.2)
    async with pricing_mesh(database, slow) as running:
        await assign(running, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
        slow.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        running.complete_through.latest_ms = running.clock.now_ms

        report = await generate(running)

    assert (report.done_count, report.draft_count) == (3, 1)


async def test_a_late_reading_changes_a_draft_at_once_and_an_issued_invoice_never(mesh: PricingMesh) -> None:
    """One quarter-hour more."""
    await generate(mesh)
    readings = mesh.readings.of_device["meter-berlin"]
    missing = readings.pop()
    draft = await get(mesh)
    issued = await issue(mesh)
    readings.append(missing)

    assert draft.net == issued.net == money(74, 380_000_000)
    assert await get(mesh) == issued


async def test_an_issued_invoice_can_be_derived_again_to_the_last_bit(mesh: PricingMesh) -> None:
    """As of the moment it says, whatever else is known by now."""
    await generate(mesh)
    (kept,) = (await issue(mesh)).bills
    mesh.complete_through.latest_ms = mesh.clock.now_ms = utc_ms("2026-06-01T00:00")

    request = pb.PreviewInvoiceRequest(device_id="meter-berlin", as_of=kept.as_of, **JANUARY)
    again = (await mesh.invoices.PreviewInvoice(request)).invoice

    assert again.SerializeToString(deterministic=True) == kept.SerializeToString(deterministic=True)


async def test_issuing_gives_the_next_number_and_a_due_date_and_again_the_same(mesh: PricingMesh) -> None:
    """Thirty days from the 3rd of February."""
    await generate(mesh)

    issued = await issue(mesh)
    again = await issue(mesh)

    assert issued == again
    assert (issued.number, issued.state) == ("INV-00000001", account_invoice_pb2.ACCOUNT_INVOICE_STATE_ISSUED)
    assert issued.due_date == Date(year=2026, month=3, day=5)
    assert to_ms(issued.issue_time) == mesh.clock.now_ms


async def test_an_invoice_is_due_so_many_local_days_after_it_was_issued(mesh: PricingMesh) -> None:
    """It is the 4th in Berlin already."""
    await generate(mesh)
    mesh.clock.now_ms = utc_ms("2026-02-03T23:30")

    issued = await issue(mesh)

    assert (issued.due_date, issued.time_zone) == (Date(year=2026, month=3, day=6), "Europe/Berlin")


async def test_twenty_issued_at_once_have_the_numbers_1_to_20(mesh: PricingMesh) -> None:
    """Without a gap, whoever comes first."""
    starts = [Date(year=2026, month=1, day=day) for day in range(1, 21)]
    for start in starts:
        request = pb.GenerateInvoicesRequest(
            account_id="acc-1", start_date=start, end_date=Date(year=2026, month=1, day=start.day + 1)
        )
        async for _ in mesh.invoices.GenerateInvoices(request):
            pass
    ids = [f"acc-1@2026-01-{start.day:02}@2026-01-{start.day + 1:02}" for start in starts]

    issued = await asyncio.gather(*(issue(mesh, invoice_id) for invoice_id in ids for _ in range(2)))

    assert sorted({invoice.number for invoice in issued}) == [f"INV-{number:08}" for number in range(1, 21)]


async def test_what_is_not_known_to_be_complete_or_is_to_be_held_is_not_issued(mesh: PricingMesh) -> None:
    """A held one is with a reason, which stays on it."""
    await generate(mesh)
    mesh.complete_through.latest_ms = utc_ms("2026-01-31T22:00")
    with pytest.raises(grpc.aio.AioRpcError) as incomplete:
        await issue(mesh)
    mesh.complete_through.latest_ms = utc_ms("2026-02-03T11:59")
    readings = mesh.readings.of_device["meter-berlin"]
    readings[:] = [*(one._replace(estimated_reading_count=1) for one in readings[:400]), *readings[400:]]
    with pytest.raises(grpc.aio.AioRpcError) as held:
        await issue(mesh)

    request = pb.IssueInvoiceRequest(invoice_id=INVOICE_ID, held_issue_reason="read by hand")
    issued = (await mesh.invoices.IssueInvoice(request)).invoice

    assert error_of(incomplete.value)[1] == "INVOICE_INCOMPLETE"
    assert error_of(held.value)[1] == "INVOICE_HELD"
    assert issued.held_issue_reason == "read by hand"
    assert [hold.reason for hold in issued.bills[0].holds][-1:] == [invoice_pb2.INVOICE_HOLD_REASON_ESTIMATED_SHARE]


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
    await generate(mesh)
    issuing = pb.IssueInvoiceRequest(invoice_id=INVOICE_ID, actor="ann", note="by the month's run")
    await mesh.invoices.IssueInvoice(issuing)
    payment = account_invoice_pb2.Payment(payment_id="p-1", amount=money(1))
    await mesh.invoices.RecordPayment(pb.RecordPaymentRequest(invoice_id=INVOICE_ID, payment=payment, actor="bob"))
    await credit(mesh, 1)

    history = (await get(mesh)).history
    draft = pb.GenerateInvoicesRequest(
        account_id="acc-1", start_date=JANUARY["start_date"], end_date=Date(year=2026, month=1, day=2)
    )
    async for _ in mesh.invoices.GenerateInvoices(draft):
        pass
    discarding = pb.DiscardInvoiceRequest(invoice_id="acc-1@2026-01-01@2026-01-02", actor="cleo", reason="a trial")
    discarded = (await mesh.invoices.DiscardInvoice(discarding)).invoice

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


async def test_invoices_are_listed_by_account_and_state_in_pages(mesh: PricingMesh) -> None:
    """Without their bills; a discarded draft is not made again."""
    for start in range(1, 6):
        request = pb.GenerateInvoicesRequest(
            account_id="acc-1",
            start_date=Date(year=2026, month=1, day=start),
            end_date=Date(year=2026, month=1, day=start + 1),
        )
        async for _ in mesh.invoices.GenerateInvoices(request):
            pass
    await mesh.invoices.DiscardInvoice(pb.DiscardInvoiceRequest(invoice_id="acc-1@2026-01-02@2026-01-03"))

    found, token = list[account_invoice_pb2.AccountInvoice](), ""
    draft = account_invoice_pb2.ACCOUNT_INVOICE_STATE_DRAFT
    while True:
        page = await mesh.invoices.ListInvoices(
            pb.ListInvoicesRequest(account_id="acc-1", state=draft, page_size=2, page_token=token)
        )
        found += page.invoices
        token = page.next_page_token
        if not token:
            break

    assert [date(one.start_date.year, one.start_date.month, one.start_date.day).day for one in found] == [1, 3, 4, 5]
    assert all(not one.bills and one.total.units == 2 for one in found)
    assert not (await mesh.invoices.ListInvoices(pb.ListInvoicesRequest(account_id="acc-2"))).invoices


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

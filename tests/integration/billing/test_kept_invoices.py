"""Invoices that are kept, over real gRPC and on a real store: made, derived again, issued, listed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import date

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2, invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.common.v1 import error_reason_pb2
from google.type.date_pb2 import Date

from billing.tariffs.rated_line import Quarter
from common import store_deadline
from common.errors import DependencyUnavailable
from common.instants import to_ms
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, generate, get, issue, january_mesh
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


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services at the end of January."""
    async with january_mesh(database) as running:
        yield running


async def test_the_drafts_of_a_period_are_made_and_what_cannot_be_made_is_told(mesh: PricingMesh) -> None:
    """744 kWh at 0.10 are 74.40 and 18 % tax; in Kolkata readings are missing, in New York a tariff, too."""
    await assign(mesh, "meter-kolkata", flat_tariff("flat-2", money(1)), at("2025-01-01"))

    report = await generate(mesh)
    invoice = await get(mesh)

    assert (report.account_count, report.done_count, report.draft_count, report.failed_count) == (3, 3, 1, 2)
    assert [(failure.account_id, failure.device_id) for failure in report.failures] == [
        ("acc-2", "meter-kolkata"),
        ("acc-3", ""),
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

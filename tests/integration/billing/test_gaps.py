"""A bill tells how much of its time has no readings, wherever it is shown, and is held when that is too much."""

import csv
import io

import grpc
import pytest
from energy.billing.v1 import invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.type.date_pb2 import Date

from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.log.segment import Segment
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, generate, get, january_mesh
from tests.integration.billing.pricing_mesh import assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.store import PARTITION, instant_ms, store_on

DEVICE = "meter-kolkata"
NOON_MS = instant_ms("2026-03-02T12:00:00")
MINUTE_MS = 60_000


async def test_two_minutes_of_a_month_are_told_and_not_issued_without_a_reason(database: Database) -> None:
    """From readings at rest to what is exported and printed: 2 of 44 640 minutes, in one quarter-hour."""
    energies = (1_000_000, *(None,) * (len(METER.columns) - 1))
    readings = [
        LoggedReading("meter", DEVICE, start_ms, MINUTE_MS, 0, start_ms, energies)
        for start_ms in (NOON_MS, NOON_MS + 5 * MINUTE_MS)
    ]
    store = await store_on(database)
    await store.take([Segment.of("b-1", PARTITION, "w", 1, 0, NOON_MS, readings)])
    await store.fold_everything()
    async with pricing_mesh(database, store.usage) as mesh:
        mesh.clock.now_ms = mesh.complete_through.latest_ms = instant_ms("2026-04-02T12:00:00")
        await assign(mesh, DEVICE, flat_tariff("flat", money(0, 500_000_000)), at("2026-01-01"))
        days = {"start_date": Date(year=2026, month=3, day=1), "end_date": Date(year=2026, month=4, day=1)}
        async for _ in mesh.invoices.GenerateInvoices(pb.GenerateInvoicesRequest(account_id="acc-2", **days)):
            pass
        invoice_id = "acc-2@2026-03-01@2026-04-01"

        draft = await get(mesh, invoice_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.invoices.IssueInvoice(pb.IssueInvoiceRequest(invoice_id=invoice_id))
        issuing = pb.IssueInvoiceRequest(invoice_id=invoice_id, held_issue_reason="the meter was off")
        await mesh.invoices.IssueInvoice(issuing)
        exported = [
            b"".join(
                [one.chunk async for one in mesh.invoices.ExportInvoices(pb.ExportInvoicesRequest(format=written))]
            )
            for written in (pb.INVOICE_EXPORT_FORMAT_CSV, pb.INVOICE_EXPORT_FORMAT_CSV_LINES)
        ]
        html = pb.RenderInvoiceRequest(invoice_id=invoice_id, format=pb.INVOICE_RENDER_FORMAT_HTML)
        page = b"".join([one.chunk async for one in mesh.invoices.RenderInvoice(html)]).decode()

    (bill,), (hold,) = draft.bills, draft.bills[0].holds
    assert (bill.covered_duration.seconds, bill.missing_duration.seconds) == (120, 44_638 * 60)
    assert (hold.reason, hold.missing_percent.value) == (invoice_pb2.INVOICE_HOLD_REASON_MISSING_READINGS, "100")
    assert error_of(refused.value)[1] == "INVOICE_HELD"
    for rows in (csv.DictReader(io.StringIO(file.decode(), newline="")) for file in exported):
        (row,) = rows
        assert (row["covered_seconds"], row["missing_seconds"]) == ("120.000", "2678280.000")
    assert "No readings tell of 743 h 58 min of 744 h; nothing of that time is billed." in page


async def test_a_month_without_a_gap_says_so_and_time_to_come_is_not_missed(database: Database) -> None:
    """On the 16th the second half of January is not covered yet, and nothing speaks against what is there."""
    async with january_mesh(database) as mesh:
        await generate(mesh)
        whole = (await get(mesh)).bills[0]
        mesh.clock.now_ms = mesh.complete_through.latest_ms = instant_ms("2026-01-15T23:00:00")
        del mesh.readings.of_device["meter-berlin"][15 * 96 :]
        half = (await get(mesh, INVOICE_ID)).bills[0]

    assert (whole.covered_duration.seconds, whole.missing_duration.seconds) == (744 * 3600, 0)
    assert (half.covered_duration.seconds, half.missing_duration.seconds) == (360 * 3600, 384 * 3600)
    assert list(whole.holds) == list(half.holds) == []

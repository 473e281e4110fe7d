"""Invoices written to a file over real gRPC: as rows, as rows of lines, and as JSON."""

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.protobuf.json_format import ParseDict
from google.type.date_pb2 import Date

from billing.invoices import invoice_export
from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, generate, get, issue
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms

EVIL = '=HYPERLINK("http://evil","x")'


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services; the meter in Berlin used a steady 1 kW all January, and it is the 3rd of February."""
    async with pricing_mesh(database) as running:
        await assign(running, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
        running.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        running.clock.now_ms = utc_ms("2026-02-03T12:00")
        running.complete_through.latest_ms = utc_ms("2026-02-03T11:59")
        yield running


def made_up(account_id: str, start: date, stage: Stage = Stage.DRAFT, sequence: int = 0) -> AccountInvoice:
    """An invoice of a day without a bill, which is owed to the account."""
    end = start + timedelta(days=1)
    draft = AccountInvoice(account_id, start, end, stage, "EUR", (), -100, -19, -119, True, 0, 0)
    return replace(draft, sequence=sequence)


async def chunks(mesh: PricingMesh, written: str, **filters: object) -> list[bytes]:
    """The pieces of an export."""
    request = pb.ExportInvoicesRequest(
        format=pb.InvoiceExportFormat.Value(f"INVOICE_EXPORT_FORMAT_{written}"),
        **filters,  # type: ignore[arg-type]
    )
    return [response.chunk async for response in mesh.invoices.ExportInvoices(request)]


def rows(pieces: list[bytes]) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its header."""
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline="")))


async def test_every_invoice_is_a_row_and_a_spreadsheet_runs_none_of_it(mesh: PricingMesh, database: Database) -> None:
    """An account may have any name; amounts below 0 stay numbers."""
    await generate(mesh, "acc-1")
    await issue(mesh)
    await AccountInvoiceStore(database).insert(made_up(EVIL, date(2026, 1, 2)))

    first, second = rows(await chunks(mesh, "CSV"))

    assert (first["invoice_id"], first["number"], first["state"]) == (INVOICE_ID, "INV-00000001", "issued")
    assert (first["net"], first["tax"], first["total"], first["balance"]) == ("74.40", "13.39", "87.79", "87.79")
    assert (first["issue_time"], first["due_date"]) == ("2026-02-03T12:00:00.000Z", "2026-03-05")
    assert (first["overdue"], first["held"], first["disputed"]) == ("false", "false", "false")
    assert second["account_id"] == f"'{EVIL}"
    assert second["invoice_id"].startswith("'=HYPERLINK")
    assert (second["number"], second["issue_time"], second["total"], second["held"]) == ("", "", "-1.19", "true")


async def test_every_line_is_a_row(mesh: PricingMesh) -> None:
    """Quantity, price and amount as the bill has them."""
    await generate(mesh, "acc-1")

    (row,) = rows(await chunks(mesh, "CSV_LINES"))

    assert (row["account_id"], row["device_id"], row["kind"]) == ("acc-1", "meter-berlin", "energy")
    assert (row["quantity"], row["unit"], row["unit_price"], row["amount"]) == ("744", "kWh", "0.1", "74.40")
    assert (row["tariff_id"], row["tax_percent"], row["currency_code"]) == ("flat", "18", "EUR")


async def test_the_rows_of_an_adjustment_add_up_to_what_it_bills(mesh: PricingMesh) -> None:
    """Its lines are those of the whole period, 75.38 of 753.75 kWh; 74.40 were billed before."""
    await generate(mesh, "acc-1")
    await issue(mesh)
    readings = mesh.readings.of_device["meter-berlin"]
    readings[5] = readings[5]._replace(import_milliwatt_hours=10_000_000)
    await generate(mesh, "acc-1")
    await issue(mesh, f"{INVOICE_ID}+1")

    *lines, before = [row for row in rows(await chunks(mesh, "CSV_LINES")) if row["adjusted_invoice_id"]]
    (adjustment,) = [row for row in rows(await chunks(mesh, "CSV")) if row["adjusted_invoice_id"]]

    assert [(row["kind"], row["amount"]) for row in lines] == [("energy", "75.38")]
    assert (before["kind"], before["amount"], before["quantity"]) == ("billed_before", "-74.40", "")
    assert (adjustment["net"], before["currency_code"]) == ("0.98", "EUR")


async def test_json_has_the_whole_invoices(mesh: PricingMesh) -> None:
    """What GetInvoice answers."""
    await generate(mesh, "acc-1")
    await issue(mesh)

    (found,) = json.loads(b"".join(await chunks(mesh, "JSON")))

    assert ParseDict(found, account_invoice_pb2.AccountInvoice()) == await get(mesh)


async def test_an_export_of_nothing_is_a_file_all_the_same(mesh: PricingMesh) -> None:
    """A header, an empty array."""
    header = b"".join(await chunks(mesh, "CSV")).decode()

    assert header.startswith("invoice_id,adjusted_invoice_id,number,state,")
    assert header.count("\r\n") == 1
    assert json.loads(b"".join(await chunks(mesh, "JSON"))) == []


async def test_a_long_export_is_filtered_and_paged_as_a_recomputation_in_python(
    mesh: PricingMesh, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By account, state and start of the period, alone and together; each invoice once, by period and id."""
    monkeypatch.setattr(invoice_export, "_PAGE_SIZE", 2)
    monkeypatch.setattr(invoice_export, "CHUNK_BYTES", 100)
    store = AccountInvoiceStore(database)
    await store.prepare()
    days = [date(2026, 1, day) for day in (1, 2, 3)]
    kept = [
        made_up(f"acc-{account}", day, stage, 10 * account + day.day if stage is Stage.ISSUED else 0)
        for account, stage in ((1, Stage.DRAFT), (2, Stage.ISSUED), (3, Stage.DISCARDED))
        for day in days
    ]
    for one in kept:
        assert await store.insert(one)
    second, third = (Date(year=2026, month=1, day=day) for day in (2, 3))
    issued = account_invoice_pb2.ACCOUNT_INVOICE_STATE_ISSUED

    asked: list[tuple[dict[str, object], list[AccountInvoice]]] = [
        ({}, kept),
        ({"account_id": "acc-1"}, kept[:3]),
        ({"state": issued}, kept[3:6]),
        ({"start_date": second}, [one for one in kept if one.start_date >= days[1]]),
        ({"end_date": second}, [one for one in kept if one.start_date < days[1]]),
        ({"start_date": second, "end_date": third, "account_id": "acc-3"}, [kept[7]]),
        ({"state": issued, "account_id": "acc-1"}, []),
    ]
    for filters, wanted in asked:
        pieces = await chunks(mesh, "CSV", **filters)
        expected = sorted((one.start_date.isoformat(), one.invoice_id) for one in wanted)
        assert [(row["start_date"], row["invoice_id"]) for row in rows(pieces)] == expected, filters
        assert len(pieces) >= len(wanted)


async def test_an_export_names_every_field_at_fault(mesh: PricingMesh) -> None:
    """No format is chosen for the caller, and no day is made up."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await chunks(mesh, "UNSPECIFIED", start_date=Date(year=2026, month=13, day=1))

    assert error_of(refused.value)[1::2] == ("FIELD_REQUIRED", ["format", "start_date"])


async def rendered(mesh: PricingMesh, wanted: str) -> tuple[bytes, str, str]:
    """A printed invoice: the file, its media type and name."""
    request = pb.RenderInvoiceRequest(
        invoice_id=INVOICE_ID, format=pb.InvoiceRenderFormat.Value(f"INVOICE_RENDER_FORMAT_{wanted}")
    )
    pieces = [piece async for piece in mesh.invoices.RenderInvoice(request)]
    assert not any(piece.media_type or piece.file_name for piece in pieces[1:])
    return b"".join(piece.chunk for piece in pieces), pieces[0].media_type, pieces[0].file_name


async def test_an_invoice_is_printed_with_the_usage_of_its_days(mesh: PricingMesh) -> None:
    """24 kWh on each of 31 days; printed again it is the same, and with a payment another one."""
    await generate(mesh, "acc-1")
    await issue(mesh)

    page, media_type, file_name = await rendered(mesh, "HTML")
    pdf, pdf_type, _ = await rendered(mesh, "PDF")

    assert (media_type, file_name) == ("text/html; charset=utf-8", f"{INVOICE_ID}.html")
    assert pdf_type == "application/pdf"
    assert page.decode().count('<rect class="import"') == 31
    assert "744 kWh taken from the grid" in page.decode()
    assert (page, pdf) == ((await rendered(mesh, "HTML"))[0], (await rendered(mesh, "PDF"))[0])
    payment = account_invoice_pb2.Payment(payment_id="p-1", amount=money(1))
    await mesh.invoices.RecordPayment(pb.RecordPaymentRequest(invoice_id=INVOICE_ID, payment=payment))
    assert "Partially paid" in (await rendered(mesh, "HTML"))[0].decode()


async def test_what_cannot_be_printed_says_why(mesh: PricingMesh) -> None:
    """No such invoice, and no such format."""
    unknown = pb.RenderInvoiceRequest(invoice_id=INVOICE_ID, format=pb.INVOICE_RENDER_FORMAT_PDF)
    formless = pb.RenderInvoiceRequest(invoice_id=INVOICE_ID)

    for request, reason, fields in ((unknown, "INVOICE_NOT_FOUND", []), (formless, "FIELD_REQUIRED", ["format"])):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [piece async for piece in mesh.invoices.RenderInvoice(request)]
        assert error_of(refused.value)[1] == reason
        assert error_of(refused.value)[3] == fields

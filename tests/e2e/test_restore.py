"""The store is lost and put back from a backup, through real processes: bills are as before, nothing counts twice."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from energy.billing.v1.account_invoice_pb2 import AccountInvoice
from energy.billing.v1.invoice_pb2 import Invoice
from energy.billing.v1.invoice_service_pb2 import (
    GenerateInvoicesRequest,
    GenerateInvoicesResponse,
    GetInvoiceRequest,
    IssueInvoiceRequest,
    ListInvoicesRequest,
    PreviewInvoiceRequest,
)
from energy.billing.v1.tariff_pb2 import FlatPricing, Tariff, TariffAssignment
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from common.energy import milliwatt_hours
from common.instants import from_ms
from common.localstack.mesh import Mesh, running_mesh
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings, Ports
from common.mongo import Database, close, open_database
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually
from tests.e2e.store_dump import dump_store, restore_store

METERS = 12
INTERVAL_MS = 300_000
DAY_MS = 86_400_000
# Three local days of Asia/Kolkata: one that the backup has, one that was taken after it, one that was in flight.
START_MS = int(datetime(2026, 3, 9, 18, 30, tzinfo=UTC).timestamp() * 1000)
SAVED, LOST, IN_FLIGHT = ((START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS) for day in range(3))
SERVICES = ("gateway", "ingestion", "billing", "analytics")
TARIFF = Tariff(
    tariff_id="flat", currency_code="INR", flat=FlatPricing(price_per_kwh=Money(currency_code="INR", units=6))
)
FLEET = Fleet(
    FleetSpec(
        meters=METERS,
        vehicles=0,
        packs=0,
        interval_ms=INTERVAL_MS,
        seed=5,
        id_prefix="kept-",
        time_zone="Asia/Kolkata",
    )
)
IDS = [device.device_id for device in FLEET.devices()]
Span = tuple[int, int]


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    """A mesh of its own, for its store is lost."""
    settings = LocalSettings.for_run(os.environ, root=tmp_path, run_dir=tmp_path / "run", ports=Ports.free())
    async with running_mesh(settings, os.environ, services_to_run=mesh_services(settings.ports)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def store(mesh: Mesh) -> AsyncIterator[Database]:
    """The database of the mesh, from beside it."""
    found = open_database(mesh.mongo_url)
    yield found
    close(found)


def sent(*spans: Span) -> dict[str, int]:
    """What each meter imported in some days, each reading rounded once, in milliwatt-hours."""
    sums = dict.fromkeys(IDS, 0)
    for start_ms, end_ms in spans:
        for step in FLEET.readings(start_ms, end_ms):
            for reading in step:
                sums[reading.device_id] += milliwatt_hours(reading.meter.import_kwh)
    return sums


async def used(client: MeshClient, count: int) -> dict[str, int]:
    """What each meter imported in the three days, in milliwatt-hours, once so many readings are on record."""
    usage = await client.stored(IDS, SAVED[0], IN_FLIGHT[1], count)
    assert sum(each.reading_count for each in usage.values()) == count
    return {name: milliwatt_hours(each.import_kwh) for name, each in usage.items()}


async def bill(client: MeshClient, device_id: str, day: int) -> Invoice:
    """The bill of a meter of one of the days, without the instants that only say when it was asked for."""
    request = PreviewInvoiceRequest(
        device_id=device_id,
        start_date=Date(year=2026, month=3, day=day),
        end_date=Date(year=2026, month=3, day=day + 1),
    )
    found: Invoice = (await client.invoices.PreviewInvoice(request, timeout=CALL_SECONDS)).invoice
    found.ClearField("complete_through")
    return found


async def issued(client: MeshClient) -> list[AccountInvoice]:
    """The invoices of the mesh."""
    answer = await client.invoices.ListInvoices(ListInvoicesRequest(), timeout=CALL_SECONDS)
    return list(answer.invoices)


async def issue_one(client: MeshClient) -> None:
    """Prices the first meter and issues its account's invoice of the saved day."""
    await client.tariffs.CreateTariff(CreateTariffRequest(tariff=TARIFF), timeout=CALL_SECONDS)
    for device_id in IDS:
        assignment = TariffAssignment(device_id=device_id, tariff_id=TARIFF.tariff_id, start_time=from_ms(0))
        await client.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment), timeout=CALL_SECONDS)
    day = {"start_date": Date(year=2026, month=3, day=10), "end_date": Date(year=2026, month=3, day=11)}

    async def are_drafted() -> bool:
        # Billing hears of new accounts a few seconds after they are registered.
        calls = client.invoices.GenerateInvoices(GenerateInvoicesRequest(**day), timeout=CALL_SECONDS)
        reports: list[GenerateInvoicesResponse] = [report async for report in calls]
        return bool(reports) and reports[-1].draft_count == METERS

    await eventually(are_drafted)
    (draft, *_) = await issued(client)

    async def is_whole() -> bool:
        # A draft is as of what the log is complete through, which is a moment behind.
        request = GetInvoiceRequest(invoice_id=draft.invoice_id)
        found = await client.invoices.GetInvoice(request, timeout=CALL_SECONDS)
        return not any(bill.holds for bill in found.invoice.bills)

    await eventually(is_whole)
    await client.invoices.IssueInvoice(IssueInvoiceRequest(invoice_id=draft.invoice_id), timeout=CALL_SECONDS)


async def test_a_lost_store_is_restored_and_nothing_counts_twice(
    mesh: Mesh, client: MeshClient, store: Database, tmp_path: Path
) -> None:
    """Bills are those of the backup; what waited in the broker comes by itself; what was lost comes when sent again."""
    per_day = METERS * DAY_MS // INTERVAL_MS
    await client.register(FLEET)
    await client.stream(FLEET.readings(*SAVED))
    assert await used(client, per_day) == sent(SAVED)
    await issue_one(client)
    bills = [await bill(client, device_id, 10) for device_id in IDS]
    invoices = await issued(client)
    folder = tmp_path / "backup"
    folder.mkdir()
    counts = await dump_store(store, folder)

    await client.stream(FLEET.readings(*LOST))
    await used(client, 2 * per_day)
    await mesh.keepers["billing"].kill(stays_down=True)
    # Acked to the devices, for the queues have it; in no store.
    assert (await client.stream(FLEET.readings(*IN_FLIGHT))).distinct == per_day
    for name in SERVICES[:2] + SERVICES[3:]:
        # Not killed: the store may still do what a process that is gone has asked for last.
        await mesh.keepers[name].stop()
    await store.client.drop_database(store.name)
    assert await restore_store(folder, store) == counts
    for name in SERVICES:
        await mesh.keepers[name].restart()

    async with MeshClient.connected(mesh.environment) as again:
        assert await used(again, 2 * per_day) == sent(SAVED, IN_FLIGHT)
        assert [await bill(again, device_id, 10) for device_id in IDS] == bills
        assert await issued(again) == invoices
        for span in (LOST, SAVED, IN_FLIGHT):
            await again.stream(FLEET.readings(*span))
        assert await used(again, 3 * per_day) == sent(SAVED, LOST, IN_FLIGHT)
        assert [await bill(again, device_id, 10) for device_id in IDS] == bills
    assert counts["readings_log"] > 0
    assert len(invoices) > 0

"""A line of a bill is explained down to the readings, what they superseded and the tariff that priced them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import grpc
import pytest
from energy.billing.v1 import invoice_pb2, reading_quality_pb2, tariff_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.log.kind_columns import LoggedReading
from billing.log.observation import Value
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from common.energy import milliwatt_hours
from common.instants import to_ms
from common.money import to_decimal
from common.mongo import Database
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, error_of, money, pricing_mesh
from tests.integration.billing.readings import counting, meter_readings, segments
from tests.integration.billing.store import PARTITION, Store, store_on

DEVICE = "meter-berlin"
BERLIN = ZoneInfo("Europe/Berlin")
DAYS = {"start_date": Date(year=2026, month=3, day=2), "end_date": Date(year=2026, month=3, day=4)}
START_MS = int(datetime(2026, 3, 2, tzinfo=BERLIN).timestamp() * 1000)
MINUTES = 2 * 1440
INVOICE_ID = "acc-1@2026-03-02@2026-03-04"
RECORD_MS = START_MS + 3 * 86_400_000


@dataclass
class Explained:
    """A mesh over a store with two days of minutes, some of them corrected."""

    mesh: PricingMesh
    store: Store

    async def of(self, line_index: int, invoice_id: str = "", page_size: int = 50) -> list[pb.ExplainInvoiceResponse]:
        """The explanation of a line, page by page."""
        pages, token = list[pb.ExplainInvoiceResponse](), ""
        asked = {} if invoice_id else DAYS
        while not pages or token:
            request = pb.ExplainInvoiceRequest(
                device_id=DEVICE,
                invoice_id=invoice_id,
                line_index=line_index,
                page_size=page_size,
                page_token=token,
                **asked,
            )
            pages.append(await self.mesh.invoices.ExplainInvoice(request))
            token = pages[-1].next_page_token
        return pages

    async def bill(self) -> invoice_pb2.Invoice:
        """The bill of the two days."""
        return (await self.mesh.invoices.PreviewInvoice(pb.PreviewInvoiceRequest(device_id=DEVICE, **DAYS))).invoice


@pytest.fixture
async def explained(database: Database) -> AsyncIterator[Explained]:
    """By a tariff with a peak, tiers, demand and a monthly charge."""
    store = await store_on(database)
    readings = meter_readings(3, DEVICE, START_MS, MINUTES)
    await store.take([replace(one, record_ms=RECORD_MS) for one in segments(readings, 500, PARTITION)])
    await store.fold_everything()
    window = tariff_pb2.TimeOfUseWindow(start_minute=17 * 60, end_minute=21 * 60)
    period = tariff_pb2.TimeOfUsePeriod(name="peak", price_per_kwh=money(0, 400_000_000), windows=[window])
    tariff = tariff_pb2.Tariff(
        tariff_id="business",
        currency_code="EUR",
        time_of_use=tariff_pb2.TimeOfUsePricing(
            periods=[period], default_name="rest", default_price_per_kwh=money(0, 200_000_000)
        ),
        monthly_charge=money(31),
    )
    tariff.time_of_use.default_steps.add(
        above_kwh=DecimalMessage(value="10000000"), price_per_kwh=money(0, 300_000_000)
    )
    tariff.demand_charges.add(name="any time", price_per_kw=money(0, 10_000_000))
    async with pricing_mesh(database, store.usage) as mesh:
        await assign(mesh, DEVICE, tariff, at("2026-01-01"))
        mesh.clock.now_ms = mesh.complete_through.latest_ms = RECORD_MS + 1
        yield Explained(mesh, store)


def kwh_of(pages: Sequence[pb.ExplainInvoiceResponse]) -> Decimal:
    """The energy of all intervals."""
    return sum((Decimal(one.kwh.value) for page in pages for one in page.intervals), Decimal(0))


async def test_the_intervals_of_an_energy_line_add_up_to_its_quantity(explained: Explained) -> None:
    """Of each price and tier, page by page, by time, and each once."""
    bill = await explained.bill()
    energy = [line for line in bill.lines if line.kind == invoice_pb2.INVOICE_LINE_KIND_ENERGY]

    assert [(line.price_name, line.tier) for line in energy] == [("rest", 1), ("rest", 2), ("peak", 0)]
    for index, line in enumerate(energy):
        pages = await explained.of(index)
        starts = [one.start_time.ToMilliseconds() for page in pages for one in page.intervals]
        assert pages[0].line == line
        assert kwh_of(pages) == Decimal(line.quantity.value)
        assert starts == sorted(set(starts))
        assert len(pages) == -(-len(starts) // 50)
        assert {page.tariff.tariff_id for page in pages} == {"business"}


async def test_each_interval_has_its_readings_and_what_they_superseded(explained: Explained) -> None:
    """The readings that count add up to the interval; corrected ones stand beside what they replaced."""
    pages = await explained.of(2)

    given = {one.start_ms: one for one in counting(meter_readings(3, DEVICE, START_MS, MINUTES))}
    superseded = 0
    for interval in (one for page in pages for one in page.intervals):
        readings = [one for one in interval.readings if not one.superseded]
        superseded += len(interval.readings) - len(readings)
        energies = [milliwatt_hours(one.reading.meter.import_kwh) for one in readings]
        assert sum(energies) == int(Decimal(interval.kwh.value) * 1_000_000)
        for one in readings:
            known = given[to_ms(one.reading.start_time)]
            assert one.reading.revision == known.revision
            assert (
                interval.start_time.ToMilliseconds() <= known.start_ms < interval.start_time.ToMilliseconds() + 900_000
            )
    hours = {one.start_time.ToDatetime(tzinfo=UTC).astimezone(BERLIN).hour for page in pages for one in page.intervals}
    assert superseded > 0
    assert hours == {17, 18, 19, 20}


async def test_edits_and_what_follows_from_registers_are_among_the_readings_of_an_interval(
    explained: Explained,
) -> None:
    """Both count, stand above what the device sent, and are told apart; the line counts the edits."""
    peak_ms = START_MS + 17 * 3_600_000
    values: list[Value] = [None] * len(METER.columns)
    values[METER.position("import_milliwatt_hours")] = 5_000_000
    computed = [
        LoggedReading(METER.name, DEVICE, peak_ms + minute * 60_000, 60_000, 9, RECORD_MS, tuple(values), quality)
        for minute, quality in (
            (1, ReadingQuality.EDITED),
            (2, ReadingQuality.REGISTER_DIFFERENCE),
            (3, ReadingQuality.SENT_SUBSTITUTED),
            (4, ReadingQuality.SENT_ESTIMATED),
        )
    ]
    before = await explained.bill()
    await explained.store.take([replace(one, record_ms=RECORD_MS) for one in segments(computed, 10, PARTITION, "own")])

    bill, pages = await explained.bill(), await explained.of(2)

    counting_ones = [one for one in pages[0].intervals[0].readings if not one.superseded]
    assert [one.quality for one in counting_ones[1:5]] == [
        reading_quality_pb2.READING_QUALITY_EDITED,
        reading_quality_pb2.READING_QUALITY_REGISTER_DIFFERENCE,
        reading_quality_pb2.READING_QUALITY_SENT_SUBSTITUTED,
        reading_quality_pb2.READING_QUALITY_SENT_ESTIMATED,
    ]
    assert sum(milliwatt_hours(one.reading.meter.import_kwh) for one in counting_ones) == int(
        Decimal(pages[0].intervals[0].kwh.value) * 1_000_000
    )
    assert [line.edited_reading_count for line in bill.lines] == [0, 0, 1, 0, 0]
    assert [line.substituted_reading_count for line in bill.lines] == [0, 0, 1, 0, 0]
    assert [line.estimated_reading_count for line in bill.lines] == [0, 0, 1, 0, 0]
    assert (bill.estimated_reading_count, bill.substituted_reading_count) == (1, 1)
    assert (before.edited_reading_count, bill.edited_reading_count) == (0, 1)
    assert before.readings_digest != bill.readings_digest == (await explained.bill()).readings_digest


async def test_a_demand_line_is_explained_by_the_window_of_the_peak_and_a_fixed_charge_by_none(
    explained: Explained,
) -> None:
    """Fifteen minutes; the quantity is four times their energy."""
    bill = await explained.bill()
    kinds = [line.kind for line in bill.lines]
    demand = kinds.index(invoice_pb2.INVOICE_LINE_KIND_DEMAND)

    ((interval,),) = [page.intervals for page in await explained.of(demand)]
    (fixed,) = await explained.of(kinds.index(invoice_pb2.INVOICE_LINE_KIND_MONTHLY_CHARGE))

    assert interval.start_time == bill.lines[demand].peak_time
    assert Decimal(interval.kwh.value) * 4 == Decimal(bill.lines[demand].quantity.value)
    assert list(fixed.intervals) == []


async def test_a_line_of_an_issued_invoice_is_explained_as_of_its_issue(explained: Explained) -> None:
    """A later correction is not among its readings, and the line made again is the kept one to the last bit."""
    mesh = explained.mesh
    async for _ in mesh.invoices.GenerateInvoices(pb.GenerateInvoicesRequest(account_id="acc-1", **DAYS)):
        pass
    await mesh.invoices.IssueInvoice(pb.IssueInvoiceRequest(invoice_id=INVOICE_ID))
    late = [one._replace(revision=9) for one in meter_readings(4, DEVICE, START_MS, 60, 0.0)]
    await explained.store.take(
        [replace(one, record_ms=RECORD_MS + 10) for one in segments(late, 500, PARTITION, "late")]
    )
    await explained.store.fold_everything()
    mesh.complete_through.latest_ms = RECORD_MS + 20

    kept = await explained.of(0, INVOICE_ID)
    now = await explained.of(0)

    def revisions(pages: Sequence[pb.ExplainInvoiceResponse]) -> set[int]:
        return {one.reading.revision for page in pages for part in page.intervals for one in part.readings}

    assert all(page.equals_kept for page in kept)
    assert 9 not in revisions(kept)
    assert 9 in revisions(now)
    assert not now[0].HasField("equals_kept")


@pytest.mark.parametrize("line_index", [-1, 5])
async def test_a_line_that_the_bill_does_not_have_is_refused(explained: Explained, line_index: int) -> None:
    """Lines count from 0."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await explained.of(line_index)

    assert error_of(refused.value)[3] == ["line_index"]


async def test_an_unknown_invoice_or_device_of_it_is_not_found(explained: Explained) -> None:
    """Whichever is wrong."""
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await explained.of(0, "nobody@x")

    assert error_of(missing.value)[1] == "INVOICE_NOT_FOUND"


async def test_two_bills_are_compared_kept_or_made_now(explained: Explained) -> None:
    """The issued invoice beside the bill of now, after a correction: the difference is that of their totals."""
    mesh = explained.mesh
    async for _ in mesh.invoices.GenerateInvoices(pb.GenerateInvoicesRequest(account_id="acc-1", **DAYS)):
        pass
    issued = (await mesh.invoices.IssueInvoice(pb.IssueInvoiceRequest(invoice_id=INVOICE_ID))).invoice
    late = [one._replace(revision=9) for one in meter_readings(4, DEVICE, START_MS, 60, 0.0)]
    (segment,) = segments(late, 500, PARTITION, "late")
    await explained.store.take([replace(segment, record_ms=RECORD_MS + 10)])
    mesh.complete_through.latest_ms = RECORD_MS + 20
    now = await explained.bill()

    request = pb.CompareInvoicesRequest(
        before=pb.BillReference(device_id=DEVICE, invoice_id=INVOICE_ID),
        after=pb.BillReference(device_id=DEVICE, **DAYS),
    )
    found = await mesh.invoices.CompareInvoices(request)

    difference = to_decimal(now.total) - to_decimal(issued.bills[0].total)
    assert difference != 0
    assert to_decimal(found.total_difference) == difference
    by_line = sum((to_decimal(line.difference) for line in found.lines), Decimal(0))
    assert by_line + to_decimal(found.tax_difference) == difference
    assert {line.description for line in found.lines} == {line.description for line in now.lines}

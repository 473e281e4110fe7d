"""A bill says what it knows of, and can be asked for as it was known at an instant."""

from datetime import datetime

from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from google.type.date_pb2 import Date

from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.log.segment import Segment
from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.pricing_mesh import assign, at, flat_tariff, money, pricing_mesh
from tests.integration.billing.store import PARTITION, instant_ms, store_on

NOON_MS = instant_ms("2026-03-02T12:00:00")
DEVICE = "meter-kolkata"
FIRST_KNOWN_MS, CORRECTED_MS, COMPLETE_MS = NOON_MS + 1_000, NOON_MS + 9_000, NOON_MS + 60_000


def reading(revision: int, kilowatt_hours: int) -> LoggedReading:
    """The meter's quarter-hour from noon on."""
    energy = kilowatt_hours * 1_000_000
    return LoggedReading(
        "meter", DEVICE, NOON_MS, 900_000, revision, NOON_MS + revision, (energy, *(None,) * (len(METER.columns) - 1))
    )


async def test_a_bill_as_of_an_instant_leaves_out_what_was_recorded_later(database: Database) -> None:
    """4 kWh at 0.50 are 2.00; corrected to 6 kWh, 3.00. As of a time before the correction it stays 2.00, for ever."""
    store = await store_on(database)
    for number, (one, record_ms) in enumerate([(reading(0, 4), FIRST_KNOWN_MS), (reading(1, 6), CORRECTED_MS)]):
        await store.take([Segment.of(f"b-{number}", PARTITION, "w", number + 1, 0, record_ms, [one])])
    await store.fold_everything()
    async with pricing_mesh(database, store.usage) as mesh:
        mesh.complete_through.latest_ms = COMPLETE_MS
        await assign(mesh, DEVICE, flat_tariff("flat", money(0, 500_000_000)), at("2026-01-01"))
        request = PreviewInvoiceRequest(
            device_id=DEVICE,
            start_date=Date(year=2026, month=3, day=2),
            end_date=Date(year=2026, month=3, day=3),
        )

        now = (await mesh.invoices.PreviewInvoice(request)).invoice
        request.as_of.CopyFrom(from_ms(CORRECTED_MS - 1))
        before = (await mesh.invoices.PreviewInvoice(request)).invoice
        request.as_of.FromDatetime(datetime.fromisoformat("2027-01-01"))
        lowered = (await mesh.invoices.PreviewInvoice(request)).invoice

    assert (now.net.units, now.complete_through, now.HasField("as_of")) == (3, from_ms(COMPLETE_MS), False)
    assert (before.net.units, before.as_of) == (2, from_ms(CORRECTED_MS - 1))
    assert (lowered.net.units, lowered.as_of) == (3, from_ms(COMPLETE_MS))
